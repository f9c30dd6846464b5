"""The table of results on a page: a group of rows for each setting, columns by importance."""

from collections.abc import Mapping, Sequence
from html import escape

from benchmark.reporting.tables.paper import is_axis
from benchmark.reporting.tables.table import Column, Estimate, Table, Value, kinds_of_columns, sort_key, text


def to_page(table: Table) -> str:
    """A `<table>` whose rows name what differs within their setting, which is told once, above them.

    Cells carry the value to sort by in `data-sort`, rows the words to filter by in `data-words`, and columns of lesser
    importance a class, `l2` or `l3`, by which narrow screens leave them out.
    """
    columns = [Column("label", "method"), *(c for c in table.columns if c.key != "method" and not is_axis(c))]
    kinds = ["txt", *(kind for c, kind in zip(table.columns, kinds_of_columns(table), strict=True) if c in columns)]
    classes = [f"{kind} l{column.level}" if column.level > 1 else kind
               for kind, column in zip(kinds, columns, strict=True)]  # fmt: skip
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(column.title)}</th>'
        for column, kind in zip(columns, classes, strict=True)
    )
    groups: dict[str, list[Mapping[str, Value]]] = {}
    for row in table.rows:
        groups.setdefault(str(row.get("setting", "")), []).append(row)
    bodies = [_group(setting, rows, columns, classes) for setting, rows in groups.items()]
    caption = f"<caption>{escape(table.caption)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead>\n{''.join(bodies)}</table>"


def _group(setting: str, rows: Sequence[Mapping[str, Value]], columns: Sequence[Column], classes: Sequence[str]) -> str:
    lines = [f'<tr class="group"><th scope="rowgroup" colspan="{len(columns)}">{escape(setting)}</th></tr>']
    for row in rows:
        cells = []
        for column, kind in zip(columns, classes, strict=True):
            value = row.get(column.key)
            shown = escape(text(value, column.decimals))
            if isinstance(value, Estimate) and value.best:
                shown = f"<strong>{shown}</strong>"
            cells.append(f'<td class="{kind}" data-sort="{escape(sort_key(value))}">{shown}</td>')
        words = "\n".join([setting, *(text(row.get(column.key), column.decimals) for column in columns)])
        lines.append(f'<tr data-words="{escape(words)}">{"".join(cells)}</tr>')
    return "<tbody>\n" + "\n".join(lines) + "\n</tbody>\n"
