"""Intervals and comparisons of rows: what depends on the other rows of a grid."""

from collections.abc import Sequence
from dataclasses import replace

from benchmark.reporting.published import find_published
from benchmark.reporting.row import Row, Standing, compare_rows, settings
from benchmark.reporting.seed_variance import Group, prior_of_differences, prior_of_means
from benchmark.statistics import Comparison, NotComparableError, adjusted, primary_interval


def judge(rows: list[Row]) -> list[Row]:
    """Rows of a whole grid with their intervals, published numbers and comparisons, in the same order."""
    return _compared(_with_rivals(_with_intervals(rows)))


def _with_intervals(rows: list[Row]) -> list[Row]:
    """Rows with their intervals, the seed variance pooled within each group, and published numbers beside them."""
    groups: dict[Group | None, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    means, differences = {}, {}
    for group, members in groups.items():
        pooling = [row for row in members if row.pools]
        means[group] = prior_of_means(row.accuracy for row in pooling if row.accuracy is not None)
        differences[group] = prior_of_differences([row.scores for row in one] for one in settings(pooling).values())
    found = []
    for row in rows:
        if row.accuracy is not None:
            prior = means[row.group] if row.pools else None
            interval = primary_interval(row.accuracy, prior).within(0, 1)
            row = replace(row, interval=interval, prior=prior, difference_prior=differences[row.group])
        # Published numbers are of networks that were trained for the task.
        known = [] if row.test else find_published(row.cells[0].config, row.interval)
        found.append(replace(row, published=tuple(known)))
    return found


def _with_rivals(rows: list[Row]) -> list[Row]:
    """Methods without a width, where others have several, with copies of all those to be compared with."""
    found = []
    for row in rows:
        if row.setting[1] == "any":
            sized = [
                one
                for one in rows
                if (one.task, one.ensemble, one.domain) == (row.task, row.ensemble, row.domain)
                and one.channels is not None
            ]
            guests = [one.scores for one in rows if one.setting == row.setting and one.pools]
            prior = prior_of_differences([[*guests, *(one.scores for one in sized if one.pools)]] if guests else [])
            rivals = tuple(
                replace(
                    one,
                    label=f"{one.label}, {one.size_text}",
                    setting=row.setting,
                    setting_text=row.setting_text,
                    difference_prior=prior,
                )
                for one in sized
            )
            row = replace(row, rivals=rivals, difference_prior=prior)
        found.append(row)
    return found


def _compared(rows: list[Row]) -> list[Row]:
    """Rows with their comparison to the best of their setting."""
    compared: dict[int, Row] = {}
    for group in settings(rows).values():
        for row, judged in zip(group, _judged(group), strict=True):
            compared[id(row)] = judged
    # Rivals are judged beside the row they are rivals of, and only there.
    found = []
    for row in rows:
        rivals = tuple(compared[id(one)] for one in row.rivals if id(one) in compared)
        found.append(replace(compared[id(row)], rivals=rivals))
    return found


def _judged(group: Sequence[Row]) -> list[Row]:
    """The rows of a setting, each compared with the best."""
    judged = {id(row): row for row in group}
    learners = [row for row in group if row.interval is not None and not row.reference]
    if len(learners) < 2:
        return list(group)
    best, *others = sorted(learners, key=lambda row: -row.interval.mean if row.interval else 0.0)
    try:
        comparisons = adjusted([compare_rows(best, other) for other in others])
    except NotComparableError as error:
        for row in learners:
            judged[id(row)] = replace(row, problems=(*row.problems, f"not compared: {error}"))
        return list(judged.values())
    judged[id(best)] = replace(best, standing=_standing_of_best(comparisons))
    for row, comparison in zip(others, comparisons, strict=True):
        judged[id(row)] = replace(row, comparison=comparison, standing=_standing(comparison))
    return list(judged.values())


def _standing_of_best(comparisons: Sequence[Comparison]) -> Standing:
    if not any(one.interval.speaks_of_methods for one in comparisons):
        return "one seed"
    if all(one.differ for one in comparisons):
        return "best"
    return "within a point" if all(one.a_as_good for one in comparisons) else "undecided"


def _standing(comparison: Comparison) -> Standing:
    if not comparison.interval.speaks_of_methods:
        return "one seed"
    if comparison.b_as_good:
        return "within a point"
    return "worse" if comparison.differ else "undecided"
