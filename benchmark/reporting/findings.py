"""What the numbers say, in sentences made from the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmark.reporting.figures.ranks import rank_over_datasets
from benchmark.reporting.record import Record
from benchmark.reporting.remarks.still_improving import improving_seeds
from benchmark.reporting.rows import Row, settings
from benchmark.reporting.tables.table import Estimate
from benchmark.statistics import NotComparableError

NAMED = 5
"""How many of the beaten a sentence names."""


@dataclass(frozen=True)
class Finding:
    """What is known about one setting.

    Attributes:
        setting: in words.
        best: label of the row with the highest mean; empty without results.
        accuracy: of that row, in words.
        sure: `yes` if it beats every other; `models` if it does, but with one seed, so that only these trained models
            are known to differ; `no` if some cannot be told from it; `alone` if nothing was compared.
        versus: how it stands to the others, in words.
    """

    setting: str
    best: str = ""
    accuracy: str = ""
    sure: str = "alone"
    versus: str = ""

    @property
    def sentence(self) -> str:
        """All of it."""
        if not self.best:
            return f"{self.setting}: no results yet."
        rank = {"yes": ", the best", "models": ", the best", "no": ", the highest mean", "alone": ""}[self.sure]
        link = "" if not self.versus else ", but " if self.sure == "alone" else "; "
        return f"{self.setting}: {self.best} reaches {self.accuracy}{rank}{link}{self.versus}."


def sentences(record: Record, rows: Sequence[Row]) -> list[str]:
    """What is complete, one sentence per setting on what beats what, and what holds of all of them."""
    first, *rest = headlines(record, rows)
    return [first, *(finding.sentence for finding in findings(rows)), *rest]


def headlines(record: Record, rows: Sequence[Row]) -> list[str]:
    """What holds of the grid as a whole."""
    return [_completeness(record), *_overall(rows), *_improving(rows), *_ranks(rows)]


def findings(rows: Sequence[Row]) -> list[Finding]:
    """One per setting."""
    return [_finding(group) for group in settings(rows).values()]


def _completeness(record: Record) -> str:
    done, planned = sum(cell.state == "done" for cell in record.cells), len(record.cells)
    if done == planned:
        return f"All {planned} cells are done." if planned > 1 else "The cell is done."
    failed = sum(cell.state == "failed" for cell in record.cells)
    others = planned - done - failed
    parts = [f"{failed} failed"] * bool(failed) + [f"{others} not finished"] * bool(others)
    return f"Incomplete: {done} of {planned} cells are done, {' and '.join(parts)}; what follows may change."


def _finding(group: Sequence[Row]) -> Finding:
    learners = [row for row in group if row.interval and not row.reference]
    with_numbers = sorted(learners, key=lambda row: -row.interval.mean if row.interval else 0.0)
    where = group[0].setting_text
    if not with_numbers:
        return Finding(where)
    best, *others = with_numbers
    compared = [row for row in others if row.comparison is not None]
    if not compared:
        versus = f"was not compared: {best.problems[-1]}" if others else ""
        return Finding(where, best.label, _accuracy(best), "alone", versus)
    tied = [row for row in compared if row.tied_with_best]
    worse = [row for row in compared if not row.tied_with_best]
    parts = []
    if tied:
        parts.append(f"{_listed([row.label for row in tied])} cannot be told from it{_fastest([best, *tied])}")
    one_seed = any(row.comparison and row.comparison.interval.kind == "episodes only" for row in compared)
    if worse:
        caveat = " (one seed: of these trained models only)" if one_seed else ""
        parts.append(f"it beats {_beaten(worse)}{caveat}")
    sure = "no" if tied else "models" if one_seed else "yes"
    return Finding(where, best.label, _accuracy(best), sure, "; ".join(parts))


def _fastest(rows: Sequence[Row]) -> str:
    """Which of the rows, all alike in accuracy, takes the least time per task, if that was measured."""
    times = {
        row.label: fmean(seconds)
        for row in rows
        if (seconds := [r.test.seconds_per_task for r in row.results if r.test and r.test.seconds_per_task])
    }
    if len(times) < len(rows):
        return ""
    label = min(times, key=times.__getitem__)
    return f" (fastest of these: {label}, {1000 * times[label]:.2g} ms per task)"


def _beaten(rows: Sequence[Row]) -> str:
    """By how much, the closest first; far behind, a long list only gets the smallest gap."""
    closest = sorted(rows, key=_gap)
    named, others = (closest, []) if len(rows) <= NAMED + 1 else (closest[:NAMED], closest[NAMED:])
    rest = [f"{len(others)} others by {100 * _gap(others[0]):.1f} points and more"] if others else []
    return _listed([*map(_behind, named), *rest])


def _gap(row: Row) -> float:
    assert row.comparison is not None
    return row.comparison.interval.mean


def _behind(row: Row) -> str:
    assert row.comparison is not None
    gap = row.comparison.interval
    p = row.comparison.p_adjusted
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    return f"{row.label} by {100 * gap.mean:.1f} points ({100 * gap.low:.1f} to {100 * gap.high:.1f}, {shown})"


def _accuracy(row: Row) -> str:
    assert row.interval is not None
    mean, half_width = Estimate.of(row.interval).parts
    seeds = f"{len(row.seeds)} seed{'s' if len(row.seeds) > 1 else ''}"
    short = "" if row.complete else f" of {len(row.cells)}"
    return f"{mean} ± {half_width} % ({seeds}{short})"


def _overall(rows: Sequence[Row]) -> list[str]:
    """Over several settings: in how many each method is best or tied."""
    compared = [group for group in settings(rows).values() if any(row.tied_with_best for row in group)]
    if len(compared) < 2:
        return []
    counts: dict[str, int] = {}
    for group in compared:
        for row in (row for row in group if not row.reference):
            counts[row.line] = counts.get(row.line, 0) + row.tied_with_best
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    shown = ", ".join(f"{line} in {count}" for line, count in ordered)
    return [f"Best, or not shown to be worse than the best, in how many of {len(compared)} settings: {shown}."]


def _improving(rows: Sequence[Row]) -> list[str]:
    """Which trainings were cut short."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        if not row.ensemble and row.results:
            found = counts.setdefault(row.line, [0, 0])
            found[0] += improving_seeds(row)
            found[1] += len(row.results)
    shown = [f"{line} ({some} of {of} cells)" for line, (some, of) in counts.items() if some]
    if not shown:
        return []
    return [f"Still improving when training ended: {_listed(shown)}; with longer training the order may change."]


def _ranks(rows: Sequence[Row]) -> list[str]:
    try:
        ranks = rank_over_datasets(rows)
    except NotComparableError:
        return []
    shown = ", ".join(f"{name} {ranks.mean_rank[name]:.2f}" for name in ranks.ordered)
    return [f"Mean ranks over data sets: {shown}."]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
