"""Accuracy against what it costs, differences, and learning curves."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark import figure_style
from benchmark.reporting.figures.figure import Figure
from benchmark.reporting.figures.panels import accuracy_axis, accuracy_lines, channel_axis, in_panels, task_title
from benchmark.reporting.rows import Row, settings

if TYPE_CHECKING:
    import matplotlib.figure
    from matplotlib.axes import Axes


def accuracy_vs_channels(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """One panel per task, one line per method, channels of its network on the x axis."""
    with_channels = [row for row in rows if row.channels is not None and row.interval is not None]
    channels = sorted({row.channels for row in with_channels if row.channels is not None})
    looks = figure_style.looks([row.line for row in rows])

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        accuracy_lines(axes, panel, looks, lambda row: float(row.channels or 0), dodge=True)
        accuracy_axis(axes, panel)
        channel_axis(axes, channels)

    return in_panels(with_channels, lambda row: row.task, task_title, draw)


def accuracy_vs_size(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """As `accuracy_vs_channels`, with the numbers in the per-task network on the x axis; None if all are equal."""
    looks = figure_style.looks([row.line for row in rows])

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        accuracy_lines(axes, panel, looks, _size)
        accuracy_axis(axes, panel)
        if _spread(sized, _size) > 10:
            axes.set_xscale("log")
        else:
            axes.locator_params(axis="x", nbins=4)
            axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.set_xlabel("numbers in the per-task network")

    sized = [row for row in rows if row.interval is not None and _size(row)]
    if len(set(map(_size, sized))) < 2:
        return None
    return in_panels(sized, lambda row: row.task, task_title, draw)


def accuracy_vs_time(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """As `accuracy_vs_channels`, with the time one task takes on the x axis; points are labelled with the channels."""
    looks = figure_style.looks([row.line for row in rows])
    timed = [row for row in rows if row.interval is not None and _milliseconds(row)]
    widths = len({row.channels for row in timed})

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        accuracy_lines(axes, panel, looks, _milliseconds, published=False)
        for row in panel:
            if row.interval is not None and widths > 1:
                at = (_milliseconds(row), 100 * row.interval.mean)
                axes.annotate(str(row.channels), at, (4, -3), textcoords="offset points", va="top",
                              fontsize=7, color=looks[row.line].color)  # fmt: skip
        axes.margins(0.08, 0.1)
        accuracy_axis(axes, panel)
        if _spread(timed, _milliseconds) > 3:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_formatter("")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("milliseconds per task")

    if not timed:
        return None
    from matplotlib.ticker import LogLocator

    return in_panels(timed, lambda row: row.task, task_title, draw)


def accuracy_vs_unlabelled(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """One panel per task and size, one line per method and its options, unlabelled support images on the x axis."""
    looks = figure_style.looks([row.line for row in rows])
    measured = [row for row in rows if row.interval is not None]
    counts = sorted({_unlabelled(row) for row in measured})
    if len(counts) < 2:
        return None

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        accuracy_lines(axes, panel, looks, _unlabelled)
        accuracy_axis(axes, panel)
        axes.set_xticks(counts, [f"{one:g}" for one in counts])
        axes.set_xlabel("unlabelled support images per class")

    def task(row: Row) -> str:
        config = row.cells[0].config
        episodes = config.episodes.model_copy(update={"unlabelled": 0})
        parts = (config.dataset, episodes, config.test.model_copy(update={"ensemble": None}))
        return f"{row.channels}{''.join(part.model_dump_json() for part in parts)}"

    def title(row: Row) -> str:
        return row.setting_text.replace(f" +{_unlabelled(row):g} unlabelled", "")

    return in_panels(measured, task, title, draw)


def learning_curves(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """Validation accuracy over training: mean over seeds, and a band from the worst to the best seed."""
    looks = figure_style.looks([row.label for row in rows])

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        for row in panel:
            steps, accuracy = _on_common_steps(_curves(row))
            mean, low, high = accuracy.mean(axis=0), accuracy.min(axis=0), accuracy.max(axis=0)
            look = looks[row.label]
            axes.plot(steps, 100 * mean, color=look.color, linestyle=look.linestyle, label=row.label)
            axes.fill_between(steps, 100 * low, 100 * high, color=look.color, alpha=0.18, linewidth=0)
        axes.set_xlabel("training step")
        axes.set_ylabel("validation accuracy (%)")

    with_curves = [row for row in rows if _curves(row)]
    return in_panels(with_curves, lambda row: row.setting, lambda row: row.setting_text, draw)


def differences(rows: Sequence[Row]) -> "matplotlib.figure.Figure | None":
    """How far each row is behind the best of its setting, with the paired interval; hollow if maybe not at all."""
    import matplotlib.figure

    compared = [row for row in rows if row.comparison is not None]
    if not compared:
        return None
    figure = matplotlib.figure.Figure(
        figsize=(2 * figure_style.COLUMN, 0.9 + 0.27 * (len(compared) + len(settings(compared)))), layout="constrained"
    )
    axes = figure.subplots()
    place, places, names = 0.0, [], []
    for group in settings(compared).values():
        best = next(row.comparison.a for row in group if row.comparison)
        heading = f"{group[0].setting_text}: {best} \N{MINUS SIGN} \N{HORIZONTAL ELLIPSIS}"
        axes.annotate(heading, (0, place), (4, 0), ("axes fraction", "data"), textcoords="offset points",
                      fontweight="bold", va="center", fontsize=8)  # fmt: skip
        place -= 1
        for row in group:
            assert row.comparison is not None
            interval = row.comparison.interval
            axes.errorbar(
                100 * interval.mean,
                place,
                xerr=100 * interval.half_width,
                fmt="o",
                color="#0072B2",
                markerfacecolor="white" if row.comparison.tied else "#0072B2",
                capsize=2.5,
            )
            places.append(place)
            names.append(f"\N{HORIZONTAL ELLIPSIS} {row.comparison.b}")
            place -= 1
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(place + 0.4, 0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("difference in test accuracy (points),\n95 % interval, same episodes")
    return figure


def _spread(rows: Sequence[Row], place: Callable[[Row], float]) -> float:
    """The largest place over the smallest."""
    return max(map(place, rows)) / min(map(place, rows))


def _size(row: Row) -> float:
    return float((row.ensemble or 1) * max((r.model.solver_parameters for r in row.results if r.model), default=0))


def _milliseconds(row: Row) -> float:
    """Per task, mean over seeds; 0 where it was not measured."""
    tests = [result.ensemble if row.ensemble else result.test for result in row.results]
    seconds = [test.seconds_per_task for test in tests if test and test.seconds_per_task is not None]
    return 1000 * fmean(seconds) if seconds else 0.0


def _unlabelled(row: Row) -> float:
    return float(row.cells[0].config.episodes.unlabelled)


def _curves(row: Row) -> list[Any]:
    if row.ensemble:  # of the same trainings as the row of the single checkpoints
        return []
    return [cell.curve for cell in row.cells if cell.curve is not None and len(cell.curve.steps) > 1]


def _on_common_steps(curves: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (P,) that every seed reached, and accuracies (S, P); seeds differ in steps if the budget is in minutes."""
    start, end = max(c.steps[0] for c in curves), min(c.steps[-1] for c in curves)
    steps = np.array(sorted({step for c in curves for step in c.steps if start <= step <= end} | {end}))
    return steps, np.stack([np.interp(steps, c.steps, c.accuracy) for c in curves])


