"""What a figure of a report is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.reporting.rows import Row

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True)
class Picture:
    """A figure as drawn, and its caption, which mentions only what is there."""

    figure: "matplotlib.figure.Figure"
    caption: str


@dataclass(frozen=True)
class Figure:
    """A figure: `name` of its files, its title, and how it is drawn.

    `draw` returns None where it would have nothing to show; then there is no such figure in the report.
    """

    name: str
    title: str
    draw: Callable[[Sequence[Row]], Picture | None]


@dataclass(frozen=True)
class Drawn:
    """A figure of a report that was written: the names of its files, and what to say of it."""

    name: str
    title: str
    caption: str
