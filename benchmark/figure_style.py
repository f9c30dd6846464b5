"""How figures look: readable at the width of a paper's column, in greyscale and by colour-blind readers."""

import contextlib
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.machine.files import write_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

COLUMN = 3.5
"""Width of a panel in inches: one column of a two-column paper."""

# Okabe & Ito (2008), without the yellow that vanishes on white. Colour, marker and dash all tell lines apart.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#56B4E9", "#E69F00")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.5, 1, 1.5)), (0, (7, 2)))

RC: "dict[RcKeyType, Any]" = {
    "font.size": 9,
    "axes.titlesize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    # Text stays text: searchable, and half the size. Verdana is as wide as DejaVu Sans, which not every reader has.
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "sans-serif"],
    "svg.hashsalt": "htbench",
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """Colour, marker and dash pattern of one line."""

    color: str
    marker: str
    linestyle: Any


def looks(names: list[str]) -> dict[str, Look]:
    """A look for each name, by its place in the list: the same in all figures of a report."""
    return {
        name: Look(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _DASHES[i % len(_DASHES)])
        for i, name in enumerate(dict.fromkeys(names))
    }


@contextlib.contextmanager
def drawing() -> Iterator[None]:
    """While active, matplotlib draws in this style, whatever the user's own is.

    Figures are made with matplotlib's object-oriented interface: no display, no state left behind in pyplot.
    """
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def save(figure: "Figure", folder: Path, name: str) -> None:
    """Write `name.png` and `name.svg`, without dates or versions: the same figure gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out now, once, and not again for every file
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    write_text(folder / f"{name}.svg", numbered(svg.getvalue()))


def numbered(svg: str) -> str:
    """The picture with its generated ids (`m5f7a1c90e2`) counted through instead (`m1`, `m2`, ...).

    matplotlib makes them from the coordinates, whose last bit differs between processors.
    """
    ids = dict.fromkeys(re.findall(r'id="([a-zA-Z]+[0-9a-f]{10})"', svg))
    names = {one: f"{one[:-10]}{number}" for number, one in enumerate(ids, start=1)}
    return re.sub(r"[a-zA-Z]+[0-9a-f]{10}\b", lambda found: names.get(found[0], found[0]), svg)
