"""Training speed against width, T, ways and workers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark import figure_style

_AXES = {
    "width": ("channels", "channels"),
    "batch": ("batch", "episodes per step"),
    "ways": ("ways", "ways"),
    "workers": ("workers", "processes at the same time"),
}


def draw(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    """Write `speed.png` and `.svg`: a panel per axis along which something was measured, a line per method.

    Speeds of workers add up. Rows are flat records as in `profile.json`; failed ones are left out.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

    good = [row for row in rows if "failure" not in row]
    axes_found = [axis for axis in _AXES if len({row[_AXES[axis][0]] for row in good if row["axis"] == axis}) > 1]
    if not axes_found:
        return
    with figure_style.drawing():
        looks = figure_style.looks([row["method"] for row in good])
        figure = Figure(figsize=(figure_style.COLUMN * len(axes_found), 3.4), layout="constrained")
        panels = figure.subplots(1, len(axes_found), sharey=True, squeeze=False)[0]
        for panel, axis in zip(panels, axes_found, strict=True):
            name, label = _AXES[axis]
            for method in looks:
                points = _points([row for row in good if row["axis"] == axis and row["method"] == method], name)
                if points:
                    look = looks[method]
                    panel.plot(
                        *zip(*points, strict=True),
                        color=look.color,
                        marker=look.marker,
                        linestyle=look.linestyle,
                        label=method,
                    )
            panel.set_xscale("log", base=2)
            panel.set_yscale("log")
            panel.set_xticks(sorted({row[name] for row in good if row["axis"] == axis}))
            panel.xaxis.set_major_formatter(ScalarFormatter())
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.set_xlabel(label)
        panels[0].yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panels[0].yaxis.set_major_formatter("{x:g}")
        panels[0].yaxis.set_minor_formatter(NullFormatter())
        panels[0].set_ylabel("training episodes per second")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(labels), 2 * len(axes_found)))
        figure_style.save(figure, folder, "speed")


def _points(rows: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float]]:
    """(place on the axis, sum of the speeds there), in order."""
    return [
        (place, sum(row["episodes_per_s"] for row in rows if row[name] == place))
        for place in sorted({row[name] for row in rows})
    ]
