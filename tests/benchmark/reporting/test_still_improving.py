"""What counts as a training that was still improving when it ended."""

from pathlib import Path

import pytest

from benchmark.reporting.record import Curve, Record, collect
from benchmark.reporting.remarks.still_improving import still_improving
from benchmark.reporting.summary import summarize
from tests.benchmark.reporting.simulated import make_grid, simulate


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    grid = make_grid(channels=(8,), seeds=(0, 1))
    return collect(grid, simulate(grid, tmp_path_factory.mktemp("converged"), lambda _: 0.8))


@pytest.mark.parametrize(
    ("accuracy", "improving"),
    [
        ((0.50, 0.60, 0.70, 0.75, 0.80), True),
        ((0.50, 0.70, 0.80, 0.80, 0.80), False),
        # 20,000 answers at 0.8: the standard error of a difference is 0.4 points.
        ((0.50, 0.70, 0.80, 0.80, 0.807), False),
        ((0.50, 0.70, 0.80, 0.80, 0.809), True),
        ((0.50, 0.60, 0.70, 0.80, 0.79), False),  # better earlier
        ((0.80,), False),
    ],
)
def test_the_rule(record: Record, accuracy: tuple[float, ...], improving: bool) -> None:
    steps = tuple(200 * (i + 1) for i in range(len(accuracy)))
    cell = record.cells[0].model_copy(update={"curve": Curve(steps=steps, accuracy=accuracy)})
    assert cell.config.train.validation_episodes * 20 * cell.config.episodes.queries == 20_000
    assert still_improving(cell) is improving


def test_cells_without_a_curve_say_nothing(record: Record) -> None:
    assert not still_improving(record.cells[0].model_copy(update={"curve": None}))


def test_table_and_sentences_tell(record: Record, tmp_path: Path) -> None:
    rising = Curve(steps=(500, 1000), accuracy=(0.5, 0.8))
    flat = Curve(steps=(500, 1000), accuracy=(0.8, 0.8))
    curves = {"protonet": (flat, flat), "ht-all": (flat, rising)}
    cells = tuple(c.model_copy(update={"curve": curves[c.config.method][c.config.seed]}) for c in record.cells)
    summary = summarize(Record(record.name, record.axes, cells, record.accuracy, record.grid_text))
    assert [row["note"] for row in summary.table.rows] == ["", "1 of 2 seeds still improving"]
    assert sum(note.startswith("still improving: ") for note in summary.table.notes) == 1
    assert any(
        line.startswith("Still improving when training ended: ht-all (1 of 2 cells)") for line in summary.sentences
    )
