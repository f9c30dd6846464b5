"""Whether the convolutions that a method generated depend on the task: if not, it is a trained CNN."""

from benchmark.reporting.record import CellRecord
from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row

MOST = 0.01
"""Share of the variance between tasks below which a kernel counts as the same for all."""

RULE = (
    "same kernels for all tasks: of the variance of each generated convolution's kernel less than 1 % is between tasks"
    " (16 validation episodes, end of training), so hardly anything but the last layer depends on the support set"
)
"""For readers."""

_KERNELS = "variation_share.conv"
"""How their shares begin in the diagnostics, after the method's own word: see `methods.capabilities`."""


def same_for_all_tasks(cell: CellRecord) -> bool:
    """Whether a cell generates convolutions and all of them are the same for every task: `RULE`."""
    shares = [share for name, share in cell.diagnostics.items() if name.partition("/")[2].startswith(_KERNELS)]
    return cell.state == "done" and bool(shares) and max(shares) < MOST


def remark(row: Row) -> str:
    """`same kernels for all tasks`, if in all seeds, `... in 1 of 2 seeds`, or nothing."""
    count = sum(map(same_for_all_tasks, row.cells))
    where = "" if count == len(row.seeds) else f" in {count} of {len(row.seeds)} seeds"
    return f"same kernels for all tasks{where}" if count else ""


REMARK = Remark(remark, RULE)
