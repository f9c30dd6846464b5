"""The table of the HyperTransformer paper: methods by channels, and what was published beneath what was measured."""

from collections.abc import Sequence
from dataclasses import replace

from benchmark.reporting.figures.panels import task_title
from benchmark.reporting.published import Match, Published
from benchmark.reporting.record import Record
from benchmark.reporting.remarks.still_improving import RULE, improving_seeds
from benchmark.reporting.rows import Row
from benchmark.reporting.tables.results import BOLD
from benchmark.reporting.tables.table import Column, Estimate, Table, Value

SHORT, IMPROVING = "\N{DAGGER}", "\N{UPWARDS ARROW}"


def channels_table(record: Record, rows: Sequence[Row]) -> Table | None:
    """One line per task and method, one column per number of channels; None with fewer than two of these."""
    channels = sorted({row.channels for row in rows if row.channels is not None})
    if len(channels) < 2:
        return None
    tasks: dict[str, dict[str, list[Row]]] = {}
    for row in rows:
        if row.channels is not None:
            tasks.setdefault(task_title(row), {}).setdefault(row.line, []).append(row)
    sources: list[Published] = []
    lines: list[dict[str, Value]] = []
    for task, members_by_line in tasks.items():
        for line, members in members_by_line.items():
            lines += [{"task": task, **cells} for cells in _block(line, members, sources)]
    columns = [Column("task", "task"), Column("method", "method"), *(Column(str(c), f"{c} channels") for c in channels)]
    if len(tasks) == 1:
        columns = columns[1:]
    caption = f"{record.name}: test accuracy (%) by channels of the per-task network"
    return Table(columns, lines, caption, _notes(rows, sources))


def _block(line: str, members: Sequence[Row], sources: list[Published]) -> list[dict[str, Value]]:
    """One method on one task: what was measured, then a line for each source of published numbers."""
    measured: dict[str, Value] = {"method": line}
    published: dict[str, dict[str, Value]] = {}
    for row in members:
        measured[str(row.channels)] = _measured(row)
        for match in row.published:
            name = f"published [{_number(match.published, sources)}]"
            published.setdefault(name, {"method": name})[str(row.channels)] = _published(match)
    return [measured, *published.values()]


def _measured(row: Row) -> Value:
    if row.interval is None:
        return row.problems[-1].partition(":")[0] if row.problems else None
    estimate = Estimate.of(row.interval, row.bold)
    return replace(estimate, mark=estimate.mark + SHORT * (not row.complete) + IMPROVING * (improving_seeds(row) > 0))


def _published(match: Match) -> str:
    value = f"{match.published.accuracy}"
    if match.published.plus_minus is not None:
        value += f" ± {match.published.plus_minus}"
    if match.difference is None:
        return value
    sign = "+" if match.difference >= 0 else "\N{MINUS SIGN}"
    return f"{value} ({sign}{abs(100 * match.difference):.1f}, {match.verdict})"


def _number(published: Published, sources: list[Published]) -> str:
    """Of the source among those seen so far: paper, place and remarks."""
    for number, known in enumerate(sources, start=1):
        if _source(known) == _source(published):
            return str(number)
    sources.append(published)
    return str(len(sources))


def _source(published: Published) -> str:
    where = f", {published.where}" if published.where else ""
    note = f"; {published.note}" if published.note else ""
    return f"{published.paper}{where}; confidence: {published.confidence}{note}"


def _notes(rows: Sequence[Row], sources: Sequence[Published]) -> list[str]:
    kinds = {row.interval.kind for row in rows if row.interval}
    notes = [
        "± half the 95 % interval" + (" over training seeds and shared test episodes" * bool(kinds - {"episodes only"}))
    ]
    if "episodes only" in kinds:
        notes.append("*: one seed; the interval is over test episodes only")
    if any(row.bold for row in rows):
        notes.append(f"bold: {BOLD}")
    if any(row.interval and not row.complete for row in rows):
        notes.append(f"{SHORT}: not all planned seeds")
    if any(map(improving_seeds, rows)):
        notes.append(f"{IMPROVING}: {RULE}")
    if sources:
        notes.append(
            "published: the number as printed; in brackets ours minus it, and whether it lies inside our interval,"
            " within a point of our mean, or outside; undecided with one seed or an interval wider than five points"
            " either way"
        )
    notes += [f"[{number}] {_source(one)}" for number, one in enumerate(sources, start=1)]
    protocols = dict.fromkeys(f"{one.paper}: {one.protocol}" for one in sources if one.protocol)
    return notes + [f"protocol of {one}" for one in protocols]
