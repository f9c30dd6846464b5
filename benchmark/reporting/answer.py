"""What a grid found, for the first screen: its question, the answer in a sentence, the best of every setting."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.reporting.contrasts import Contrast, Point
from benchmark.reporting.figures.panels import task_title
from benchmark.reporting.findings import findings
from benchmark.reporting.labels import listed, told_apart
from benchmark.reporting.record import Record
from benchmark.reporting.row import Row, settings
from benchmark.reporting.tables.table import Estimate, signed

SURE = {"yes": "sure", "close": "close", "no": "undecided", "models": "one seed", "alone": "not compared"}
"""`Finding.sure` in a word."""

MOST_SETTINGS = 3
"""More are told as a range."""


@dataclass(frozen=True)
class Best:
    """The most accurate row of a setting.

    Attributes:
        task: in words that tell it from the others, without the width.
        width: `8 channels`, or nothing.
        name: its label; empty without results.
        accuracy: in words.
        ahead: by how much of the next, in points with the half-width of the interval; empty if not compared.
        of: the label of the next.
        sure: how sure that is, in a word.
    """

    task: str
    width: str
    name: str = ""
    accuracy: str = ""
    ahead: str = ""
    of: str = ""
    sure: str = "not compared"


@dataclass(frozen=True)
class Answer:
    """A grid's question (may be empty), what was found in a sentence, and the best of every setting."""

    question: str
    sentence: str
    best: tuple[Best, ...]


def answer(record: Record, rows: Sequence[Row], contrasts: Sequence[Contrast]) -> Answer:
    """What the grid found."""
    return Answer(record.question, _sentence(rows, contrasts), tuple(_best_of_settings(rows)))


def _best_of_settings(rows: Sequence[Row]) -> list[Best]:
    found = []
    tasks = told_apart(list(dict.fromkeys(map(task_title, rows))))
    for group, finding in zip(settings(rows).values(), findings(rows), strict=True):
        task, width = tasks[task_title(group[0])], _width(group[0])
        ranked = sorted((r for r in group if r.interval and not r.reference), key=lambda row: -_mean(row))
        if not ranked:
            found.append(Best(task, width))
            continue
        mean, half_width = Estimate.of(ranked[0].interval).parts if ranked[0].interval else ("", "")
        best = Best(task, width, ranked[0].label, f"{mean} ± {half_width} %", sure=SURE[finding.sure])
        if len(ranked) > 1 and (comparison := ranked[1].comparison) is not None:
            gap = comparison.interval
            ahead = f"{signed(100 * gap.mean)} ± {100 * gap.half_width:.1f}"
            best = Best(best.task, best.width, best.name, best.accuracy, ahead, ranked[1].label, best.sure)
        found.append(best)
    return found


def _mean(row: Row) -> float:
    return row.interval.mean if row.interval else 0.0


def _sentence(rows: Sequence[Row], contrasts: Sequence[Contrast]) -> str:
    """The answer; of a grid in which nothing can be compared, what it measured."""
    if not any(row.interval for row in rows):
        return "There are no results yet."
    if not contrasts:
        return _measured(rows)
    points = [point for one in contrasts for point in one.points]
    places = _Places([point.a for point in points])
    said = "; ".join(_contrast(one, places) for one in contrasts)
    return f"{said.replace('undecided, with', 'Undecided, with', 1) if said.startswith('undecided') else said}."


