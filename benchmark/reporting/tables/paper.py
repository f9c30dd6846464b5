"""The table that a paper wants: few columns, and the notes that they need."""

from collections.abc import Sequence
from dataclasses import replace

from benchmark.errors import UserError
from benchmark.reporting.remarks import REMARKS
from benchmark.reporting.tables.table import Column, Table

_FACTS = ("test", "accuracy", "error", "seeds", "published")
"""Beside the method and the axes of the grid."""

_NOTES = {
    "accuracy": ("accuracy:", "bold:", "*:", "an interval is cut"),
    "test": ("test:",),
    "episode_only": ("episodes only",),
    "published": ("published:",),
    "verdict": ("verdict:",),
    "task_network": ("task network:",),
    "ms_per_task": ("ms per task:",),
    "forgetting": ("task sequences:",),
    "note": tuple(remark.rule for remark in REMARKS),
}
"""How the notes on a column begin."""


def paper_table(table: Table, columns: Sequence[str] = ()) -> Table:
    """The table with these columns, by key or title, in this order; without any, method, axes, accuracy and seeds.

    Raises:
        UserError: there is no such column; it names those there are.
    """
    chosen = [_find(table, name) for name in columns] if columns else [one for one in table.columns if _usual(one)]
    keys = {column.key for column in chosen}
    begins = tuple(begin for key, found in _NOTES.items() if key in keys for begin in found)
    return replace(table, columns=chosen, notes=[note for note in table.notes if note.startswith(begins)])


def _usual(column: Column) -> bool:
    return column.key == "method" or is_axis(column) or column.key in _FACTS


def is_axis(column: Column) -> bool:
    """Whether it is an axis of the grid: `model.channels`."""
    return "." in column.key


def _find(table: Table, name: str) -> Column:
    for column in table.columns:
        if name in (column.key, column.title, column.key.removeprefix("model.")):
            return column
    known = ", ".join(column.key.removeprefix("model.") for column in table.columns)
    raise UserError(f"--columns: the table has no column {name!r}; there are {known}")
