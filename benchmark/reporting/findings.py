"""What the numbers say, in sentences made from the numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from benchmark.reporting.figures.ranks import rank_over_datasets
from benchmark.reporting.labels import listed
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
        sure: `yes` if it is shown better than every other; `close` if not, but shown to be within a point of the best;
            `no` if it is undecided; `models` with one seed, which says nothing about methods; `alone` if nothing was
            compared.
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
        rank = {"yes": ", the best", "alone": ""}.get(self.sure, ", the highest mean")
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
    if best.standing == "one seed":
        versus = "with one seed methods are not compared: another training may turn the order round"
        return Finding(where, best.label, _accuracy(best), "models", versus)
    close, undecided, worse, one_seed = (
        [row for row in compared if row.standing == standing]
        for standing in ("within a point", "undecided", "worse", "one seed")
    )
    parts = []
    if close:
        alike = _fastest([best, *close]) if best.bold else ""
        parts.append(f"{listed([row.label for row in close])} within a point of it{alike}")
    if undecided:
        parts.append(f"undecided against {listed([row.label for row in undecided])}")
    if one_seed:
        parts.append(f"not compared with {listed([row.label for row in one_seed])}, which shares one seed with it")
    if worse:
        parts.append(f"it beats {_beaten(worse)}")
    sure = {"best": "yes", "within a point": "close"}.get(best.standing, "no")
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
    return listed([*map(_behind, named), *rest])


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
    only = "" if row.interval.speaks_of_methods else ", test episodes only"
    return f"{mean} ± {half_width} % ({seeds}{short}{only})"


def _overall(rows: Sequence[Row]) -> list[str]:
    """Over several settings: in how many of those that it entered each method is best or within a point of the best."""
    compared = [
        group for group in settings(rows).values() if any(row.standing not in ("", "one seed") for row in group)
    ]
    if len(compared) < 2:
        return []
    counts: dict[str, list[int]] = {}
    for group in compared:
        for row in (row for row in group if row.standing):
            found = counts.setdefault(row.line, [0, 0])
            found[0] += row.bold
            found[1] += 1
    if not any(some for some, _ in counts.values()):
        return [f"In none of {len(compared)} settings is a method shown to be the best, or within a point of the best."]
    ordered = sorted(counts.items(), key=lambda item: -item[1][0] / item[1][1])
    shown = ", ".join(f"{line} {some} of {entered}" for line, (some, entered) in ordered)
    return [f"Best, or shown to be within a point of the best, in how many of the settings that they entered: {shown}."]


def _improving(rows: Sequence[Row]) -> list[str]:
    """Which trainings were cut short."""
    counts: dict[str, list[int]] = {}
    for row in rows:
        if not row.ensemble and not row.test and not row.domain and row.results:
            found = counts.setdefault(row.line, [0, 0])
            found[0] += improving_seeds(row)
            found[1] += len(row.results)
    shown = [f"{line} ({some} of {of} cells)" for line, (some, of) in counts.items() if some]
    if not shown:
        return []
    return [f"Still improving when training ended: {listed(shown)}; with longer training the order may change."]


def _ranks(rows: Sequence[Row]) -> list[str]:
    try:
        ranks = rank_over_datasets(rows)
    except NotComparableError:
        return []
    shown = ", ".join(f"{name} {ranks.mean_rank[name]:.2f}" for name in ranks.ordered)
    return [f"Mean ranks over data sets: {shown}."]
