"""The run directory: whole files, honest states, one writer."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.cells import checkpoint
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.result import Failure, Result, TestScore
from benchmark.errors import UserError
from benchmark.machine.files import write_text, write_whole

CONFIG = CellConfig.model_validate(
    {"dataset": {"name": "glyphs"}, "method": "protonet", "model": {"channels": 8}, "train": {"steps": 1}, "seed": 3}
)


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    store = ExperimentFolder(tmp_path).cell(CONFIG)
    store.create(CONFIG)
    return store


def test_a_cell_finds_its_folder_and_its_configuration_again(tmp_path: Path, cell: CellFolder) -> None:
    assert cell.folder.name == f"protonet-8ch-seed3-{CONFIG.key}"
    assert ExperimentFolder(tmp_path).cells() == [cell]
    assert cell.config() == CONFIG
    assert cell.config().key == CONFIG.key


def test_states(tmp_path: Path, cell: CellFolder) -> None:
    assert ExperimentFolder(tmp_path).cell(CONFIG.model_copy(update={"seed": 4})).state() == "missing"
    assert cell.state() == "missing"  # planned, and nothing trained
    cell.last_checkpoint.write_bytes(b"something")
    assert cell.state() == "interrupted"
    with cell.lock():
        assert cell.state() == "running"
    cell.write_result(Result(key=CONFIG.key, config={}, failure=Failure(kind="crashed", reason="why")))
    assert cell.state() == "failed"
    cell.forget_result()
    assert cell.state() == "interrupted"
    test = TestScore(accuracy=0.625, episodes=2, sha256="0")
    cell.write_result(Result(key=CONFIG.key, config={}, test=test), np.array([0.25, 1.0]))
    assert cell.state() == "done"
    assert cell.test_accuracy().tolist() == [0.25, 1.0]


def test_a_cell_has_one_writer(cell: CellFolder) -> None:
    with cell.lock(), pytest.raises(UserError, match="being written by another run"), cell.lock():
        pass
    with cell.lock():
        pass


@pytest.mark.parametrize(
    ("content", "said"),
    [("{", "is damaged"), ('{"format": 1, "key": 5}', "is damaged"), ('{"format": 9}', "newer htbench")],
)
def test_a_damaged_or_newer_record_is_refused(cell: CellFolder, content: str, said: str) -> None:
    (cell.folder / "result.json").write_text(content)
    with pytest.raises(UserError, match=said):
        cell.result()


def test_metrics_survive_a_torn_line_and_forget_what_came_after_a_checkpoint(cell: CellFolder) -> None:
    logged = [MetricsLine(step, {"val/accuracy": step / 10}, time=1.5) for step in (1, 2, 3)]
    cell.write_metrics(logged)
    with cell.metrics_file.open("a") as file:
        file.write('{"step": 4, "val/ac')
    assert cell.metrics() == logged
    cell.drop_metrics_after(2)
    assert cell.metrics() == logged[:2]
    assert cell.metrics_file.read_text().count("\n") == 2


def test_an_interrupted_write_keeps_the_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")

    def fails(file: object) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="No space left on device; free some space"):
        write_whole(path, fails)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_checkpoints_come_back_and_strangers_are_refused(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "cell" / "last.pt"
    path.parent.mkdir()
    checkpoint.save(path, {"weights": torch.arange(3), "step": 7})
    state = checkpoint.load(path)
    assert state["step"] == 7 and state["weights"].tolist() == [0, 1, 2]
    for content in (b"", b"not a checkpoint", path.read_bytes()[:-200]):
        path.write_bytes(content)
        with pytest.raises(
            UserError, match=r"not a readable checkpoint .* delete .*cell to run the cell from the start"
        ):
            checkpoint.load(path)
    torch.save([1, 2], path)
    with pytest.raises(UserError, match="not an htbench checkpoint"):
        checkpoint.load(path)
    for version, said in ((checkpoint.FORMAT + 1, "a newer"), (checkpoint.FORMAT - 1, "an older")):
        torch.save({"format": version}, path)
        with pytest.raises(UserError, match=rf"{said} htbench \(format {version}"):
            checkpoint.load(path)
