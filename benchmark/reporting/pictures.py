"""Pictures within a page: a figure's SVG as part of the HTML, so that a script can read its numbers and hide its lines.

Compared for this: plotly and vega-lite with vega, about a megabyte of script each in every report (not measured),
draw nothing without scripts and would draw every figure a second time, beside the SVG for papers; a dozen committed
reports with either would not fit into the 10 MB that results/ may have. A script of a hundred lines over the SVG that
is there anyway costs 3 kB, prints as vectors, and without scripts leaves the picture and the browser's own titles.
"""

import base64
import re
from html import escape
from pathlib import Path

LARGEST = 34
"""Rem below which a picture does not shrink on a small screen: it is then scrolled."""


def inline(path: Path, label: str, *, shrink: bool = False) -> str:
    """The SVG of a file as an element of HTML, with ids of its own; `shrink` lets it be as narrow as the screen."""
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", svg, flags=re.DOTALL)
    head = re.match(r"<svg [^>]*>", svg)
    assert head is not None
    width, box = (re.search(rf'{name}="([^"]*)"', head[0]) for name in ("width", "viewBox"))
    assert width is not None and box is not None
    least = "" if shrink else f"min-width:min({width[1]},{LARGEST}rem);"
    opening = (
        f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box[1]}" role="img" aria-label="{escape(label)}"'
        f' style="{least}max-width:{width[1]}">'
    )
    body = svg[head.end() :]
    ids = "|".join(sorted(map(re.escape, set(re.findall(r'\bid="([^"]+)"', body))), key=len, reverse=True))
    if ids:
        prefix = f"{path.stem}-"
        body = re.sub(rf'(\bid="|href="#|url\(#)({ids})(?=["\)])', rf"\g<1>{prefix}\g<2>", body)
    return opening + body.strip()


def data_uri(path: Path) -> str:
    """The SVG of a file as the address of an image, for pictures in which there is nothing to point at."""
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
