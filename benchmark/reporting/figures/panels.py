"""Figures of several panels with one legend, and the lines in them."""

import math
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmark import figure_style
from benchmark.reporting.rows import Row
from benchmark.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


ROOM = 15.0
"""Points that an interval may reach beyond all means; of a longer one (two seeds) the rest is out of the picture."""


def wrapped(title: str) -> str:
    """The title on as many lines as it needs over one panel."""
    return textwrap.fill(title, 40, break_on_hyphens=False)


def in_panels(
    rows: Sequence[Row],
    key: Callable[[Row], Any],
    title: Callable[[Row], str],
    draw: "Callable[[Axes, Sequence[Row]], None]",
) -> "Figure | None":
    """A figure of one panel per key, up to three side by side, with one legend; None if there are no rows."""
    from matplotlib.figure import Figure

    groups: dict[Any, list[Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    if not groups:
        return None
    across = min(3, len(groups))
    down = -(-len(groups) // across)
    figure = Figure(figsize=(figure_style.COLUMN * across, 2.6 * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).ravel())
    for axes, group in zip(panels, groups.values(), strict=False):
        draw(axes, group)
        axes.set_title(wrapped(title(group[0])))
    for axes in panels[len(groups) :]:
        axes.remove()
    legend(figure, panels[: len(groups)])
    return figure


def legend(figure: "Figure", all_axes: "Sequence[Axes]") -> None:
    """One legend below all panels, which makes the figure taller; published numbers, crosses in their line's colour,
    are explained once.
    """
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for axes in all_axes:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if any(line.get_label() == "_published" for axes in all_axes for line in axes.get_lines()):
        handles["published"] = Line2D([], [], color="#777777", marker="x", linestyle="", markersize=6)
    longest = max((len(label) for label in handles), default=0)
    across = max(1, int(figure.get_figwidth() / (0.55 + 0.065 * longest)))  # inches of a line and of a letter
    figure.set_figheight(figure.get_figheight() + 0.18 * -(-len(handles) // across))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(across, len(handles)))


def accuracy_lines(
    axes: "Axes",
    panel: Sequence[Row],
    looks: dict[str, figure_style.Look],
    place: Callable[[Row], float],
    *,
    dodge: bool = False,
    published: bool = True,
) -> None:
    """Accuracy with intervals against `place`, one line per method from narrow networks to wide ones.

    Args:
        axes: where to draw.
        panel: rows, all with an interval.
        looks: of each `Row.line`.
        place: x of a row.
        dodge: move methods apart a little, for a logarithmic axis on which they share places.
        published: draw published numbers, as crosses.
    """
    lines = list(dict.fromkeys(row.line for row in panel))
    for index, line in enumerate(lines):
        members = sorted((row for row in panel if row.line == line), key=lambda row: (row.channels or 0, place(row)))
        apart = min(0.05, 0.15 / len(lines))  # in octaves; many lines together must not look like another width
        shift = 2 ** (apart * (index - (len(lines) - 1) / 2)) if dodge else 1.0
        x = [place(row) * shift for row in members]
        intervals = [row.interval for row in members if row.interval is not None]
        look = looks[line]
        interval_line(axes, x, intervals, look, line)
        crosses = [(at, row.published[0].published.accuracy) for at, row in zip(x, members, strict=True)
                   if published and row.published]  # fmt: skip
        if crosses:
            axes.plot(*zip(*crosses, strict=True), "x", color=look.color, markersize=6, label="_published")
    axes.set_ylabel("test accuracy (%)")


def accuracy_axis(axes: "Axes", panel: Sequence[Row]) -> None:
    """The y axis of accuracies, drawn before: wide intervals do not hide the differences between the others."""
    published = [row.published[0].published.accuracy for row in panel if row.published]
    keep_in_view(axes, [row.interval for row in panel if row.interval is not None], published, most=100)


def keep_in_view(
    axes: "Axes", intervals: Sequence[Interval], points: Sequence[float] = (), *, most: float = math.inf
) -> None:
    """Cut the y axis where intervals, fractions, reach more than `ROOM` points beyond all means and these points.

    It is then cut at `most` as well.
    """
    if not intervals:
        return
    shown = [*points, *(100 * one.mean for one in intervals)]
    low, high = min(shown) - ROOM, max(shown) + ROOM
    if 100 * min(one.low for one in intervals) < low:
        axes.set_ylim(bottom=low)
    if 100 * max(one.high for one in intervals) > min(high, most):
        axes.set_ylim(top=min(high, most + 2))


def interval_line(
    axes: "Axes", x: Sequence[float], intervals: Sequence[Interval], look: figure_style.Look, label: str
) -> None:
    """A line of accuracies, in per cent, with their intervals."""
    axes.errorbar(
        x,
        [100 * one.mean for one in intervals],
        yerr=[100 * one.half_width for one in intervals],
        color=look.color,
        marker=look.marker,
        linestyle=look.linestyle,
        capsize=2.5,
        label=label,
    )


def channel_axis(axes: "Axes", channels: Sequence[int]) -> None:
    """A logarithmic x axis with a tick at each of these numbers of channels, in ascending order."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(channels[0] / 1.4, channels[-1] * 1.4)
    axes.set_xticks(channels, [str(one) for one in channels])
    axes.minorticks_off()
    axes.set_xlabel("channels of the per-task network")


def task_title(row: Row) -> str:
    """The row's task in words, without its channels."""
    return row.setting_text.replace(f", {row.size_text}", "", 1)
