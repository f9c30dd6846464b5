"""Whether answers depend on where a query or an unlabelled image stands: a method may have learnt from their order."""

from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row

RULE = (
    "depends on the order of the images: measured, by answering the same queries in two orders, with the unlabelled"
    " images in two orders; both are shuffled, so their order says nothing about their classes"
)
"""For readers."""


def remark(row: Row) -> str:
    """`depends on the order of the images`, or nothing."""
    found = any(result.model.order_dependent for result in row.results if result.model)
    return "depends on the order of the images" if found else ""


REMARK = Remark(remark, RULE)
