"""The differences that a grid is about: of the methods that its question names, or of the two most accurate."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Literal

from benchmark.reporting.record import Record
from benchmark.reporting.row import Row, compare_rows, options_of, settings
from benchmark.statistics import Comparison, NotComparableError, adjusted

Verdict = Literal["ahead", "behind", "alike", "undecided", "one seed"]


@dataclass(frozen=True)
class Point:
    """One paired difference: row `a` minus row `b` of a setting.

    Attributes:
        a: the first row.
        b: the second.
        comparison: of the two, with Holm's correction over all points of the report's contrasts.
        published: the difference of the numbers that one paper has for both, in points; None without any.
    """

    a: Row
    b: Row
    comparison: Comparison
    published: float | None

    @property
    def mode(self) -> str:
        """The options that the rows share, or those of the one that has some."""
        return options_of(self.a) or options_of(self.b)

    @property
    def width(self) -> int | None:
        """Of the networks, if they have one."""
        return self.a.channels

    @property
    def verdict(self) -> Verdict:
        """Shown to be ahead or behind; shown to be within a point both ways; neither; or of one seed."""
        if not self.comparison.interval.speaks_of_methods:
            return "one seed"
        if self.comparison.differ:
            return "ahead" if self.comparison.interval.mean > 0 else "behind"
        return "alike" if self.comparison.a_as_good and self.comparison.b_as_good else "undecided"


@dataclass(frozen=True)
class Contrast:
    """All differences between two methods or lines, `a` minus `b`; `points` in the order of the settings."""

    a: str
    b: str
    points: tuple[Point, ...]


def find_contrasts(record: Record, rows: Sequence[Row]) -> list[Contrast]:
    """What the grid's question names: every method but the last, minus the last. Without two, the two best lines."""
    named = named_methods(record.question, list(dict.fromkeys(row.method for row in rows)))
    if len(named) > 1:
        pairs = [(one, named[-1]) for one in named[:-1]]
        found = [Contrast(a, b, tuple(_points(rows, a, b, lambda row: row.method))) for a, b in pairs]
    else:
        found = [Contrast(a, b, tuple(_points(rows, a, b, lambda row: row.line))) for a, b in _two_best(rows)]
    return _corrected([contrast for contrast in found if contrast.points])


def named_methods(question: str, methods: Sequence[str]) -> list[str]:
    """Those of the methods that a question names, in its order."""
    longest_first = sorted(methods, key=len, reverse=True)
    names = "|".join(map(re.escape, longest_first))
    return list(dict.fromkeys(re.findall(rf"(?<![\w+-])(?:{names})(?![\w+-])", question))) if methods else []


def _points(rows: Sequence[Row], a: str, b: str, name: Callable[[Row], str]) -> list[Point]:
    found = []
    for group in settings(rows).values():
        seconds = [row for row in group if name(row) == b and row.accuracy is not None]
        for first in group:
            if name(first) == a and first.accuracy is not None:
                found += [point for second in _partners(first, seconds) if (point := _point(first, second)) is not None]
    return found


def _partners(row: Row, others: Sequence[Row]) -> list[Row]:
    """Those with the same options; else all, if the row or they have none."""
    alike = [one for one in others if options_of(one) == options_of(row)]
    plain = [one for one in others if not options_of(one)]
    if alike or (len(others) == 1 and row.line != others[0].line):
        return alike or list(others)
    return list(others) if not options_of(row) else plain


def _point(a: Row, b: Row) -> Point | None:
    try:
        return Point(a, b, compare_rows(a, b), _published(a, b))
    except NotComparableError:
        return None


def _published(a: Row, b: Row) -> float | None:
    for ours in (match.published for match in a.published):
        for theirs in (match.published for match in b.published):
            if ours.paper == theirs.paper and (ours.accuracy, ours.where) != (theirs.accuracy, theirs.where):
                return ours.accuracy - theirs.accuracy
    return None


def _corrected(contrasts: Sequence[Contrast]) -> list[Contrast]:
    """With Holm's correction over all their points."""
    corrected = iter(adjusted([point.comparison for one in contrasts for point in one.points]))
    return [
        replace(one, points=tuple(replace(point, comparison=next(corrected)) for point in one.points))
        for one in contrasts
    ]


def _two_best(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The two most accurate lines, of those that are in the most settings."""
    means: dict[str, dict[object, float]] = {}
    for row in rows:
        if row.interval is not None and not row.reference and row.ensemble is None and row.domain is None:
            means.setdefault(row.line, {})[row.setting] = row.interval.mean
    if len(means) < 2:
        return []
    most = sorted(map(len, means.values()))[-2]
    common = [line for line, found in means.items() if len(found) >= most]
    shared = set.intersection(*(set(means[line]) for line in common))
    if not shared:
        return []
    first, second, *_ = sorted(common, key=lambda line: -fmean(means[line][setting] for setting in shared))
    return [(first, second)]
