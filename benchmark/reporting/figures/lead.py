"""The first figure of a report: the differences that the grid is about, by width."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmark import figure_style
from benchmark.reporting.contrasts import Contrast, Point
from benchmark.reporting.figures.figure import Drawn, Picture
from benchmark.reporting.figures.lines import channel_axis, mark_cuts, sides
from benchmark.reporting.figures.panels import legend, task_title
from benchmark.reporting.labels import told_apart
from benchmark.reporting.row import Row
from benchmark.reporting.tables.table import signed

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

FAR = 20.0
"""Points beyond which a difference is only named, at the edge, so that one point can be seen between the others."""

MOST_PANELS = 4
"""So many fit on a first screen."""

MINUS = "\N{MINUS SIGN}"


def draw_lead(contrasts: Sequence[Contrast], folder: "Path", *, asked: bool) -> tuple[Drawn, ...]:
    """Write `lead.svg`, and `lead-narrow.svg` for phones; nothing where there is no difference to show.

    Where the grid has not `asked` about certain methods and has one width, all differences to the best say more.
    """
    drawn = []
    with figure_style.drawing():
        for name, across in (("lead", 2), ("lead-narrow", 1)):
            picture = by_width(contrasts, across) or (in_one_column(contrasts, across) if asked else None)
            if picture is None:
                return ()
            figure_style.save(picture.figure, folder, name)
            drawn.append(Drawn(name, "The difference in question", picture.caption))
    return tuple(drawn)


def by_width(contrasts: Sequence[Contrast], across: int) -> Picture | None:
    """Differences against the width: a panel per task and pair of methods, a line per mode; None with one width."""
    from matplotlib.figure import Figure

    panels: dict[tuple[str, str, str], list[Point]] = {}
    for contrast in contrasts:
        for point in contrast.points:
            if point.width is not None:
                panels.setdefault((point.a.task, contrast.a, contrast.b), []).append(point)
    panels = {key: points for key, points in panels.items() if len({point.width for point in points}) > 1}
    if not panels or len(panels) > MOST_PANELS:
        return None
    points = [point for members in panels.values() for point in members]
    widths = sorted({point.width for point in points if point.width is not None})
    narrow, across = across == 1, min(across, len(panels))
    down = -(-len(panels) // across)
    width = 1.05 if narrow else max(1.6, across)
    figure = Figure(figsize=(figure_style.COLUMN * width, 2.7 * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=True)
    low, high = _view(points)
    tasks = told_apart(list(dict.fromkeys(task_title(members[0].a) for members in panels.values())))
    for axes, ((_, a, b), members) in zip(grid.ravel(), panels.items(), strict=False):
        _panel(axes, members, (low, high))
        channel_axis(axes, widths)
        of_task = [tasks[task_title(members[0].a)]] if len(tasks) > 1 else []
        axes.set_title("\n".join([f"{a} {MINUS} {b}", *of_task]), fontweight="bold")
        axes.set_xlabel("channels" if all(point.a.size_text.endswith("channels") for point in members) else "width")
    for axes in grid.ravel()[len(panels) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("difference in test accuracy\n(points)")
    if len({point.mode for point in points}) > 1 or any(point.published is not None for point in points):
        legend(figure, list(grid.ravel()[: len(panels)]))
    return Picture(figure, _caption(points, [axes for axes in figure.axes]))


def _view(points: Sequence[Point]) -> tuple[float, float]:
    """The ends of the axis of differences: all that is near, and zero."""
    near = [100 * p.comparison.interval.mean for p in points if abs(100 * p.comparison.interval.mean) <= FAR]
    near += [p.published for p in points if p.published is not None and abs(p.published) <= FAR] + [0.0]
    ends = [100 * end for p in points for end in (p.comparison.interval.low, p.comparison.interval.high)]
    low, high = max(min(ends), min(near) - FAR / 3), min(max(ends), max(near) + FAR / 3)
    return min(low, min(near)) - 1.0, max(high, max(near)) + 1.0


def _panel(axes: "Axes", points: Sequence[Point], view: tuple[float, float]) -> None:
    modes = list(dict.fromkeys(point.mode for point in points))
    names = {mode: mode or points[0].a.method for mode in modes}
    looks = figure_style.looks({names[mode]: (points[0].a.method, mode) for mode in modes})
    axes.axhline(0, color="#333333", linewidth=1.1)
    axes.set_ylim(view)
    for index, mode in enumerate(modes):
        members = sorted((point for point in points if point.mode == mode), key=lambda point: point.width or 0)
        shift = 2 ** (0.12 * (index - (len(modes) - 1) / 2))
        _line(axes, [(shift * (point.width or 0), point) for point in members], looks[names[mode]], names[mode], index)
    published = sorted({(p.width, p.published) for p in points if p.published is not None and p.width is not None})
    if published:
        drawn = axes.plot(*zip(*published, strict=True), "x:", color="#555555", linewidth=0.9, markersize=6,
                          label="_published")  # fmt: skip
        figure_style.tell(drawn[0], "published", [f"published: {signed(one)} points" for _, one in published])
    mark_cuts(axes)


def _line(axes: "Axes", places: Sequence[tuple[float, Point]], look: figure_style.Look, name: str, index: int) -> None:
    """One mode's differences, hollow where undecided, and a name at the edge for those that are far away."""
    low, high = axes.get_ylim()
    near = [(x, point) for x, point in places if low <= 100 * point.comparison.interval.mean <= high]
    drawn = axes.errorbar(
        [x for x, _ in near],
        [100 * point.comparison.interval.mean for _, point in near],
        yerr=sides([point.comparison.interval for _, point in near]),
        color=look.color,
        marker="",
        linestyle=look.linestyle,
        label=name,
    )
    figure_style.tell(drawn.lines[0], name)
    figure_style.tell(drawn.lines[2][0], name)
    for x, point in near:
        (marker,) = axes.plot(
            x,
            100 * point.comparison.interval.mean,
            look.marker,
            color=look.color,
            markerfacecolor=_fill(point, look),
            zorder=3,
        )
        figure_style.tell(marker, name, [told(point)])
    for x, point in places:
        mean = 100 * point.comparison.interval.mean
        if not low <= mean <= high:
            below = mean < low
            (marker,) = axes.plot(x, low if below else high, "v" if below else "^", color=look.color, markersize=7,
                                  markerfacecolor=_fill(point, look), clip_on=False, label="_cut")  # fmt: skip
            figure_style.tell(marker, name, [told(point)])
            axes.annotate(
                signed(mean),
                (x, low if below else high),
                (-7, (6 if below else -6) * (1 + 1.5 * index)),
                textcoords="offset points",
                ha="right",
                va="bottom" if below else "top",
                fontsize=7,
                color=look.color,
            )


