"""Whether a method's answers depend on where a query stands among the queries: it may have learnt from their order."""

from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row

RULE = (
    "depends on the order of the queries: measured, by answering the same queries in two orders; they are shuffled, so"
    " their order says nothing about their classes"
)
"""For readers."""


def remark(row: Row) -> str:
    """`depends on the order of the queries`, or nothing."""
    found = any(result.model.order_dependent for result in row.results if result.model)
    return "depends on the order of the queries" if found else ""


REMARK = Remark(remark, RULE)
