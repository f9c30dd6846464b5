"""Lines of accuracies with their intervals, and the axes on which they stand."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from benchmark import figure_style
from benchmark.reporting.rows import Row
from benchmark.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ROOM = 15.0
"""Points that an interval may reach beyond all means; of a longer one (two seeds) the rest is out of the picture."""


def accuracy_lines(
    axes: "Axes",
    panel: Sequence[Row],
    looks: dict[str, figure_style.Look],
    place: Callable[[Row], float],
    *,
    dodge: bool = False,
    published: bool = True,
) -> None:
    """Accuracy with intervals and seeds against `place`, one line per method from narrow networks to wide ones.

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
        interval_line(axes, x, intervals, look, line, list(map(numbers_of, members)))
        _seeds(axes, x, members, look)
        crosses = [(at, row.published[0].published.accuracy) for at, row in zip(x, members, strict=True)
                   if published and row.published]  # fmt: skip
        if crosses:
            drawn = axes.plot(*zip(*crosses, strict=True), "x", color=look.color, markersize=6, label="_published")
            figure_style.tell(drawn[0], line, [f"{line}, published: {cross:g} %" for _, cross in crosses])
    axes.set_ylabel("test accuracy (%)")


def _seeds(axes: "Axes", x: Sequence[float], members: Sequence[Row], look: figure_style.Look) -> None:
    """A small dot for every seed's mean, where there are several."""
    dots = [
        (at, 100 * mean)
        for at, row in zip(x, members, strict=True)
        if row.accuracy is not None and len(row.seeds) > 1
        for mean in row.accuracy.mean(axis=1)
    ]
    if dots:
        drawn = axes.plot(*zip(*dots, strict=True), ".", color=look.color, markersize=3.5, alpha=0.55, label="_seeds",
                          markeredgewidth=0, scaley=False)  # fmt: skip
        figure_style.tell(drawn[0], members[0].line)


def numbers_of(row: Row) -> str:
    """What the pointer reads of a row: its name, width, accuracy and seeds."""
    if row.interval is None or row.accuracy is None:
        return row.label
    size = f", {row.size_text}" if row.size_text and row.size_text not in row.line else ""
    shown = f"{row.line}{size}: {100 * row.interval.mean:.1f} ± {100 * row.interval.half_width:.1f} %"
    means = ", ".join(f"{100 * mean:.1f}" for mean in row.accuracy.mean(axis=1))
    return f"{shown} (seeds {means})" if len(row.seeds) > 1 else f"{shown} (one seed)"


def interval_line(
    axes: "Axes",
    x: Sequence[float],
    intervals: Sequence[Interval],
    look: figure_style.Look,
    label: str,
    told: Sequence[str] = (),
) -> None:
    """A line of accuracies, in per cent, with their intervals; `told` is what the pointer reads of each point."""
    drawn = axes.errorbar(
        x,
        [100 * one.mean for one in intervals],
        yerr=sides(intervals),
        color=look.color,
        marker=look.marker,
        linestyle=look.linestyle,
        capsize=0,
        elinewidth=1.1,
        label=label,
    )
    line, _, bars = drawn.lines
    line.set_clip_on(False)  # a marker at 100 % is a whole one
    figure_style.tell(line, label, told)
    for bar in bars:
        figure_style.tell(bar, label)


def sides(intervals: Sequence[Interval]) -> list[list[float]]:
    """Lengths of intervals below and above their means, in points, as error bars are given."""
    return [[100 * (one.mean - one.low) for one in intervals], [100 * (one.high - one.mean) for one in intervals]]


def accuracy_axis(axes: "Axes", panel: Sequence[Row]) -> None:
    """The y axis of accuracies, drawn before: wide intervals do not hide the differences between the others."""
    published = [row.published[0].published.accuracy for row in panel if row.published]
    keep_in_view(axes, [row.interval for row in panel if row.interval is not None], published, least=0, most=100)


def keep_in_view(
    axes: "Axes",
    intervals: Sequence[Interval],
    points: Sequence[float] = (),
    *,
    least: float = -math.inf,
    most: float = math.inf,
) -> None:
    """Cut the y axis at `least` and `most`, and where intervals, fractions, reach more than `ROOM` points beyond all
    means and these points.
    """
    low, high = axes.get_ylim()
    if intervals:
        shown = [*points, *(100 * one.mean for one in intervals)]
        low, high = max(low, min(shown) - ROOM), min(high, max(shown) + ROOM)
    axes.set_ylim(max(low, least), min(high, most))


def mark_cuts(axes: "Axes") -> None:
    """An arrow where an interval goes on beyond the y axis."""
    from matplotlib.container import ErrorbarContainer

    low, high = axes.get_ylim()
    for container in axes.containers:
        if not isinstance(container, ErrorbarContainer) or not container.has_yerr:
            continue
        bars = container.lines[2][0]
        ends = [(segment[0], segment[-1]) for segment in bars.get_segments() if len(segment)]
        below, above = [b[0] for b, _ in ends if b[1] < low - 1e-9], [t[0] for _, t in ends if t[1] > high + 1e-9]
        for limit, marker, cut in ((low, "v", below), (high, "^", above)):
            if cut:
                drawn = axes.plot(cut, [limit] * len(cut), marker, color=bars.get_color()[0], markersize=5,
                                  clip_on=False, label="_cut", scalex=False, scaley=False)  # fmt: skip
                figure_style.tell(drawn[0], str(container.get_label()))


def channel_axis(axes: "Axes", channels: Sequence[int]) -> None:
    """A logarithmic x axis with a tick at each of these numbers of channels, in ascending order."""
    axes.set_xscale("log", base=2)
    axes.set_xlim(channels[0] / 1.4, channels[-1] * 1.4)
    axes.set_xticks(channels, [str(one) for one in channels])
    axes.minorticks_off()
    axes.set_xlabel("channels of the per-task network")