def in_one_column(contrasts: Sequence[Contrast], across: int) -> Picture | None:
    """Differences beneath each other, where widths do not vary or there are too many panels; None without any."""
    from matplotlib.figure import Figure

    lines = [(contrast, point) for contrast in contrasts for point in contrast.points]
    if not lines:
        return None
    figure = Figure(
        figsize=(figure_style.COLUMN * (1.7 if across > 1 else 1.05), 0.8 + 0.36 * len(lines)), layout="constrained"
    )
    axes = figure.subplots()
    axes.axvline(0, color="#333333", linewidth=1.1)
    names = []
    apart = told_apart(list(dict.fromkeys(point.a.setting_text for _, point in lines)))
    for place, (contrast, point) in enumerate(lines):
        look = figure_style.looks({"": (point.a.method, point.mode)})[""]
        interval = point.comparison.interval
        drawn = axes.errorbar(100 * interval.mean, -place, xerr=sides([interval]), color=look.color,
                              marker=look.marker, markerfacecolor=_fill(point, look))  # fmt: skip
        figure_style.tell(drawn.lines[0], contrast.a, [told(point)])
        if point.published is not None:
            axes.plot(point.published, -place, "x", color="#555555", label="_published")
        mode = f" ({point.mode})" if point.mode and f"({point.mode})" not in contrast.a + contrast.b else ""
        where = [apart[point.a.setting_text]] if len(apart) > 1 else []
        names.append("\n".join([f"{contrast.a} {MINUS} {contrast.b}{mode}", *where]))
    axes.set_yticks([-place for place in range(len(lines))], names)
    axes.set_ylim(0.6 - len(lines), 0.6)
    axes.margins(x=0.1)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("difference in test accuracy (points)" if across > 1 else "difference (points)")
    return Picture(figure, _caption([point for _, point in lines], [axes]))


def _fill(point: Point, look: figure_style.Look) -> str:
    return look.color if point.verdict in ("ahead", "behind") else "white"


def told(point: Point) -> str:
    """What the pointer reads of a difference."""
    interval = point.comparison.interval
    size = f", {point.a.size_text}" if point.a.size_text else ""
    ends = f"{signed(100 * interval.low)} to {signed(100 * interval.high)}"
    return f"{_name(point.a)} {MINUS} {_name(point.b)}{size}: {signed(100 * interval.mean)} points ({ends})"


def _name(row: Row) -> str:
    return row.line


def _caption(points: Sequence[Point], panels: "Sequence[Axes]") -> str:
    labels = {line.get_label() for axes in panels for line in axes.get_lines()}
    kinds = {point.comparison.interval.speaks_of_methods for point in points}
    over = "training seeds and test episodes" if True in kinds else "test episodes only, of one training each"
    parts = [f"Paired on the same test episodes, with the 95 % interval over {over}; above zero the first is better."]
    if not all(point.verdict in ("ahead", "behind") for point in points):
        parts.append("Hollow: not shown to differ (Holm-corrected, 5 %).")
    if "_published" in labels:
        parts.append("Crosses: the published difference.")
    if "_cut" in labels:
        parts.append("An arrow: beyond the axis.")
    return " ".join(parts)
