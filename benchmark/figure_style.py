"""How figures look: readable at the width of a paper's column, in greyscale and by colour-blind readers.

Their SVG also says what it shows: artists given to `tell` carry their series and their numbers, which a page reads out
under the pointer, and by which it hides a line. Elsewhere, and in print, it is an ordinary picture.
"""

import contextlib
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from benchmark.machine.files import write_text

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure
    from matplotlib.typing import RcKeyType

COLUMN = 3.5
"""Width of a panel in inches: one column of a two-column paper."""

DASHES: dict[str, Any] = {
    "solid": "-",
    "dashed": (0, (4, 1.5)),
    "dotted": (0, (1, 1.2)),
    "dashdot": (0, (5, 1.5, 1, 1.5)),
    "long": (0, (7, 2)),
}
FADED = 0.6
"""How far the last of a method's many variants is from its colour to white."""

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


@cache
def _table() -> dict[str, Any]:
    """Who looks how: figure_style.yaml."""
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return table


def colour_and_marker(method: str, taken: Sequence[tuple[str, str]] = ()) -> tuple[str, str]:
    """Of a method, the same everywhere; one that the table does not name gets what its name leads to and nobody has."""
    known = _table()["methods"].get(method)
    if known:
        return known[0], known[1]
    choice = list(product(_table()["others"]["colours"], _table()["others"]["markers"]))
    start = int(hashlib.sha256(method.encode()).hexdigest(), 16) % len(choice)
    return next((one for one in choice[start:] + choice[:start] if one not in taken), choice[start])


def looks(lines: Mapping[str, tuple[str, str]]) -> dict[str, Look]:
    """A look for each line: colour and marker of its method, dashes of its mode.

    Lines of one method that differ in something else get different dashes, and many of them fade, in their order.

    Args:
        lines: name of the line -> (its method, its options as in `support, learning rate 0.02`).
    """
    of_method: dict[str, tuple[str, str]] = {}
    for method in sorted({method for method, _ in lines.values()}):
        of_method[method] = colour_and_marker(method, list(of_method.values()))
    variants: dict[str, list[str]] = {}
    for method, options in lines.values():
        known = variants.setdefault(method, [])
        if (rest := _without_mode(options)) not in known:
            known.append(rest)
    found = {}
    for line, (method, options) in lines.items():
        colour, marker = of_method[method]
        mode = next((part for part in options.split(", ") if part in _table()["modes"]), None)
        place, count = variants[method].index(_without_mode(options)), len(variants[method])
        dashes = DASHES[_table()["modes"][mode]] if mode else [*DASHES.values()][place % len(DASHES)]
        found[line] = Look(_faded(colour, FADED * place / (count - 1)) if count > 2 else colour, marker, dashes)
    return found


def _without_mode(options: str) -> str:
    return ", ".join(part for part in options.split(", ") if part not in _table()["modes"])


def _faded(colour: str, share: float) -> str:
    """The colour, by this share of the way to white."""
    parts = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#" + "".join(f"{round(part + share * (255 - part)):02X}" for part in parts)


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


_SIGN = "\N{SYMBOL FOR UNIT SEPARATOR}"


def tell(artist: "Artist", series: str, points: Sequence[str] = ()) -> None:
    """Let the artist's SVG carry the name of its series, and each of its markers its numbers in words."""
    artist.set_gid(_SIGN.join(("series", series, *points)))


def tell_legend(artist: "Artist", series: str) -> None:
    """Let the SVG of a part of a legend say which series it is about."""
    artist.set_gid(_SIGN.join(("legend", series)))


def save(figure: "Figure", folder: Path, name: str) -> None:
    """Write `name.png` and `name.svg`, without dates or versions: the same figure gives the same bytes."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out now, once, and not again for every file
    figure.savefig(folder / f"{name}.png", metadata={"Software": None})
    svg = io.StringIO()
    figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    write_text(folder / f"{name}.svg", _told(numbered(svg.getvalue())))


def _told(svg: str) -> str:
    """The picture with what was given to `tell` as attributes and titles instead of ids."""
    # An id with a double quote in it stands in single ones.
    parts = re.split(rf"""<g id=["'](series|legend){_SIGN}(.*?)["']>""", svg)
    found = [parts[0]]
    for kind, told, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        series, *points = told.replace('"', "&quot;").split(_SIGN)
        # A line's markers are the next `use` elements, in the order of its points.
        between = re.split(r"<use ([^>]*)/>", rest, maxsplit=len(points)) if points else [rest]
        titled = zip(between[1::2], points, between[2::2], strict=True)
        body = between[0] + "".join(f"<use {at}><title>{title}</title></use>{after}" for at, title, after in titled)
        found.append(f'<g data-{kind}="{series}">{body}')
    return "".join(found)


def numbered(svg: str) -> str:
    """The picture with its generated ids (`m5f7a1c90e2`) counted through instead (`m1`, `m2`, ...).

    matplotlib makes them from the coordinates, whose last bit differs between processors.
    """
    ids = dict.fromkeys(re.findall(r'id="([a-zA-Z]+[0-9a-f]{10})"', svg))
    names = {one: f"{one[:-10]}{number}" for number, one in enumerate(ids, start=1)}
    return re.sub(r"[a-zA-Z]+[0-9a-f]{10}\b", lambda found: names.get(found[0], found[0]), svg)
