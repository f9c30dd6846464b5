"""What a figure of a report is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.reporting.rows import Row

if TYPE_CHECKING:
    import matplotlib.figure


@dataclass(frozen=True)
class Figure:
    """A figure: `name` of its files, its title, what it shows in words, and how it is drawn.

    `draw` returns None where it would have nothing to show; then there is no such figure in the report.
    """

    name: str
    title: str
    description: str
    draw: "Callable[[Sequence[Row]], matplotlib.figure.Figure | None]"
