"""Figures of several panels with one legend, and how their lines are shared out among the panels."""

import textwrap
from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from benchmark import figure_style
from benchmark.reporting.figures.figure import Picture
from benchmark.reporting.figures.lines import mark_cuts
from benchmark.reporting.row import Row, options_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Draw = Callable[[Axes, Sequence[Row]], None]

MOST_LINES = 5
"""More in one panel cannot be followed; they are shared out among facets."""

_SAID = {
    "_published": "Crosses are published numbers.",
    "_seeds": "Small dots are single seeds.",
    "_cut": "An arrow: the interval goes on.",
}
"""What a caption explains where a figure has lines with these labels, which legends leave out."""


def row_looks(rows: Sequence[Row]) -> dict[str, figure_style.Look]:
    """A look for the line of each row: see `figure_style.looks`."""
    return figure_style.looks({row.line: (row.method, options_of(row)) for row in rows})


def wrapped(title: str) -> str:
    """The title on as many lines as it needs over one panel."""
    return textwrap.fill(title, 40, break_on_hyphens=False)


def in_panels(
    rows: Sequence[Row],
    key: Callable[[Row], Any],
    title: Callable[[Row], str],
    draw: "Draw",
    caption: str,
) -> Picture | None:
    """A figure of one panel per key, or several where a panel would have too many lines, with one legend.

    The facets of one key have a line of panels and one scale. None if there are no rows.
    """
    from matplotlib.figure import Figure

    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    if not groups:
        return None
    shared = [facets(group) for group in groups.values()]
    most = max(map(len, shared))
    across = most if 1 < most <= 3 else min(3, sum(map(len, shared)))
    places = _places(list(map(len, shared)), across)
    down = 1 + max(line for line, _ in places)
    figure = Figure(figsize=(figure_style.COLUMN * max(1.3, across), 2.6 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False)
    free = iter(places)
    for group, parts in zip(groups.values(), shared, strict=True):
        drawn = []
        for name, members in parts.items():
            axes = panels[next(free)]
            draw(axes, members)
            axes.set_title("\n".join(filter(None, (wrapped(title(group[0])), name))))
            drawn.append(axes)
        _one_scale(drawn)
    for place in {(i, j) for i in range(down) for j in range(across)} - set(places):
        panels[place].remove()
    used = [panels[place] for place in places]
    for axes in used:
        mark_cuts(axes)
    legend(figure, used)
    return picture(figure, caption)


def _places(counts: Sequence[int], across: int) -> list[tuple[int, int]]:
    """Line and column of every panel: several facets of one key have lines of their own."""
    found: list[tuple[int, int]] = []
    line = column = before = 0
    for count in counts:
        if column and max(count, before) > 1:
            line, column = line + 1, 0
        before = count
        for _ in range(count):
            if column == across:
                line, column = line + 1, 0
            found.append((line, column))
            column += 1
    return found


def facets(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """The rows of one panel, or those of several by what these have in common: the options, the method, or the rank.

    Lines without options are in all facets by options, for comparison.
    """
    lines = {row.line: row for row in rows}
    methods = list(dict.fromkeys(row.method for row in rows))
    options = [one for one in dict.fromkeys(map(options_of, rows)) if one]
    if len(lines) <= MOST_LINES:
        return {"": list(rows)}
    if len(methods) > 1 and 2 <= len(options) <= 3:
        return {one: [row for row in rows if options_of(row) in (one, "")] for one in options}
    if len(methods) > 1 and len(lines) >= 2 * len(methods):
        return {one: [row for row in rows if row.method == one] for one in methods}
    if len(methods) == 1:  # whose variants fade
        return {"": list(rows)}
    means = {line: fmean(r.interval.mean for r in rows if r.line == line and r.interval) if any(
        r.line == line and r.interval for r in rows) else 0.0 for line in lines}  # fmt: skip
    ranked = sorted(lines, key=lambda line: -means[line])
    count = -(-len(ranked) // MOST_LINES)
    size = -(-len(ranked) // count)
    parts = [ranked[start : start + size] for start in range(0, len(ranked), size)]
    names = ["the most accurate", *["less accurate"] * (count - 2), "the least accurate"]
    found = {}
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        found[name if names.count(name) == 1 else f"{name} ({number})"] = [row for row in rows if row.line in part]
    return found


def _one_scale(panels: "Sequence[Axes]") -> None:
    """The same y axis for all."""
    low, high = (pick(axes.get_ylim()[end] for axes in panels) for end, pick in ((0, min), (1, max)))
    for axes in panels:
        axes.set_ylim(low, high)


def picture(figure: "Figure", caption: str) -> Picture:
    """The figure with its caption, to which the signs that it has are added."""
    labels = {line.get_label() for axes in figure.axes for line in axes.get_lines()}
    return Picture(figure, " ".join([caption, *(said for label, said in _SAID.items() if label in labels)]))


def legend(figure: "Figure", all_axes: "Sequence[Axes]") -> None:
    """One legend below all panels, which makes the figure taller; published numbers, crosses in their line's colour,
    are explained once.
    """
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for axes in all_axes:
        found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        handles |= {label: handle for label, handle in found.items() if label not in handles}
    if any(line.get_label() == "_published" for axes in all_axes for line in axes.get_lines()):
        handles["published"] = Line2D([], [], color="#777777", marker="x", linestyle="", markersize=6)
    longest = max((len(label) for label in handles), default=0)
    across = max(1, int(figure.get_figwidth() / (0.55 + 0.065 * longest)))  # inches of a line and of a letter
    figure.set_figheight(figure.get_figheight() + 0.18 * -(-len(handles) // across))
    made = figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(across, len(handles)))
    for text in made.get_texts():
        if text.get_text() != "published":
            figure_style.tell_legend(text, text.get_text())


def task_title(row: Row) -> str:
    """The row's task in words, without its channels."""
    return row.setting_text.replace(f", {row.size_text}", "", 1)
