"""Accuracy against what it costs: channels, size, time, unlabelled images."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from benchmark.reporting.figures.figure import Figure, Picture
from benchmark.reporting.figures.lines import accuracy_axis, accuracy_lines, channel_axis
from benchmark.reporting.figures.panels import in_panels, row_looks, task_title
from benchmark.reporting.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_INTERVAL = "Test accuracy with its 95 % interval"


def accuracy_vs_channels(rows: Sequence[Row]) -> Picture | None:
    """A panel per task, a line per method, channels of its network on the x axis; None with fewer than two widths."""
    with_channels = [row for row in rows if row.channels is not None and row.interval is not None]
    channels = sorted({row.channels for row in with_channels if row.channels is not None})
    if len(channels) < 2:
        return None
    looks = row_looks(rows)

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        accuracy_lines(axes, panel, looks, lambda row: float(row.channels or 0), dodge=True)
        accuracy_axis(axes, panel)
        channel_axis(axes, channels)

    caption = f"{_INTERVAL} against the number of channels."
    return in_panels(with_channels, lambda row: row.task, task_title, draw, caption)


def accuracy_vs_size(rows: Sequence[Row]) -> Picture | None:
    """As `accuracy_vs_channels`, with the numbers in the per-task network on the x axis; None if all are equal."""
    looks = row_looks(rows)

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
    caption = f"{_INTERVAL} against the numbers in the network that classifies one task's queries."
    return in_panels(sized, lambda row: row.task, task_title, draw, caption)


def accuracy_vs_time(rows: Sequence[Row]) -> Picture | None:
    """As `accuracy_vs_channels`, with the time one task takes on the x axis; points are labelled with the channels."""
    looks = row_looks(rows)
    timed = [row for row in rows if row.interval is not None and _milliseconds(row)]
    several = len({row.channels for row in timed}) > 1

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        accuracy_lines(axes, panel, looks, _milliseconds, published=False)
        for row in panel:
            if row.interval is not None and several:
                at = (_milliseconds(row), 100 * row.interval.mean)
                axes.annotate(str(row.channels), at, (4, -3), textcoords="offset points", va="top",
                              fontsize=7, color=looks[row.line].color)  # fmt: skip
        axes.margins(0.08, 0.1)
        accuracy_axis(axes, panel)
        if _spread(timed, _milliseconds) > 5:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_formatter("")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("milliseconds per task")

    if len(timed) < 2:
        return None
    from matplotlib.ticker import LogLocator

    numbers = " The small numbers are channels." if several else ""
    caption = (
        f"{_INTERVAL} against the time to adapt to one task and classify its queries, on the machine of the runs."
        f"{numbers}"
    )
    return in_panels(timed, lambda row: row.task, task_title, draw, caption)


def accuracy_vs_unlabelled(rows: Sequence[Row]) -> Picture | None:
    """One panel per task and size, one line per method and its options, unlabelled support images on the x axis."""
    looks = row_looks(rows)
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

    caption = f"{_INTERVAL} against the number of unlabelled support images of each class."
    return in_panels(measured, task, title, draw, caption)


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


FIGURES = (
    Figure("accuracy-vs-channels", "Accuracy against channels", accuracy_vs_channels),
    Figure("accuracy-vs-size", "Accuracy against size", accuracy_vs_size),
    Figure("accuracy-vs-time", "Accuracy against time", accuracy_vs_time),
    Figure("accuracy-vs-unlabelled", "Accuracy against unlabelled images", accuracy_vs_unlabelled),
)
