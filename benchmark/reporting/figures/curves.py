"""Learning curves, against what the trainings were given: minutes or steps."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark import figure_style
from benchmark.reporting.figures.figure import Figure, Picture
from benchmark.reporting.figures.panels import in_panels, row_looks
from benchmark.reporting.record import CellRecord
from benchmark.reporting.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLACES = 60
"""Points of a drawn curve: of curves against minutes, no two of which were validated at the same times."""

Line = tuple[NDArray[np.float64], NDArray[np.float64]]


def learning_curves(rows: Sequence[Row]) -> Picture | None:
    """Validation accuracy over training: mean over seeds, and a band from the worst to the best seed.

    The x axis is the unit of the budget. A cell trained for minutes makes its steps at a steady pace, so a validation's
    time is its share of the steps of the whole training.
    """
    looks = row_looks(rows)
    with_curves = [row for row in rows if _curves(row)]
    minutes = bool(with_curves) and all(_in_minutes(cell) for row in with_curves for cell in row.cells)

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        for row in panel:
            x, accuracy = _together(_lines(row, minutes))
            mean, low, high = (100 * one for one in (accuracy.mean(axis=0), accuracy.min(axis=0), accuracy.max(axis=0)))
            look = looks[row.line]
            (line,) = axes.plot(x, mean, color=look.color, linestyle=look.linestyle, label=row.line)
            figure_style.tell(line, row.line)
            if len(accuracy) > 1:
                band = axes.fill_between(x, low, high, color=look.color, alpha=0.18, linewidth=0)
                figure_style.tell(band, row.line)
        axes.set_xlabel("minutes of training" if minutes else "training step")
        axes.set_ylabel("validation accuracy (%)")
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, 0), min(top, 100))

    several = any(len(_curves(row)) > 1 for row in with_curves)
    caption = "Validation accuracy over training" + (
        ": the mean over seeds, and a band from the worst to the best seed." if several else "."
    )
    return in_panels(with_curves, lambda row: row.setting, lambda row: row.setting_text, draw, caption)


def _curves(row: Row) -> list[CellRecord]:
    """The cells that have one."""
    if row.ensemble or row.domain:  # of the same trainings as the row of the single checkpoints on all test episodes
        return []
    return [cell for cell in row.cells if cell.curve is not None and len(cell.curve.steps) > 1]


def _in_minutes(cell: CellRecord) -> bool:
    return cell.config.train.minutes is not None


def _lines(row: Row, minutes: bool) -> list[Line]:
    """(places, accuracies) of every seed."""
    found = []
    for cell in _curves(row):
        assert cell.curve is not None
        x = np.array(cell.curve.steps, dtype=np.float64)
        if minutes:
            training = cell.result.training if cell.result else None
            budget = cell.config.train.minutes or 0.0
            # What is still running, or failed, has an end that nobody knows yet.
            per_step = training.seconds / 60 / training.steps if training else budget / cell.curve.steps[-1]
            x = x * per_step
        found.append((x, np.array(cell.curve.accuracy, dtype=np.float64)))
    return found


def _together(lines: Sequence[Line]) -> Line:
    """Places (P,) that every seed reached, and accuracies (S, P) there, interpolated."""
    start, end = max(x[0] for x, _ in lines), min(x[-1] for x, _ in lines)
    places = np.array(sorted({place for x, _ in lines for place in x if start <= place <= end} | {end}))
    if len(lines) > 1 and len(places) > PLACES:
        places = np.linspace(start, end, PLACES)
    return places, np.stack([np.interp(places, x, accuracy) for x, accuracy in lines])


FIGURES = (Figure("learning-curves", "Learning curves", learning_curves),)
