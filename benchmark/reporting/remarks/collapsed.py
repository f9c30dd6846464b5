"""Which trainings failed to learn what the row's others learnt."""

from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row
from benchmark.statistics.collapse import RULE


def remark(row: Row) -> str:
    """`1 of 3 trainings collapsed (seed 2)`, or nothing; the rule is `benchmark.statistics.collapse.RULE`."""
    seeds = [str(seed) for seed, down in zip(row.seeds, row.collapsed, strict=False) if down]
    which = f"(seed{'s' * (len(seeds) > 1)} {', '.join(seeds)})"
    return f"{len(seeds)} of {len(row.seeds)} trainings collapsed {which}" if seeds else ""


REMARK = Remark(remark, RULE, about_accuracy=True)
