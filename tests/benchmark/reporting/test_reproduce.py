"""The grids of a report's commits plan the same cells, with the steps that were made."""

from pathlib import Path

import pytest

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.grid import Grid, read_grid
from benchmark.reporting.record import CellRecord, Record, collect
from benchmark.reporting.reproduce import by_commit, export_grids
from tests.benchmark.helpers import invoke
from tests.benchmark.reporting.simulated import fail, simulate

TEXT = """\
name: timed
question: Is ht-logits better than protonet?
tuned: by hand
dataset: {name: omniglot}
episodes: {ways: 5, shots: 1}
train: {batch: 16, minutes: 5}
test: {episodes: 30}
grid:
  method: [protonet, ht-logits]
  channels: [8, 4]
  query_statistics: [batch, support]
  seed: [0, 1]
exclude:
  - {method: ht-logits, channels: 4}
overrides:
  - {when: {method: protonet}, train: {batch: auto}}
"""


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    path = tmp_path_factory.mktemp("timed") / "timed.yaml"
    path.write_text(TEXT)
    return read_grid(path)


@pytest.fixture(scope="module")
def record(grid: Grid, tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Every cell made its own number of steps, seed 1 at another commit; the last one failed."""
    experiment = simulate(grid, tmp_path_factory.mktemp("runs"), lambda _: 0.8)
    fail(experiment, grid.cells[-1])
    found = collect(grid, experiment)
    cells = tuple(_made(cell, 1000 + 7 * number) for number, cell in enumerate(found.cells))
    return Record(found.name, found.axes, cells, found.accuracy, found.grid_text)


def _made(cell: CellRecord, steps: int) -> CellRecord:
    if cell.result is None or cell.result.training is None or cell.result.provenance is None:
        return cell
    training = cell.result.training.model_copy(update={"steps": steps, "episodes": 12 * steps})
    commit = cell.result.provenance.model_copy(update={"commit": "ab"[cell.config.seed] * 40})
    return cell.model_copy(
        update={"result": cell.result.model_copy(update={"training": training, "provenance": commit})}
    )


def _as_run(cell: CellRecord) -> CellConfig:
    """The configuration with what the cell really did."""
    assert cell.result is not None and cell.result.training is not None
    train = {**cell.config.train.model_dump(), "minutes": None, "steps": cell.result.training.steps}
    if cell.config.train.batch == "auto":
        train["batch"] = 12
    return CellConfig.model_validate({**cell.config.model_dump(), "train": train})


def test_each_commit_has_a_grid_of_its_cells_with_their_exact_steps(record: Record, tmp_path: Path) -> None:
    made = export_grids(record, tmp_path / "again")
    assert [(one.commit, len(one.cells)) for one in made] == [("a" * 40, 4), ("b" * 40, 3)]
    for one in made:
        again = read_grid(tmp_path / "again" / one.file)
        assert {cell.key for cell in again.cells} == {_as_run(cell).key for cell in one.cells}
        assert again.name == f"timed-{one.commit[:8] if one.commit else ''}"
        text = (tmp_path / "again" / one.file).read_text()
        assert "question" not in text and "tuned" not in text  # older versions may not know them


def test_steps_that_were_given_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(TEXT.replace("minutes: 5", "steps: 50").replace("batch: auto", "batch: 2"))
    grid = read_grid(tmp_path / "grid.yaml")
    record = collect(grid, simulate(grid, tmp_path / "runs", lambda _: 0.8))
    (made,) = export_grids(record, tmp_path)
    assert {cell.key for cell in read_grid(tmp_path / made.file).cells} == {cell.key for cell in grid.cells}


def test_a_command_exports_and_says_what_to_type(record: Record, tmp_path: Path) -> None:
    record.save(tmp_path / "timed")
    done = invoke("report", tmp_path / "timed", "--export-grid", tmp_path / "again")
    assert done.exit_code == 0, done.output
    lines = done.output.split()
    for one in by_commit(record):
        assert one.commit in lines and (tmp_path / "again" / one.file).exists()


def test_nothing_finished_is_nothing_to_run_again(grid: Grid, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="timed has no finished cell"):
        export_grids(collect(grid, ExperimentFolder(tmp_path)), tmp_path)