class _Places:
    """Where differences were measured, in as few words as tell them apart."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.tasks = told_apart(list(dict.fromkeys(map(task_title, rows))))
        self.widths = {_width(row) for row in rows}

    def __call__(self, row: Row) -> str:
        """`8 channels`; `(5-shot)` where tasks differ; nothing if there is one place only."""
        width = _width(row) if len(self.widths) > 1 else ""
        task = f"({self.tasks[task_title(row)]})" if len(self.tasks) > 1 else ""
        return " ".join(filter(None, (width, task)))


def _width(row: Row) -> str:
    return row.size_text if row.size_text in row.setting_text else ""


def _measured(rows: Sequence[Row]) -> str:
    shown = [(f"{_mean(row):.1%}".replace("%", " %"), row) for row in rows if row.interval and not row.reference]
    if not shown:
        shown = [(f"{_mean(row):.1%}".replace("%", " %"), row) for row in rows if row.interval]
    method = " and ".join(dict.fromkeys(row.method for _, row in shown))
    if len(shown) <= MOST_SETTINGS:
        return f"{method} reaches {listed([f'{value} ({row.setting_text})' for value, row in shown])}."
    ordered = sorted(shown, key=lambda one: _mean(one[1]))
    return f"{method} reaches {ordered[0][0]} to {ordered[-1][0]}, the most in {ordered[-1][1].setting_text}."


def _contrast(contrast: Contrast, place_of: _Places) -> str:
    """`a` against `b`: where it is ahead, where behind, where undecided."""
    places: dict[str, list[Point]] = {}
    for point in contrast.points:
        places.setdefault(place_of(point.a), []).append(point)
    by_verdict: dict[str, list[tuple[str, list[Point]]]] = {}
    for place, points in places.items():
        by_verdict.setdefault(_verdict(points), []).append((place, points))
    a, b = contrast.a, contrast.b
    said: list[str] = []
    for verdict, opening, again in (
        ("ahead", f"{a} beats {b}", "beats it"),
        ("partly ahead", f"{a} beats {b} in one mode", "in one mode"),
        ("behind", f"{a} loses to {b}", "loses"),
        ("partly behind", f"{a} loses to {b} in one mode", "loses in one mode"),
        ("alike", f"{a} is within a point of {b}", "is within a point"),
        ("undecided", f"{a} against {b} is undecided", "undecided"),
        ("one seed", f"undecided, with one training each: {a} is", "with one training each"),
    ):
        if verdict in by_verdict:
            told = _said_once([_told(verdict, place, points, b) for place, points in by_verdict[verdict]], b)
            at = "at " if told[0][:1].isdigit() and verdict != "one seed" else ""
            said.append(f"{again if said else opening} {at}{listed(_unit_once(told))}".strip())
    return ", ".join(said)


def _said_once(told: Sequence[str], b: str) -> list[str]:
    """`1.2 points ahead of b at 4 channels`, `0.3 points ahead of b at 8 channels`: the second without `b`."""
    first, *rest = told
    return [first, *(one.replace(f"ahead of {b}", "ahead").replace(f"behind {b}", "behind") for one in rest)]


def _unit_once(places: Sequence[str]) -> list[str]:
    """`16 channels`, `32 channels` as `16`, `32 channels`, if they all begin so."""
    units = {found[1] for place in places if (found := re.match(r"\d+ (\w+)", place))}
    if len(units) != 1 or not all(re.match(r"\d+ \w", place) for place in places):
        return list(places)
    unit = units.pop()
    return [*(re.sub(rf"^(\d+) {unit}", r"\1", place) for place in places[:-1]), places[-1]]


def _verdict(points: Sequence[Point]) -> str:
    """Of one place, over the modes."""
    found = {point.verdict for point in points}
    if len(found) == 1:
        return found.pop()
    ahead, behind = "ahead" in found, "behind" in found
    if ahead != behind:
        return "partly ahead" if ahead else "partly behind"
    return "undecided"


def _told(verdict: str, place: str, points: Sequence[Point], b: str) -> str:
    """A place, and what was measured there."""
    if verdict in ("undecided", "alike") and place:
        return place
    shown = [p for p in points if p.verdict == verdict.removeprefix("partly ")] or points
    gaps = [100 * point.comparison.interval.mean for point in shown]
    if verdict in ("undecided", "alike"):
        intervals = [point.comparison.interval for point in shown]
        of_each = [f"{signed(100 * one.mean)} ± {100 * one.half_width:.1f}" for one in intervals]
        return f"({' and '.join(of_each)} points)"
    if verdict == "one seed":
        ways = {gap > 0 for gap in gaps}
        way = f"ahead of {b}" if ways == {True} else f"behind {b}" if ways == {False} else f"off {b}"
        at = "at " if place[:1].isdigit() else ""
        return f"{_range(gaps)} points {way} {at}{place}".strip()
    return f"{place} (by {_range(gaps)} points)" if place else f"by {_range(gaps)} points"


def _range(gaps: Sequence[float]) -> str:
    """`3.1`, or `3.1 to 4.7`, without signs unless they differ."""
    alike = len({gap > 0 for gap in gaps}) == 1
    ordered = sorted(map(abs, gaps)) if alike else sorted(gaps)
    ends = dict.fromkeys(f"{gap:.1f}" if alike else signed(gap) for gap in ordered)
    first, *rest = ends
    return f"{first} to {rest[-1]}" if rest else first
