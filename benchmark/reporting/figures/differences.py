"""How far every method is behind the best of its setting."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark import figure_style
from benchmark.reporting.figures.figure import Figure, Picture
from benchmark.reporting.figures.panels import row_looks
from benchmark.reporting.row import Row, settings
from benchmark.reporting.tables.table import signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDE = 20.0
"""Points from which on a linear axis no longer shows one point; the axis is then logarithmic beyond one point."""


def differences(rows: Sequence[Row]) -> Picture | None:
    """How far each row is behind the best of its setting, with the paired interval; hollow if undecided."""
    from matplotlib.figure import Figure

    groups = {setting: group for setting, members in settings(rows).items()
              if (group := [row for row in members if row.comparison is not None])}  # fmt: skip
    compared = [row for group in groups.values() for row in group]
    if not compared:
        return None
    figure = Figure(figsize=(2 * figure_style.COLUMN, 0.9 + 0.21 * (len(compared) + len(groups))), layout="constrained")
    axes = figure.subplots()
    looks = row_looks(rows)
    place, places, names = 0.0, [], []
    for group in groups.values():
        best = next(row.comparison.a for row in group if row.comparison)
        heading = f"{group[0].setting_text}: {best} \N{MINUS SIGN} \N{HORIZONTAL ELLIPSIS}"
        axes.annotate(heading, (0, place), (4, 0), ("axes fraction", "data"), textcoords="offset points",
                      fontweight="bold", va="center", fontsize=8)  # fmt: skip
        place -= 1
        for row in group:
            _point(axes, row, place, looks[row.line])
            places.append(place)
            names.append(f"\N{HORIZONTAL ELLIPSIS} {row.label}")
            place -= 1
    points_axis(axes.xaxis, [bound for row in compared if row.comparison for bound in _bounds(row)])
    axes.axvline(0, color="#555555", linewidth=0.8)
    axes.set_yticks(places, names)
    axes.set_ylim(place + 0.4, 0.6)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("difference in test accuracy (points)")
    hollow = any(row.comparison and not row.comparison.differ for row in compared)
    caption = (
        "The best method of each setting minus each other one, on the same test episodes, with the 95 % interval of the"
        " difference."
    )
    if hollow:
        caption += (
            " A hollow point is undecided (Holm-corrected, 5 %), or of one seed, where the interval covers the test"
            " episodes only."
        )
    return Picture(figure, caption)


def _point(axes: "Axes", row: Row, place: float, look: figure_style.Look) -> None:
    assert row.comparison is not None
    low, mean, high = (100 * bound for bound in _bounds(row))
    drawn = axes.errorbar(
        mean,
        place,
        xerr=[[mean - low], [high - mean]],
        color=look.color,
        marker=look.marker,
        markerfacecolor=look.color if row.comparison.differ else "white",
    )
    interval = f"{signed(mean)} ({signed(low)} to {signed(high)})"
    told = f"{row.comparison.a} \N{MINUS SIGN} {row.label}: {interval} points"
    figure_style.tell(drawn.lines[0], row.line, [told])


def _bounds(row: Row) -> tuple[float, float, float]:
    assert row.comparison is not None
    interval = row.comparison.interval
    return interval.low, interval.mean, interval.high


def points_axis(axis: object, bounds: Sequence[float]) -> None:
    """Scale an axis of differences, fractions, so that one point can be seen."""
    from matplotlib.axis import Axis, XAxis

    assert isinstance(axis, Axis)
    axes = axis.axes
    farthest = 100 * max(map(abs, bounds))
    if farthest <= WIDE:
        return
    set_scale = axes.set_xscale if isinstance(axis, XAxis) else axes.set_yscale
    set_scale("symlog", linthresh=1, linscale=0.7)
    steps = [one for one in (1, 3, 10, 30, 100) if one <= 1.5 * farthest]
    low, high = 100 * min(bounds), 100 * max(bounds)
    ticks = [*(-one for one in reversed(steps) if -one > 1.5 * low), 0, *(one for one in steps if one < 1.5 * high)]
    axis.set_ticks(ticks, [f"{one:g}".replace("-", "\N{MINUS SIGN}") for one in ticks])
    axis.set_ticks([], minor=True)


FIGURES = (Figure("differences", "Differences to the best", differences),)
