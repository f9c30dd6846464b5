"""One table, written as Markdown, CSV, LaTeX (booktabs) and HTML."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape

from benchmark.statistics import Interval

MISSING = "\N{EN DASH}"


@dataclass(frozen=True)
class Estimate:
    """An accuracy with the half-width of its interval, as fractions; shown in percent.

    Attributes:
        mean: in [0, 1].
        half_width: of the 95 % interval.
        best: shown in bold.
        mark: appended to the number, to refer to a note.
    """

    mean: float
    half_width: float
    best: bool = False
    mark: str = ""

    @classmethod
    def of(cls, interval: Interval, best: bool = False) -> "Estimate":
        """The estimate of an interval, marked if only episodes vary."""
        return cls(interval.mean, interval.half_width, best, "*" if interval.kind == "episodes only" else "")

    @property
    def parts(self) -> tuple[str, str]:
        """Mean and half-width in percent."""
        return f"{100 * self.mean:.2f}", f"{100 * self.half_width:.2f}"


@dataclass(frozen=True)
class Parts:
    """A value that people read as one, and machines as several numbers: `2/3`, `9,618 to 9,696`, `82.0?`.

    Attributes:
        shown: what people read.
        values: what goes under each of the column's `suffixes` in the CSV; the first is what to sort by.
    """

    shown: str
    values: tuple[str | int | float | None, ...]


Value = str | int | float | bool | Estimate | Parts | None


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        key: heads it in the CSV.
        title: heads it everywhere else.
        decimals: for floats; None: as they are.
        level: importance, 1 for what the narrowest screen shows, 3 for what a page shows on demand only.
        suffixes: what `key` gets in the CSV, one for each of the numbers of a value.
    """

    key: str
    title: str
    decimals: int | None = 1
    level: int = 1
    suffixes: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Table:
    """Rows of typed values, with a caption above and notes below."""

    columns: Sequence[Column]
    rows: Sequence[Mapping[str, Value]]
    caption: str
    notes: Sequence[str]

    def without_empty_columns(self) -> "Table":
        """The same table without columns in which no row has a value."""
        kept = [c for c in self.columns if any(row.get(c.key) not in (None, "") for row in self.rows)]
        return replace(self, columns=kept)

    def without(self, *keys: str) -> "Table":
        """The same table without these columns."""
        return replace(self, columns=[column for column in self.columns if column.key not in keys])

    def cells(self, row: Mapping[str, Value]) -> list[str]:
        """A row as plain text."""
        return [text(row.get(column.key), column.decimals) for column in self.columns]


MINUS = "\N{MINUS SIGN}"


def signed(points: float, decimals: int = 1) -> str:
    """A number with its sign, as all signs are: `+1.2`, `\N{MINUS SIGN}0.3`."""
    return f"{points:+.{decimals}f}".replace("-", MINUS)


def text(value: Value, decimals: int | None = 1) -> str:
    """A value for people."""
    match value:
        case None:
            return MISSING
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}".replace("-", MINUS)
        case float():
            # The exponent of 5e-05 is no minus of a number.
            return f"{value:g}" if decimals is None else f"{value:.{decimals}f}".replace("-", MINUS)
        case Estimate():
            mean, half_width = value.parts
            return f"{mean} ± {half_width}{value.mark}".replace("-", MINUS)
        case Parts():
            return value.shown
        case _:
            return str(value)


def to_markdown(table: Table) -> str:
    """A pipe table with aligned columns; the best in bold."""
    grid = [[column.title for column in table.columns]]
    for row in table.rows:
        bold = [isinstance(value, Estimate) and value.best for value in (row.get(c.key) for c in table.columns)]
        texts = [_markdown(cell).replace("|", "\\|") for cell in table.cells(row)]
        grid.append([f"**{cell}**" if strong else cell for cell, strong in zip(texts, bold, strict=True)])
    widths = [max(3, *(len(line[i]) for line in grid)) for i in range(len(table.columns))]
    right = _right_aligned(table)

    def line(cells: Sequence[str]) -> str:
        padded = (c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True))
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join(f"{'-' * (w + 1)}:" if r else "-" * (w + 2) for w, r in zip(widths, right, strict=True)) + "|"
    body = [line(grid[0]), rule, *map(line, grid[1:])]
    notes = [f"- {_markdown(note)}" for note in table.notes]
    return "\n".join([f"**{_markdown(table.caption)}**", "", *body, "", *notes, ""])


def _markdown(words: str) -> str:
    """On one line, without tags and pictures, which a page that shows Markdown would load or run."""
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", " ".join(words.splitlines())).replace("![", "!\\[")


def csv_cell(value: object) -> object:
    """Text that a spreadsheet would take for a formula gets an apostrophe before it, as OWASP advises."""
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(_FORMULA) else "") + value.replace("\r", " ")  # which Python leaves unquoted


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}")


