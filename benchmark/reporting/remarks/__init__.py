"""The remarks that a table makes on its rows.

To add one: a file of this folder with its `Remark`, and a place in `REMARKS`.
"""

from benchmark.reporting.remarks import exchanged_kernels, order_dependent, still_improving
from benchmark.reporting.remarks.remark import Remark

REMARKS: tuple[Remark, ...] = (still_improving.REMARK, exchanged_kernels.REMARK, order_dependent.REMARK)
"""All remarks, in the order in which they are made."""
