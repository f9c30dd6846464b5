"""The critical-difference diagram: methods ranked over data sets, where there are enough of them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark import figure_style
from benchmark.reporting.figures.figure import Figure, Picture
from benchmark.reporting.rows import Row
from benchmark.statistics import NotComparableError, Ranks, rank_methods

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def rank_over_datasets(rows: Sequence[Row]) -> Ranks:
    """Rank the methods by their mean accuracy on each data set, over the settings in which all of them have a result.

    Splits, rotations, shots and widths of one data set share its images, so they are not independent tasks. Further
    tests of a training are left out: they are of the same networks.

    Raises:
        NotComparableError: fewer than two methods, a data set without a setting that all have, or too few data sets.
    """
    rows = [row for row in rows if row.interval and not row.reference and not row.test and not row.domain]
    lines = list(dict.fromkeys(row.line for row in rows))
    if len(lines) < 2:
        raise NotComparableError("there are not two methods with results")
    datasets: dict[str, dict[tuple[str, int | None], dict[str, float]]] = {}
    for row in rows:
        if row.interval is not None:
            settings = datasets.setdefault(_dataset(row), {})
            settings.setdefault((row.task, row.channels), {})[row.line] = row.interval.mean
    table = []
    for name, settings in datasets.items():
        complete = [[found[line] for line in lines] for found in settings.values() if len(found) == len(lines)]
        if not complete:
            raise NotComparableError(f"there is no setting of {name} in which every method has a result")
        table.append(np.mean(complete, axis=0))
    return rank_methods(lines, np.array(table))


def why_no_diagram(rows: Sequence[Row]) -> str | None:
    """Why there is no critical-difference diagram, or None if there is one."""
    try:
        rank_over_datasets(rows)
    except NotComparableError as error:
        return (
            f"No critical-difference diagram over data sets: {error}. Splits, shots and widths of one data set share"
            " its images and are not independent tasks."
        )
    return None


def critical_differences(rows: Sequence[Row]) -> Picture | None:
    """Methods on an axis of mean ranks; a bar joins those that are not shown to differ (Demšar 2006)."""
    import matplotlib.figure

    try:
        ranks = rank_over_datasets(rows)
    except NotComparableError:
        return None
    count, bars = len(ranks.mean_rank), ranks.tied_groups
    figure = matplotlib.figure.Figure(
        figsize=(2 * figure_style.COLUMN, 0.9 + 0.11 * len(bars) + 0.2 * -(-count // 2)), layout="constrained"
    )
    axes = figure.subplots()
    _draw(axes, ranks)
    caption = "Mean ranks of the methods over data sets."
    if bars:
        caption += (
            " A bar joins methods that are not shown to differ (Wilcoxon's signed-rank tests, Holm-corrected, 5 %)."
        )
    return Picture(figure, caption)


def _draw(axes: "Axes", ranks: Ranks) -> None:
    """Bars below the axis, and below them the names: the better half on the left, the other on the right."""
    names, bars = ranks.ordered, ranks.tied_groups
    count, left = len(names), -(-len(names) // 2)
    for level, group in enumerate(bars, start=1):
        ends = [ranks.mean_rank[group[0]] - 0.03, ranks.mean_rank[group[-1]] + 0.03]
        axes.plot(ends, [-0.5 * level] * 2, color="black", linewidth=3, solid_capstyle="round")
    for place, name in enumerate(names):
        rank, first = ranks.mean_rank[name], place < left
        depth = -0.5 * len(bars) - 1 - (place if first else count - 1 - place)
        edge = 0.9 if first else count + 0.1
        axes.plot([rank, rank, edge], [0, depth, depth], color="#777777", linewidth=0.8)
        axes.annotate(f"{name} ({rank:.2f})", (edge, depth), (-3 if first else 3, 0), textcoords="offset points",
                      ha="right" if first else "left", va="center", fontsize=8)  # fmt: skip
    axes.set_xlim(0.9, count + 0.1)
    axes.set_ylim(-0.5 * len(bars) - 1 - left, 0)
    axes.xaxis.tick_top()
    axes.xaxis.set_label_position("top")
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.spines["top"].set_visible(True)
    axes.set_xticks(range(1, count + 1))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_xlabel("mean rank over data sets (1: most accurate)")


def _dataset(row: Row) -> str:
    config = row.cells[0].config
    path = getattr(config.dataset, "path", None)
    return config.data_name if path is None else f"{config.data_name} {path.name}"


FIGURES = (Figure("critical-differences", "Ranks over data sets", critical_differences),)
