"""The figures of a report. Every one shows intervals and is skipped when it would be empty.

To add one: a function that draws it and its `Figure` in a file of this folder, and a place in `FIGURES`.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmark import figure_style
from benchmark.reporting.figures import accuracy, layers, ranks, sequences
from benchmark.reporting.figures.figure import Figure
from benchmark.reporting.rows import Row

FIGURES: tuple[Figure, ...] = (*accuracy.FIGURES, *layers.FIGURES, *ranks.FIGURES, *sequences.FIGURES)
"""All figures in the order of the report."""


def draw_all(rows: Sequence[Row], folder: Path) -> list[Figure]:
    """Draw every figure that has something to show into the folder; those it drew."""
    drawn = []
    with figure_style.drawing():
        for figure in FIGURES:
            picture = figure.draw(rows)
            if picture is not None:
                figure_style.save(picture, folder, figure.name)
                drawn.append(figure)
    return drawn
