"""What counts as a HyperTransformer whose generated convolutions are the same for every task."""

from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.reporting.adopt import adopt
from benchmark.reporting.record import Record, collect
from benchmark.reporting.remarks.same_kernels import same_for_all_tasks
from benchmark.reporting.summary import summarize
from tests.benchmark.reporting.simulated import make_grid, simulate

SAME = {"ht/variation_share": 0.47, "ht/variation_share.conv1.kernel": 0.0003, "ht/variation_share.linear.weight": 0.93}
VARIED = SAME | {"ht/variation_share.conv2.kernel": 0.25}
LAST_LAYER_ONLY = {"ht/variation_share": 0.93, "ht/variation_share.linear.weight": 0.93}


@pytest.fixture
def experiment(tmp_path: Path) -> ExperimentFolder:
    """Cells of ProtoNet, without diagnostics, and ht-all: `SAME` in seed 0, `VARIED` in seed 1."""
    grid = make_grid(channels=(8,), seeds=(0, 1))
    experiment = simulate(grid, tmp_path, lambda _: 0.8)
    for config in grid.cells:
        if config.method == "ht-all":
            store = experiment.cell(config)
            lines = store.metrics()
            lines[0].values.update(VARIED)
            lines[-1].values.update(SAME if config.seed == 0 else VARIED)
            store.write_metrics(lines)
    return experiment


@pytest.fixture
def record(experiment: ExperimentFolder) -> Record:
    return collect(make_grid(channels=(8,), seeds=(0, 1)), experiment)


def test_the_last_diagnostics_are_collected(record: Record) -> None:
    found = {(cell.config.method, cell.config.seed): cell.diagnostics for cell in record.cells}
    assert found == {("protonet", 0): {}, ("protonet", 1): {}, ("ht-all", 0): SAME, ("ht-all", 1): VARIED}


def test_they_survive_a_report_and_adoption(record: Record, tmp_path: Path) -> None:
    record.save(tmp_path / "results")
    loaded = Record.load(tmp_path / "results")
    assert loaded.cells == record.cells
    other = ExperimentFolder(tmp_path / "elsewhere")
    assert len(adopt(loaded, other)) == 4
    assert collect(make_grid(channels=(8,), seeds=(0, 1)), other).cells == record.cells


@pytest.mark.parametrize(("said", "same"), [(SAME, True), (VARIED, False), (LAST_LAYER_ONLY, False), ({}, False)])
def test_the_rule(record: Record, said: dict[str, float], same: bool) -> None:
    assert same_for_all_tasks(record.cells[0].model_copy(update={"diagnostics": said})) is same


def test_the_table_tells(record: Record) -> None:
    table = summarize(record).table
    notes = {row["method"]: str(row["note"]) for row in table.rows}
    assert "kernels" not in notes["protonet"]
    assert notes["ht-all"].endswith("same kernels for all tasks in 1 of 2 seeds")
    assert sum(note.startswith("same kernels for all tasks: ") for note in table.notes) == 1
