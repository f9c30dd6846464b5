"""A grid's pictures are found from wherever htbench is called."""

import os
from pathlib import Path

import pytest

from benchmark.cli import expand_paths
from benchmark.data import load
from benchmark.data.configs import FolderConfig
from benchmark.errors import UserError
from benchmark.grid.resolve import Grid, read_grid
from tests.benchmark.data.pictures import noise_classes

GRID = """\
name: rel
dataset: {name: folder, path: "PATH"}
episodes: {ways: 2, shots: 1, queries: 1}
train: {steps: 4, batch: 2, validate_every: 2, validation_episodes: 4}
test: {episodes: 10}
method: protonet
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with pictures in `img`, the working folder and the home."""
    noise_classes(tmp_path / "img", 6)
    (tmp_path / "sub").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def read(folder: Path, path: str) -> tuple[Path, Grid]:
    """Where the grid's pictures are, after making sure that they are read from there; and the grid."""
    (folder / "rel.yaml").write_text(GRID.replace("PATH", path))
    grid = read_grid(Path(os.path.relpath(folder / "rel.yaml")))
    config = grid.cells[0].dataset
    assert isinstance(config, FolderConfig)
    assert load(config).splits["train"].classes == 2
    return config.path, grid


def test_relative_to_the_grid_file_from_any_working_folder(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, grid = read(project, "img")
    assert path == Path("img")  # as it is inside the working folder, no record tells where that is
    assert grid.notes == ()
    monkeypatch.chdir("sub")
    assert read(project, "img")[0] == project / "img"
    monkeypatch.chdir("/")
    assert read(project / "sub", "../img")[0] == (project / "img").relative_to("/")


@pytest.mark.parametrize("path", ["~/img", "$HOME/img", "${HOME}/img"])
def test_home_and_variables(project: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(project / "sub")
    assert read(project / "sub", path)[0] == project / "img"


def test_the_working_folder_is_accepted_with_a_note(project: Path) -> None:
    path, grid = read(project / "sub", "img")
    assert path == Path("img")
    (note,) = grid.notes
    assert note.startswith("dataset.path: img is taken from the working folder, since sub/img does not exist;")
    assert note.endswith("so write ../img")


def test_of_two_folders_the_one_beside_the_grid_is_used_with_a_note(project: Path) -> None:
    noise_classes(project / "sub" / "img", 6, start=5000)
    path, grid = read(project / "sub", "img")
    assert path == Path("sub/img")
    (note,) = grid.notes
    assert "is sub/img, relative to the grid file" in note
    assert "is another one and is not used" in note


def test_a_variable_that_is_not_set_is_told_with_its_line(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(
        UserError, match=r"rel\.yaml:2: dataset\.path: \$NOWHERE/img: the variable \$NOWHERE is not set"
    ):
        read(project, "$NOWHERE/img")


def test_an_axis_of_paths(project: Path) -> None:
    noise_classes(project / "other", 6, start=5000)
    (project / "g.yaml").write_text(GRID.replace("PATH", "img") + "grid: {dataset.path: [img, ~/other]}\n")
    assert read_grid(project / "g.yaml").axes == {"dataset.path": (Path("img"), Path("other"))}


def test_arguments_with_home_and_variables(project: Path) -> None:
    found = expand_paths(
        ["run", "~/g.yaml", "--runs=~/r", "--runs", "$HOME/r", "--only", "method=a~b", "--mlflow=a://$"]
    )
    assert found == [
        "run", f"{project}/g.yaml", f"--runs={project}/r", "--runs", f"{project}/r", "--only", "method=a~b",
        "--mlflow=a://$",
    ]  # fmt: skip
