"""Every two methods of a setting, compared on the same test episodes: for questions other than which is the best."""

from collections.abc import Sequence
from itertools import combinations

from benchmark.reporting.rows import Row, settings
from benchmark.reporting.tables.table import Column, Estimate, Table, Value
from benchmark.statistics import Comparison, NotComparableError, compare, holm

_COLUMNS = [
    Column("setting", "setting"),
    Column("a", "a"),
    Column("b", "b"),
    Column("difference", "a \N{MINUS SIGN} b"),
    Column("interval", "interval"),
    Column("seeds", "shared seeds"),
    Column("p_value", "p"),
    Column("p_adjusted", "p (Holm, all pairs of the setting)"),
    Column("p_permutation", "p (sign flips of episodes)"),
    Column("wins", "wins"),
]


def pairs_table(rows: Sequence[Row]) -> Table | None:
    """One line per pair, the more accurate first, with the paired interval of their difference; None without any pair.

    Pairs without a shared seed, or tested on different episodes, are left out.
    """
    lines: list[dict[str, Value]] = []
    for group in settings(rows).values():
        ranked = sorted((row for row in group if row.interval and not row.reference), key=lambda row: -_mean(row))
        found = [(a, b, one) for a, b in combinations(ranked, 2) if (one := _compare(a, b)) is not None]
        adjusted = holm([one.interval.p_value for _, _, one in found])
        lines += [
            {
                "setting": a.setting_text,
                "a": a.label,
                "b": b.label,
                "difference": Estimate.of(one.interval),
                "interval": one.interval.kind,
                "seeds": len(set(a.seeds) & set(b.seeds)),
                "p_value": one.interval.p_value,
                "p_adjusted": p,
                "p_permutation": one.p_permutation,
                "wins": one.wins,
            }
            for (a, b, one), p in zip(found, adjusted, strict=True)
        ]
    return Table(_COLUMNS, lines, "Differences in test accuracy (points)", []) if lines else None


def _mean(row: Row) -> float:
    return row.interval.mean if row.interval else 0.0


def _compare(a: Row, b: Row) -> Comparison | None:
    try:
        return compare(a.scores, b.scores)
    except NotComparableError:
        return None
