"""Whether the convolutions that a method generated depend on the task, and whether that is of any use.

How much they vary does not say whether the variation is used: that only the swap test does.
"""

import math
from collections.abc import Iterable
from statistics import fmean

from benchmark.cells.metrics import SWAP_OTHER_DOMAIN, SWAP_OWN, SWAP_SAME_DOMAIN
from benchmark.reporting.record import CellRecord
from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row

RULE = (
    "kernels change by: how far the generated kernels of two tasks are apart, relative to the spread of a kernel's"
    " numbers, sqrt(2 x the largest share of variance between tasks of any convolution); another task's cost: points of"
    " accuracy lost by tasks that get the convolutions written for another one, the last layer being written anew; 0:"
    " any task's would do, as in an ordinary CNN (validation episodes, end of training, mean over seeds)"
)
"""For readers."""

_KERNELS = "variation_share.conv"
"""How their shares begin in the diagnostics, after the method's own word: see `methods.capabilities`."""


def change_between_tasks(cell: CellRecord) -> float | None:
    """sqrt(2 x the largest share of variance between tasks) of a cell's generated kernels; None if there are none.

    Of two independent tasks, the root mean square difference relative to the standard deviation of the weights.
    """
    shares = [share for name, share in cell.diagnostics.items() if name.partition("/")[2].startswith(_KERNELS)]
    return math.sqrt(2 * max(shares)) if shares and cell.state == "done" else None


def cost(cell: CellRecord, swapped: str) -> float | None:
    """Accuracy lost with the kernels of others: `SWAP_SAME_DOMAIN` or `SWAP_OTHER_DOMAIN`; None if not measured."""
    own, other = cell.diagnostics.get(SWAP_OWN), cell.diagnostics.get(swapped)
    return None if own is None or other is None or cell.state != "done" else own - other


def remark(row: Row) -> str:
    """`kernels change by 1.9 % between tasks, another task's cost 0.1 points`, as far as it is known."""
    change = _mean(map(change_between_tasks, row.cells))
    if change is None:
        return ""
    said = [f"kernels change by {100 * change:.1f} % between tasks"]
    for whose, name in (("another task's", SWAP_SAME_DOMAIN), ("another domain's", SWAP_OTHER_DOMAIN)):
        lost = _mean(cost(cell, name) for cell in row.cells)
        if lost is not None:
            said.append(f"{whose} cost {100 * lost:.1f} points")
    return ", ".join(said)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


REMARK = Remark(remark, RULE)
