"""The account of datasets that are read from archives, lists or arrays."""

from pathlib import Path

from benchmark.data.files.beside import beside
from tests.benchmark.data.pictures import noise


def test_what_lies_beside_is_named_folder_by_folder(tmp_path: Path) -> None:
    folder = tmp_path / "omniglot"
    archive = folder / "images_background.zip"
    for number in range(5):
        noise(folder / "images_background" / "Greek" / f"{number}.png")
    noise(folder / "loose.png")
    (folder / "dead.png").symlink_to("nowhere")
    (folder / "readme.txt").write_text("x")
    (folder / ".hidden").write_text("x")
    for own in ("omniglot-28.npz", "htbench-train-84.u8", ".htbench-train-84.lock"):
        (folder / own).write_text("x")
    archive.write_bytes(b"x")
    noise(tmp_path / "other" / "1.png")
    found = beside([archive], tmp_path)
    assert found.facts() == {
        "folder": str(folder),
        "used": ["images_background.zip"],
        "ignored": [{"path": ".hidden", "why": "hidden"}, {"path": "readme.txt", "why": "not a picture"}],
        "suspicious": [
            {"path": "dead.png", "why": "a dead link to nowhere"},
            {"path": "images_background", "why": "5 files in it, none of them used"},
            {"path": "loose.png", "why": "a picture that is not used: no list or format names it"},
        ],
    }
    assert list(found.lines()) == [
        f"{folder}: 1 file used (images_background.zip), 2 things ignored, 3 suspicious",
        "  suspicious dead.png: a dead link to nowhere",
        "  suspicious images_background: 5 files in it, none of them used",
        "  suspicious loose.png: a picture that is not used: no list or format names it",
        "  ignored    .hidden: hidden",
        "  ignored    readme.txt: not a picture",
    ]


def test_files_in_the_folder_of_all_datasets_have_no_account_of_others(tmp_path: Path) -> None:
    noise(tmp_path / "other" / "1.png")
    (tmp_path / "archive.tar.gz").write_bytes(b"x")
    found = beside([tmp_path / "archive.tar.gz"], tmp_path)
    assert (found.ignored, found.suspicious) == ((), ())


def test_pictures_beside_those_that_are_listed(tmp_path: Path) -> None:
    listed = [noise(tmp_path / "root" / "mini" / "images" / f"{number}.png") for number in range(3)]
    noise(tmp_path / "root" / "mini" / "images" / "unlisted.png")
    (remark,) = beside(listed, tmp_path / "root").suspicious
    assert str(remark).endswith("images/unlisted.png: a picture that is not used: no list or format names it")
