"""Figures of task sequences: what is kept of earlier tasks as later ones arrive."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark import figure_style
from benchmark.reporting.figures.figure import Figure
from benchmark.reporting.figures.panels import in_panels, interval_line, wrapped
from benchmark.reporting.rows import Row, settings
from benchmark.scoring.forgetting import Matrix, average_accuracy
from benchmark.statistics import primary_interval

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes
    from matplotlib.collections import QuadMesh


def first_task(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """Accuracy on the first task as later ones arrive: one panel per setting, one line per method."""
    several = [row for row in rows if row.matrices is not None and row.matrices.shape[-1] > 1]
    return _over_steps(several, lambda matrices: matrices[..., 0], "accuracy on task 1 (%)")


def average(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """Mean accuracy on the tasks seen so far: one panel per setting, one line per method."""
    return _over_steps(rows, average_accuracy, "accuracy on tasks so far (%)")


def matrices(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """The accuracy matrix of each method, mean over seeds and sequences: one line of panels per setting."""
    import matplotlib.figure

    shown = settings([row for row in rows if row.matrices is not None and row.matrices.shape[-1] > 1]).values()
    if not shown:
        return None
    across, down = max(map(len, shown)), len(shown)
    figure = matplotlib.figure.Figure(
        figsize=(0.8 * figure_style.COLUMN * across + 0.7, 2.9 * down), layout="constrained"
    )
    panels = figure.subplots(down, across, squeeze=False)
    for line, group in zip(panels, shown, strict=True):
        for axes, row in zip(line, group, strict=False):
            image = _heat_map(axes, row)
        for axes in line[len(group) :]:
            axes.remove()
    figure.colorbar(image, ax=figure.axes, label="test accuracy (%)", shrink=0.8)
    return figure


def _heat_map(axes: "Axes", row: Row) -> "QuadMesh":
    assert row.matrices is not None
    mean = 100 * row.matrices.mean(axis=(0, 1))
    steps = np.arange(1, len(mean) + 1)
    for (step, task), value in np.ndenumerate(mean):
        if np.isfinite(value):
            ink = "white" if value < 60 else "black"
            axes.text(task + 1, step + 1, f"{value:.0f}", ha="center", va="center", fontsize=7, color=ink)
    axes.invert_yaxis()
    axes.grid(visible=False)
    axes.set_xticks(steps)
    axes.set_yticks(steps)
    axes.set_xlabel("task")
    axes.set_ylabel("after task")
    axes.set_title(f"{row.label}\n{wrapped(row.setting_text)}", fontsize=7)
    return axes.pcolormesh(steps, steps, np.ma.masked_invalid(mean), cmap="viridis", vmin=0, vmax=100)


def _over_steps(
    rows: Sequence[Row], values: Callable[[Matrix], Matrix], label: str
) -> "matplotlib.figure.Figure | None":
    """Values (S, E, J) of matrices (S, E, J, I) against the step, with intervals; a mark where training ended."""
    looks = figure_style.looks([row.label for row in rows])

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        for row in panel:
            assert row.matrices is not None
            by_step = np.moveaxis(values(row.matrices), -1, 0)
            intervals = [primary_interval(accuracy) for accuracy in by_step]
            interval_line(axes, range(1, len(intervals) + 1), intervals, looks[row.label], row.label)
        shape, followed = panel[0].cells[0].config.test_episodes, panel[0].cells[0].config.followed_episodes
        if followed.tasks > shape.tasks:
            axes.axvline(shape.tasks, color="#777777", linewidth=0.8, linestyle=":")
        axes.set_xticks(range(1, followed.tasks + 1))
        axes.set_xlabel("parts seen" if shape.scenario == "mini-batch" else "tasks seen")
        axes.set_ylabel(label)
        low, high = axes.get_ylim()
        axes.set_ylim(max(low, -2), min(high, 102))  # an interval of two seeds may leave what an accuracy can be

    followed = [row for row in rows if row.matrices is not None]
    return in_panels(followed, lambda row: row.setting, lambda row: row.setting_text, draw)


FIGURES = (
    Figure(
        "continual-first-task",
        "The first task as later ones arrive",
        "Test accuracy on the first task of a sequence after each task, with its 95 % interval. Sequences were trained"
        " up to the dotted line.",
        first_task,
    ),
    Figure(
        "continual-average",
        "Average accuracy as tasks arrive",
        "Mean test accuracy on all tasks seen so far, with its 95 % interval. Sequences were trained up to the dotted"
        " line.",
        average,
    ),
    Figure(
        "continual-matrices",
        "Accuracy matrices",
        "Test accuracy on each task after each task, mean over seeds and sequences.",
        matrices,
    ),
)
