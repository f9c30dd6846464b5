"""Figures of several panels with one legend."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from benchmark.reporting import style
from benchmark.reporting.rows import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    longest = max((len(label) for label in handles), default=0)
    across = max(1, int(figure.get_figwidth() / (0.55 + 0.065 * longest)))  # inches of a line and of a letter
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=min(across, len(handles)))
