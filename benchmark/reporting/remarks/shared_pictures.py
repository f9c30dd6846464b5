"""Whether a row was trained, chosen or tested on pictures that are in more than one split."""

from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row

RULE = (
    "pictures in two splits: counted when the data were read, after resizing; the published datasets have a few, others"
    " were accepted with `htbench data --trust`. What is known from training may be tested"
)
"""For readers."""


def remark(row: Row) -> str:
    """`5 pictures are in two splits`, or nothing."""
    most = max((result.data.shared_pictures for result in row.results if result.data), default=0)
    return f"{most:,} picture{' is' if most == 1 else 's are'} in two splits" if most else ""


REMARK = Remark(remark, RULE)
