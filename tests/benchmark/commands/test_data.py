"""`htbench data`: the account of what is there, for people and for machines, and archives that are trusted."""

import json
import zipfile
from pathlib import Path

import pytest

from benchmark.commands.catalogue import data
from benchmark.data import omniglot
from benchmark.errors import UserError
from tests.benchmark.data.pictures import noise, noise_classes
from tests.benchmark.data.test_omniglot import png, write_archive

GRID = """\
name: mine
dataset: {DATASET}
episodes: {ways: 2, shots: 1, queries: 1}
train: {steps: 4, batch: 2, validate_every: 2, validation_episodes: 4}
test: {episodes: 10}
method: protonet
"""


@pytest.fixture
def grid(tmp_path: Path, user_cache: Path) -> Path:
    noise_classes(tmp_path / "img", 8, images=4)
    noise(tmp_path / "img" / "c00" / ".hidden.png")
    (tmp_path / "img" / "c01" / "a.heic").write_bytes(b"x")
    for image in range(1, 4):
        (tmp_path / "img" / "c07" / f"{image}.png").unlink()
    path = tmp_path / "grid.yaml"
    path.write_text(GRID.replace("DATASET", f"name: folder, path: {tmp_path}/img, min_images: 2"))
    return path


def test_the_account_as_json(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data(grid, as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    folder = found["folders"]["all"]
    assert folder["classes"] == {f"c{n:02}": 4 for n in range(7)}
    assert folder["left_out"] == {"c07": 1}
    assert len(folder["used"]) == 28 and folder["used"][0] == "c00/0.png"
    assert folder["ignored"] == [{"path": "c00/.hidden.png", "why": "hidden"}]
    assert [one["path"] for one in folder["suspicious"]] == ["c01/a.heic"]
    assert folder["refused"] == []
    assert sum(split["images"] for split in found["splits"].values()) == 28
    assert len(found["fingerprint"]) == 64 != found["sha256"]


def test_what_is_refused_is_in_the_json_too(grid: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (grid.parent / "img" / "c02" / "dead.png").symlink_to("nowhere")
    with pytest.raises(UserError, match="a dead link to nowhere"):
        data(grid, as_json=True)
    (found,) = json.loads(capsys.readouterr().out)
    assert found["folders"]["all"]["refused"] == [{"path": "c02/dead.png", "why": "a dead link to nowhere"}]
    assert "sha256" not in found


def test_other_drawings_are_refused_until_they_are_trusted(
    tmp_path: Path, user_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "data" / "omniglot"
    folder.mkdir(parents=True)
    names = {"background": ["Latin/a", "Latin/b", "Greek/a", "Greek/b"], "evaluation": ["ULOG/a", "ULOG/b"]}
    archives = tuple(write_archive(folder / f"images_{part}.zip", members) for part, members in names.items())
    monkeypatch.setattr(omniglot, "ARCHIVES", archives)
    monkeypatch.setenv("HTBENCH_DATA", str(tmp_path / "data"))
    grid = tmp_path / "grid.yaml"
    grid.write_text(GRID.replace("DATASET", "name: omniglot, split: lake"))
    data(grid)  # their MD5 is the published one
    sha256 = capsys.readouterr().out.split("sha256 ")[1][:64]

    def pack(extra: bytes = b"") -> None:
        with zipfile.ZipFile(folder / "images_evaluation.zip", "w", zipfile.ZIP_DEFLATED) as file:
            for order, member in enumerate(names["evaluation"]):
                for drawing in range(20):
                    file.writestr(f"images_evaluation/{member}/{order:04}_{drawing + 1:02}.png", png(drawing))
            file.comment = extra

    pack(b"packed anew")
    with pytest.raises(UserError, match=r"images_evaluation\.zip are not the archives that were published .*--trust"):
        data(grid)
    monkeypatch.setattr(omniglot, "SHA256", sha256)
    data(grid)  # other bytes, the same images
    monkeypatch.undo()
    monkeypatch.setattr(omniglot, "ARCHIVES", archives)
    monkeypatch.setenv("HTBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(user_cache))
    data(grid, trust=True)
    data(grid)  # remembered

    write_archive(folder / "images_evaluation.zip", ["ULOG/c", "ULOG/d"])
    with pytest.raises(UserError, match="--trust"):
        data(grid)
