"""Two reports in one table: two grids, or two versions of a method, paired where they share test episodes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmark.machine.files import write_text
from benchmark.reporting.record import Record
from benchmark.reporting.row import Row
from benchmark.reporting.rows import make_rows
from benchmark.reporting.tables.table import (
    Column,
    Estimate,
    Parts,
    Table,
    Value,
    signed,
    to_csv,
    to_latex,
    to_markdown,
)
from benchmark.statistics import Comparison, NotComparableError, adjusted, compare


def comparison_table(first: Record, second: Record) -> Table:
    """One line per setting and method that either has: both accuracies, and second minus first.

    Rows of the same setting and name are compared, by a paired interval where both were tested on the same episodes
    with a seed in common. Where a method is in one of the two only, the other's cell is empty.
    """
    rows = [{_place(row): row for row in make_rows(record)} for record in (first, second)]
    places = list(dict.fromkeys([*rows[0], *rows[1]]))
    pairs = {place: _compare(rows[0].get(place), rows[1].get(place)) for place in places}
    compared = {place: one for place, one in pairs.items() if isinstance(one, Comparison)}
    corrected = dict(zip(compared, adjusted(list(compared.values())), strict=True))
    names = _names(first, second)
    lines = [
        _line([found.get(place) for found in rows], place, corrected.get(place) or pairs[place]) for place in places
    ]
    columns = [
        Column("setting", "setting"),
        Column("method", "method"),
        Column("first", f"{names[0]} %"),
        Column("second", f"{names[1]} %"),
        Column("difference", "second \N{MINUS SIGN} first", suffixes=("", "_half_width")),
        Column("seeds", "shared seeds"),
        Column("p_adjusted", "p (Holm)", 3),
        Column("note", "note"),
    ]
    notes = [
        f"first: {names[0]}; second: {names[1]}; differences in points, paired on the test episodes that both share",
        "p: of the interval's own test, Holm-corrected over all lines",
    ]
    if any(isinstance(one, Comparison) and not one.interval.speaks_of_methods for one in pairs.values()):
        notes.append("*: one shared seed, so the interval covers the test episodes of these trained models only")
    return Table(columns, lines, f"{names[0]} and {names[1]}: test accuracy (%)", notes).without_empty_columns()


def write_comparison(table: Table, folder: Path) -> None:
    """Write it as Markdown, CSV and LaTeX."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "comparison.md", to_markdown(table))
    write_text(folder / "comparison.csv", to_csv(table))
    write_text(folder / "comparison.tex", to_latex(table, "tab:comparison"))


def _names(first: Record, second: Record) -> tuple[str, str]:
    if first.name != second.name:
        return first.name, second.name
    return f"{first.name} (1)", f"{second.name} (2)"


def _place(row: Row) -> tuple[str, str]:
    """Setting and name, told the same way whichever grid the row is from: the width is part of the setting."""
    width = f", {row.size_text}" if row.size_text and row.size_text not in row.setting_text else ""
    return f"{row.setting_text}{width}", row.line


def _compare(a: Row | None, b: Row | None) -> Comparison | str:
    """Second minus first, or why not."""
    if a is None or b is None or a.accuracy is None or b.accuracy is None:
        return "" if a is None or b is None else "; ".join(dict.fromkeys((*a.problems, *b.problems)))
    try:
        return compare(replace(b.scores, name="second"), replace(a.scores, name="first"))
    except NotComparableError as error:
        return f"not compared: {error}"


def _line(rows: Sequence[Row | None], place: tuple[str, str], found: Comparison | str) -> dict[str, Value]:
    values: dict[str, Value] = {"setting": place[0], "method": place[1]}
    for name, row in zip(("first", "second"), rows, strict=True):
        if row is not None and row.interval is not None:
            values[name] = Estimate.of(row.interval)
    if isinstance(found, str):
        return values | {"note": found}
    gap = found.interval
    mark = "" if gap.speaks_of_methods else "*"
    shown = f"{signed(100 * gap.mean, 2)} ± {100 * gap.half_width:.2f}{mark}"
    note = ("higher" if gap.mean > 0 else "lower") if found.differ else "not shown to differ"
    values["difference"] = Parts(shown, (gap.mean, gap.half_width))
    values |= {"seeds": gap.seeds, "p_adjusted": found.p_adjusted}
    return values | {"note": note if gap.speaks_of_methods else "one seed"}