FIGURES = (
    Figure(
        "accuracy-vs-channels",
        "Accuracy against channels",
        "Test accuracy with its 95 % interval against the number of channels; crosses are published numbers.",
        accuracy_vs_channels,
    ),
    Figure(
        "accuracy-vs-size",
        "Accuracy against size",
        "Test accuracy with its 95 % interval against the numbers in the network that classifies one task's queries.",
        accuracy_vs_size,
    ),
    Figure(
        "accuracy-vs-time",
        "Accuracy against time",
        "Test accuracy with its 95 % interval against the time to adapt to one task and classify its queries, on the"
        " machine of the runs; the small numbers are channels.",
        accuracy_vs_time,
    ),
    Figure(
        "accuracy-vs-unlabelled",
        "Accuracy against unlabelled images",
        "Test accuracy with its 95 % interval against the number of unlabelled support images of each class.",
        accuracy_vs_unlabelled,
    ),
    Figure(
        "differences",
        "Differences to the best",
        "The best method of each setting minus each other one, on the same test episodes, with the 95 % interval of the"
        " difference. A hollow point may be no difference at all (Holm-corrected, 5 %).",
        differences,
    ),
    Figure(
        "learning-curves",
        "Learning curves",
        "Validation accuracy over training: the mean over seeds, and a band from the worst to the best seed.",
        learning_curves,
    ),
)
