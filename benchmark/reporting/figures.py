"""Figures of a report. Every one shows intervals and is skipped when it would be empty."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.reporting import style
from benchmark.reporting.rows import Row, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawn:
    """A figure on disk: `name`.png and .svg, its title, and what it shows in words."""

    name: str
    title: str
    description: str


def draw_all(rows: Sequence[Row], folder: Path) -> list[Drawn]:
    """Draw every figure that has something to show."""
    import matplotlib

    drawn = []
    # The object-oriented interface: no display, no state left behind in pyplot.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(style.RC)
        for name, title, description, draw in _FIGURES:
            figure = draw(rows)
            if figure is not None:
                style.save(figure, folder, name)
                drawn.append(Drawn(name, title, description))
    return drawn


def accuracy_vs_channels(rows: Sequence[Row]) -> "Figure | None":
    """One panel per task, one line per method, channels of its network on the x axis."""
    with_channels = [row for row in rows if row.channels is not None and row.interval is not None]
    channels = sorted({row.channels for row in with_channels if row.channels is not None})
    if len(channels) < 2:
        return None

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        _lines(axes, panel, rows, lambda row: float(row.channels or 0), dodge=True)
        axes.set_xscale("log", base=2)
        axes.set_xticks(channels, [str(one) for one in channels])
        axes.minorticks_off()
        axes.set_xlabel("channels of the per-task network")

    return _in_panels(with_channels, lambda row: row.task, _task_title, draw)


def accuracy_vs_size(rows: Sequence[Row]) -> "Figure | None":
    """As `accuracy_vs_channels`, with the numbers in the per-task network on the x axis."""

    def draw(axes: "Axes", panel: Sequence[Row]) -> None:
        _lines(axes, panel, rows, _size, dodge=False)
        axes.set_xscale("log")
        axes.set_xlabel("numbers in the per-task network")

    sized = [row for row in rows if row.interval is not None and _size(row)]
    return _in_panels(sized, lambda row: row.task, _task_title, draw)


def learning_curves(rows: Sequence[Row]) -> "Figure | None":
    """Validation accuracy over training: mean over seeds, and a band from the worst to the best seed."""
    looks = style.looks([row.label for row in rows])

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
    return _in_panels(with_curves, lambda row: row.setting, lambda row: row.setting_text, draw)


def differences(rows: Sequence[Row]) -> "Figure | None":
    """How far each row is behind the best of its setting, with the paired interval; hollow if maybe not at all."""
    from matplotlib.figure import Figure

    compared = [row for row in rows if row.comparison is not None]
    if not compared:
        return None
    figure = Figure(
        figsize=(2 * style.COLUMN, 0.75 + 0.27 * (len(compared) + len(settings(compared)))), layout="constrained"
    )
    axes = figure.subplots()
    place, places, names = 0.0, [], []
    for group in settings(compared).values():
        axes.annotate(group[0].setting_text, (0, place), (4, 0), ("axes fraction", "data"), textcoords="offset points",
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
            names.append(f"{row.comparison.a} \N{MINUS SIGN} {row.comparison.b}")
            place -= 1
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(place + 0.4, 0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("difference in test accuracy (points), 95 % interval, same episodes")
    return figure


def _lines(
    axes: "Axes", panel: Sequence[Row], rows: Sequence[Row], place: Callable[[Row], float], *, dodge: bool
) -> None:
    """Accuracy with intervals against `place`, one line per method, and published numbers as crosses."""
    looks = style.looks([row.line for row in rows])
    lines = list(dict.fromkeys(row.line for row in panel))
    for index, line in enumerate(lines):
        points = (
            sorted((place(row), row) for row in panel if row.line == line)
            if False
            else sorted(((place(row), row) for row in panel if row.line == line), key=lambda point: point[0])
        )
        # Moved apart a little, so that intervals at the same number of channels do not hide each other.
        shift = 2 ** (0.05 * (index - (len(lines) - 1) / 2)) if dodge else 1.0
        x = [at * shift for at, _ in points]
        intervals = [row.interval for _, row in points if row.interval is not None]
        look = looks[line]
        axes.errorbar(
            x,
            [100 * one.mean for one in intervals],
            yerr=[100 * one.half_width for one in intervals],
            color=look.color,
            marker=look.marker,
            linestyle=look.linestyle,
            capsize=2.5,
            label=line,
        )
        published = [
            (at, row.published[0].published.accuracy) for at, (_, row) in zip(x, points, strict=True) if row.published
        ]
        if published:
            axes.plot(*zip(*published, strict=True), "x", color=look.color, markersize=6, label="_published")
    axes.set_ylabel("test accuracy (%)")


def _in_panels(
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
    figure = Figure(figsize=(style.COLUMN * across, 2.7 * down), layout="constrained")
    panels = list(figure.subplots(down, across, squeeze=False).ravel())
    for axes, group in zip(panels, groups.values(), strict=False):
        draw(axes, group)
        axes.set_title(title(group[0]))
    for axes in panels[len(groups) :]:
        axes.remove()
    _legend(figure, panels[: len(groups)])
    return figure


def _legend(figure: "Figure", all_axes: "Sequence[Axes]") -> None:
    """One legend below all panels; published numbers, crosses in their line's colour, are explained once."""
    from matplotlib.lines import Line2D

    handles: dict[str, Any] = {}
    for axes in all_axes:
        handles |= {label: handle for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    if any(line.get_label() == "_published" for axes in all_axes for line in axes.get_lines()):
        handles["published"] = Line2D([], [], color="#777777", marker="x", linestyle="", markersize=6)
    across = max(1, int(figure.get_figwidth() / 1.15))
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(across, len(handles)))


def _task_title(row: Row) -> str:
    return row.setting_text.partition(f", {row.channels} channels")[0]


def _size(row: Row) -> float:
    return float(max((r.model.solver_parameters for r in row.results if r.model), default=0))


def _curves(row: Row) -> list[Any]:
    return [cell.curve for cell in row.cells if cell.curve is not None and len(cell.curve.steps) > 1]


def _on_common_steps(curves: Sequence[Any]) -> tuple[np.ndarray, np.ndarray]:
    """Steps (P,) that every seed reached, and accuracies (S, P); seeds differ in steps if the budget is in minutes."""
    start, end = max(c.steps[0] for c in curves), min(c.steps[-1] for c in curves)
    steps = np.array(sorted({step for c in curves for step in c.steps if start <= step <= end} | {end}))
    return steps, np.stack([np.interp(steps, c.steps, c.accuracy) for c in curves])


_FIGURES: tuple[tuple[str, str, str, "Callable[[Sequence[Row]], Figure | None]"], ...] = (
    (
        "accuracy-vs-channels",
        "Accuracy against channels",
        "Test accuracy with its 95 % interval against the number of channels; crosses are published numbers.",
        accuracy_vs_channels,
    ),
    (
        "accuracy-vs-size",
        "Accuracy against size",
        "Test accuracy with its 95 % interval against the numbers in the network that classifies one task's queries.",
        accuracy_vs_size,
    ),
    (
        "differences",
        "Differences to the best",
        "The best method of each setting minus each other one, on the same test episodes, with the 95 % interval of the"
        " difference. A hollow point may be no difference at all (Holm-corrected, 5 %).",
        differences,
    ),
    (
        "learning-curves",
        "Learning curves",
        "Validation accuracy over training: the mean over seeds, and a band from the worst to the best seed.",
        learning_curves,
    ),
)
