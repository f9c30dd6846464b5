"""Whether trainings had come to their end, judged by validation: what was cut short is no verdict on a method."""

import math

from benchmark.reporting.record import CellRecord
from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row

LATE, EARLY = 0.9, 0.75

RULE = (
    "still improving: the best validation accuracy came in the last tenth of the steps, more than two standard errors"
    " above the best of the first three quarters, so longer training would likely help (a rate that falls to zero"
    " flattens every curve, so without the remark it may help, too)"
)
"""For readers."""


def still_improving(cell: CellRecord) -> bool:
    """Whether a cell's validation accuracy was still rising when its training ended: `RULE`.

    The standard error is that of the difference of two proportions, each of all answers to the validation episodes;
    how hard the episodes are cancels, as they are the same at every validation.
    """
    curve = cell.curve
    if curve is None or cell.state != "done":
        return False
    end = curve.steps[-1]
    early = [accuracy for step, accuracy in zip(curve.steps, curve.accuracy, strict=True) if step <= EARLY * end]
    best = max(curve.accuracy)
    at = curve.steps[curve.accuracy.index(best)]
    if not early or at < LATE * end:
        return False
    shape = cell.config.test_episodes.whole
    answers = cell.config.train.validation_episodes * shape.ways * shape.queries
    error = math.sqrt((best * (1 - best) + max(early) * (1 - max(early))) / answers)
    return best - max(early) > 2 * error


def improving_seeds(row: Row) -> int:
    """How many of the row's trainings were still improving when they ended."""
    return sum(still_improving(cell) for cell in row.cells)


def remark(row: Row) -> str:
    """`2 of 3 seeds still improving`, or nothing."""
    count = improving_seeds(row)
    return f"{count} of {len(row.seeds)} seed{'s' * (len(row.seeds) != 1)} still improving" if count else ""


REMARK = Remark(remark, RULE)
