"""The table of results in a terminal."""

from typing import TYPE_CHECKING

import rich.box
import rich.table
from rich.text import Text

from benchmark.machine.terminal import Terminal
from benchmark.reporting.tables.table import Estimate, Parts, Table

if TYPE_CHECKING:
    from rich.console import Console

    from benchmark.reporting.summary import Summary

_TOO_MUCH = {"episode_only", "episodes", "parameters", "steps", "difference", "note"}
_TOO_MUCH_WHEN_NARROW = {"minutes", "ms_per_task", "transductive", "published", "verdict"}
"""Columns left to the files: a terminal has about a hundred characters."""


def print_table(summary: "Summary", console: "Console") -> None:
    """Print what was found: the table, then the findings in words."""
    left_out = _TOO_MUCH | (_TOO_MUCH_WHEN_NARROW if console.width < 105 else set())
    print_rows(summary.table.without(*left_out), console)
    if any(row.interval and row.interval.kind == "episodes only" for row in summary.rows):
        console.print("* one seed: the interval covers the test episodes only", style="dim", highlight=False)
    for row in summary.rows:
        for problem in row.problems:
            console.print(f"{row.setting_text}, {row.label}: {problem}", style="red", markup=False, highlight=False)
    if summary.answer.question:
        console.print(summary.answer.question, style="dim", markup=False, highlight=False)
    console.print(summary.answer.sentence, style="bold", markup=False, highlight=False)
    for sentence in summary.sentences:
        console.print(sentence, markup=False, highlight=False)


def print_rows(table: Table, console: "Console") -> None:
    """Print a table, the best in bold."""
    shown_text = console.shown if isinstance(console, Terminal) else str
    shown = rich.table.Table(box=rich.box.SIMPLE_HEAD, title=table.caption, title_justify="left", pad_edge=False)
    for column in table.columns:
        numeric = any(isinstance(row.get(column.key), int | float | Estimate | Parts) for row in table.rows)
        shown.add_column(column.title, justify="right" if numeric else "left", overflow="fold")
    for values in table.rows:
        cells = zip(table.columns, map(shown_text, table.cells(values)), strict=True)
        shown.add_row(*(Text(cell, style=_style(values.get(column.key))) for column, cell in cells))
    console.print(shown)


def _style(value: object) -> str:
    return "bold" if isinstance(value, Estimate) and value.best else ""
