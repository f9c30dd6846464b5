"""How many layers are worth generating: the last one, or all (HyperTransformer paper, Figure 3 and Table 4)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark import figure_style
from benchmark.cells.declared import fixed_option
from benchmark.reporting.figures.figure import Figure
from benchmark.reporting.figures.panels import (
    accuracy_axis,
    accuracy_lines,
    channel_axis,
    keep_in_view,
    legend,
    task_title,
)
from benchmark.reporting.rows import Row
from benchmark.statistics import Interval, NotComparableError, compare

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes

LOGITS, ALL = "logits", "all"
"""What the two names of a method fix its option `generated_layers` at."""


def generated_layers(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """Accuracy of generating the last layer and all layers over channels, and below it what all layers gain.

    One column of panels per task, of the tasks that have both; with references, where the grid has one.
    """
    import matplotlib.figure

    shown = [row for row in rows if (row.reference or _writes(row) in (LOGITS, ALL)) and row.channels and row.interval]
    tasks: dict[str, list[Row]] = {}
    for row in shown:
        tasks.setdefault(row.task, []).append(row)
    tasks = {task: panel for task, panel in tasks.items() if {LOGITS, ALL} <= {_writes(row) for row in panel}}
    channels = sorted({row.channels for panel in tasks.values() for row in panel if row.channels})
    if len(channels) < 2:
        return None
    looks = figure_style.looks([row.line for row in rows])
    figure = matplotlib.figure.Figure(figsize=(figure_style.COLUMN * len(tasks), 4.2), layout="constrained")
    grid = figure.subplots(2, len(tasks), squeeze=False, sharex="col", sharey="row", height_ratios=(3, 2))
    gains: list[Interval] = []
    for (above, below), panel in zip(grid.T, tasks.values(), strict=True):
        accuracy_lines(above, panel, looks, lambda row: float(row.channels or 0), dodge=True)
        channel_axis(above, channels)
        above.set_title(task_title(panel[0]))
        above.set_xlabel("")
        channel_axis(below, channels)
        gains += _draw_gains(below, panel, looks)
    # The panels of a line share their y axis.
    accuracy_axis(grid[0, 0], [row for panel in tasks.values() for row in panel])
    keep_in_view(grid[1, 0], gains)
    for axes in grid[:, 1:].ravel():
        axes.set_ylabel("")
    legend(figure, list(grid[0]))
    return figure


def _draw_gains(axes: "Axes", panel: Sequence[Row], looks: dict[str, figure_style.Look]) -> list[Interval]:
    """The paired gain of all layers over the last one, where both have results; crosses are the published gain."""
    gains = []
    for row in panel:
        partner = next((one for one in panel if _writes(one) == LOGITS and _alike(one, row)), None)
        if _writes(row) != ALL or partner is None:
            continue
        assert row.channels is not None
        look = looks[row.line]
        try:
            gain = compare(row.scores, partner.scores).interval
            axes.errorbar(row.channels, 100 * gain.mean, yerr=100 * gain.half_width, color=look.color,
                          marker=look.marker, capsize=2.5)  # fmt: skip
            gains.append(gain)
        except NotComparableError:
            pass  # the table says why
        published = _published_gain(row, partner)
        if published is not None:
            axes.plot(1.08 * row.channels, published, "x", color=look.color, markersize=6)
    axes.axhline(0, color="#555555", linewidth=0.8)
    axes.set_ylabel("gain of all layers\n(points, paired)")
    return gains


def _writes(row: Row) -> object:
    """`LOGITS`, `ALL`, or something else where the method's name says nothing of the two."""
    return fixed_option(row.method, "generated_layers")


def _alike(one: Row, other: Row) -> bool:
    """Whether two rows differ in nothing but the method."""
    return one.channels == other.channels and one.line[len(one.method) :] == other.line[len(other.method) :]


def _published_gain(row: Row, partner: Row) -> float | None:
    """From a source that tells the two apart."""
    for ours in (match.published for match in row.published):
        for theirs in (match.published for match in partner.published):
            if (ours.paper, ours.where) == (theirs.paper, theirs.where) and partner.method not in ours.methods:
                return ours.accuracy - theirs.accuracy
    return None


FIGURES = (
    Figure(
        "generated-layers",
        "Generating the last layer or all of them",
        "Above: test accuracy with its 95 % interval against channels. Below: what generating all layers gains over"
        " generating the last one only, on the same test episodes, with its 95 % interval. Crosses are published.",
        generated_layers,
    ),
)
