"""What a table says about how generated kernels depend on the task."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.reporting.adopt import adopt
from benchmark.reporting.record import Record, collect
from benchmark.reporting.remarks.exchanged_kernels import change_between_tasks, cost
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


SWAPPED = SAME | {"swap/own": 0.7, "swap/same_domain": 0.69, "swap/other_domain": 0.1}


@pytest.mark.parametrize(
    ("said", "change"), [(SAME, 0.0006**0.5), (VARIED, 0.5**0.5), (LAST_LAYER_ONLY, None), ({}, None)]
)
def test_change_is_the_root_of_twice_the_largest_share(
    record: Record, said: dict[str, float], change: float | None
) -> None:
    cell = record.cells[0].model_copy(update={"diagnostics": said})
    assert change_between_tasks(cell) == (None if change is None else pytest.approx(change))


def test_cost_is_what_is_lost(record: Record) -> None:
    cell = record.cells[0].model_copy(update={"diagnostics": SWAPPED})
    assert cost(cell, "swap/same_domain") == pytest.approx(0.01)
    assert cost(cell, "swap/other_domain") == pytest.approx(0.6)
    assert cost(record.cells[0], "swap/same_domain") is None


@pytest.mark.parametrize(
    ("said", "note"),
    [
        (SAME, "kernels change by 2.4 % between tasks"),
        (
            SWAPPED,
            "kernels change by 2.4 % between tasks, another task's cost 1.0 points, another domain's cost 60.0 points",
        ),
    ],
)
def test_the_table_tells(record: Record, said: dict[str, float], note: str) -> None:
    cells = tuple(
        cell.model_copy(update={"diagnostics": said}) if cell.config.method == "ht-all" else cell
        for cell in record.cells
    )
    table = summarize(replace(record, cells=cells)).table
    notes = {row["method"]: str(row["note"]) for row in table.rows}
    assert "kernels" not in notes["protonet"]
    assert notes["ht-all"].endswith(note)
    assert sum(line.startswith("kernels change by: ") for line in table.notes) == 1
