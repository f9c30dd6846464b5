"""What the numbers say, in sentences made from the numbers."""

from collections.abc import Sequence

import numpy as np

from benchmark.reporting.collect import Record
from benchmark.reporting.rows import Row, settings
from benchmark.reporting.tables import Estimate
from benchmark.statistics import NotComparableError, rank_methods


def sentences(record: Record, rows: Sequence[Row]) -> list[str]:
    """One sentence on what is complete, one per setting on what beats what, one on ranks over data sets."""
    return [_completeness(record), *(_finding(group) for group in settings(rows).values()), *_ranks(rows)]


def _completeness(record: Record) -> str:
    done, planned = sum(cell.state == "done" for cell in record.cells), len(record.cells)
    if done == planned:
        return f"All {planned} cells are done." if planned > 1 else "The cell is done."
    failed = sum(cell.state == "failed" for cell in record.cells)
    others = planned - done - failed
    parts = [f"{failed} failed"] * bool(failed) + [f"{others} not finished"] * bool(others)
    return f"Incomplete: {done} of {planned} cells are done, {' and '.join(parts)}; what follows may change."


def _finding(group: Sequence[Row]) -> str:
    with_numbers = sorted((r for r in group if r.interval), key=lambda row: -row.interval.mean if row.interval else 0.0)
    where = group[0].setting_text
    if not with_numbers:
        return f"{where}: no results yet."
    best = with_numbers[0]
    first = f"{where}: {best.label} reaches {_accuracy(best)}"
    compared = [row for row in with_numbers[1:] if row.comparison is not None]
    if not compared:
        return f"{first}." if len(with_numbers) == 1 else f"{first}, but was not compared: {best.problems[-1]}."
    tied = [row.label for row in compared if row.tied_with_best]
    worse = [_behind(row) for row in compared if not row.tied_with_best]
    parts = [f"{first}{', the best' if worse and not tied else ', the highest mean'}"]
    if tied:
        parts.append(f"{_listed(tied)} cannot be told from it")
    if worse:
        parts.append(f"it beats {_listed(worse)}")
    return "; ".join(parts) + "."


def _behind(row: Row) -> str:
    assert row.comparison is not None
    gap = row.comparison.interval
    p = row.comparison.p_adjusted
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    caveat = "; one seed: of these two trained models only" if gap.kind == "episodes only" else ""
    return f"{row.label} by {100 * gap.mean:.1f} points ({100 * gap.low:.1f} to {100 * gap.high:.1f}, {shown}{caveat})"


def _accuracy(row: Row) -> str:
    assert row.interval is not None
    mean, half_width = Estimate.of(row.interval).parts
    seeds = f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''}"
    short = "" if row.complete else f" of {len(row.cells)}"
    return f"{mean} ± {half_width} % ({seeds}{short})"


def _ranks(rows: Sequence[Row]) -> list[str]:
    """Mean ranks over data sets, or why there are none; silent with one data set."""
    datasets: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        if row.interval is not None:
            dataset = datasets.setdefault(row.cells[0].config.dataset.model_dump_json(), {})
            dataset.setdefault(row.line, []).append(row.interval.mean)
    methods = list(dict.fromkeys(line for found in datasets.values() for line in found))
    if len(datasets) < 2 or len(methods) < 2:
        return []
    if any(found.keys() != set(methods) for found in datasets.values()):
        return ["No ranks over data sets: not every method has a result on every data set."]
    means = [[sum(found[m]) / len(found[m]) for m in methods] for found in datasets.values()]
    try:
        ranks = rank_methods(methods, np.array(means))
    except NotComparableError as error:
        return [f"No ranks over data sets: {error}."]
    ordered = sorted(ranks.mean_rank.items(), key=lambda item: item[1])
    return [
        f"Mean ranks over {len(datasets)} data sets: " + ", ".join(f"{name} {rank:.2f}" for name, rank in ordered) + "."
    ]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
