"""The remarks that a table makes on its rows.

To add one: a file of this folder with its `Remark`, and a place in `REMARKS`.
"""

from benchmark.reporting.remarks import collapsed, exchanged_kernels, order_dependent, shared_pictures, still_improving
from benchmark.reporting.remarks.remark import Remark

REMARKS: tuple[Remark, ...] = (
    collapsed.REMARK,
    still_improving.REMARK,
    exchanged_kernels.REMARK,
    order_dependent.REMARK,
    shared_pictures.REMARK,
)
"""All remarks, in the order in which they are made."""