def to_csv(table: Table) -> str:
    """Every number at full precision and in a column of its own; accuracies and their differences stay fractions."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    suffixes = {c.key: _suffixes(c, [row.get(c.key) for row in table.rows]) for c in table.columns}
    writer.writerow(f"{column.key}{suffix}" for column in table.columns for suffix in suffixes[column.key])
    for row in table.rows:
        cells: list[object] = []
        for column in table.columns:
            cells += _numbers(row.get(column.key), len(suffixes[column.key]))
        writer.writerow(cells)
    return out.getvalue()


def _suffixes(column: Column, values: Sequence[Value]) -> tuple[str, ...]:
    return ("", "_half_width") if any(isinstance(value, Estimate) for value in values) else column.suffixes


def _numbers(value: Value, count: int) -> list[object]:
    """A value as cells of a CSV; one that all share, such as the same number of steps, is repeated."""
    match value:
        case Estimate():
            return [f"{value.mean:.6f}", f"{value.half_width:.6f}"]
        case Parts():
            return [cell for part in value.values for cell in _numbers(part, 1)]
        case None | "":
            return [""] * count
        case bool():
            return [value] * count
        case float():
            return [f"{value:.6g}"] * count
        case _:
            return [csv_cell(value), *([value] if isinstance(value, int) else [""]) * (count - 1)]


_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{c: f"\\{c}" for c in "&%$#_{}"},
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{c: f"${c}$" for c in "<>|"},
        "±": r"$\pm$",
        "\N{MULTIPLICATION SIGN}": r"$\times$",
        "·": r"$\cdot$",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "\N{DAGGER}": r"$\dagger$",
        "\N{UPWARDS ARROW}": r"$\uparrow$",
    }
)

_LONG = 30
"""Characters from which on a column of text is broken into lines."""


def to_latex(table: Table, label: str) -> str:
    """A table in the style of the booktabs package, shrunk to the width of the text if it is wider (graphicx).

    Args:
        table: what to write.
        label: for references to it; letters, digits, `.`, `:`, `_` and `-`.
    """
    rows = []
    for row in table.rows:
        cells = []
        for column, cell in zip(table.columns, table.cells(row), strict=True):
            value = row.get(column.key)
            escaped = _latex(cell)
            cells.append(rf"\textbf{{{escaped}}}" if isinstance(value, Estimate) and value.best else escaped)
        rows.append("    " + " & ".join(cells) + r" \\")
    columns = "".join(
        _latex_column(table, column, right) for column, right in zip(table.columns, _right_aligned(table), strict=True)
    )
    header = " & ".join(_latex(column.title) for column in table.columns)
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{_latex(table.caption)}}}\label{{{label}}}",
            r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"  \begin{{tabular}}{{{columns}}}",
            r"    \toprule",
            rf"    {header} \\",
            r"    \midrule",
            *rows,
            r"    \bottomrule",
            r"  \end{tabular}}\par\medskip",
            r"  \raggedright\footnotesize",
            *(rf"  {_latex(note)}\par" for note in table.notes),
            r"\end{table}",
            "",
        ]
    )


def _latex(words: str) -> str:
    """Escaped; letters that LaTeX has not set up become question marks, so that it compiles whatever a user named."""
    return "".join(c if ord(c) < 0x180 or ord(c) in _LATEX else "?" for c in words).translate(_LATEX)


def _latex_column(table: Table, column: Column, right: bool) -> str:
    longest = max((len(text(row.get(column.key), column.decimals)) for row in table.rows), default=0)
    return "r" if right else "l" if longest < _LONG else r"p{5cm}"


def to_html(table: Table) -> str:
    """A `<table>` whose cells carry the value to sort by in `data-sort`."""
    right = kinds_of_columns(table)
    head = "".join(
        f'<th scope="col" class="{kind}">{escape(column.title)}</th>'
        for column, kind in zip(table.columns, right, strict=True)
    )
    body = []
    for row in table.rows:
        cells = []
        for column, cell, kind in zip(table.columns, table.cells(row), right, strict=True):
            value = row.get(column.key)
            best = isinstance(value, Estimate) and value.best
            shown = f"<strong>{escape(cell)}</strong>" if best else escape(cell)
            cells.append(f'<td class="{kind}" data-sort="{escape(sort_key(value))}">{shown}</td>')
        body.append(f"<tr>{''.join(cells)}</tr>")
    caption = f"<caption>{escape(table.caption)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(body) + "\n</tbody></table>"


def kinds_of_columns(table: Table) -> list[str]:
    """The class of each column in HTML: `num` or `txt`."""
    return ["num" if right else "txt" for right in _right_aligned(table)]


def sort_key(value: Value) -> str:
    """What a page sorts a cell by."""
    match value:
        case Parts():
            return sort_key(value.values[0])
        case None:
            return ""
        case Estimate():
            return f"{value.mean:.6f}"
        case bool():
            return str(int(value))
        case _:
            return str(value)


def _right_aligned(table: Table) -> list[bool]:
    """Columns of numbers are aligned right."""
    kinds = [[row.get(column.key) for row in table.rows] for column in table.columns]
    return [
        any(isinstance(v, int | float | Estimate | Parts) and not isinstance(v, bool) for v in values)
        for values in kinds
    ]
