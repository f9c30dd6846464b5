"""The figures of a report. Every one shows intervals and is skipped when it would be empty.

To add one: a function that draws it and its `Figure` in a file of this folder, and a place in `FIGURES`.
"""

from collections.abc import Sequence
from pathlib import Path

from benchmark import figure_style
from benchmark.reporting.figures import accuracy, curves, differences, layers, ranks, sequences
from benchmark.reporting.figures.figure import Drawn, Figure
from benchmark.reporting.rows import Row

FIGURES: tuple[Figure, ...] = (
    *accuracy.FIGURES,
    *differences.FIGURES,
    *layers.FIGURES,
    *ranks.FIGURES,
    *sequences.FIGURES,
    *curves.FIGURES,
)
"""All figures in the order of the report."""


def draw_all(rows: Sequence[Row], folder: Path) -> list[Drawn]:
    """Draw every figure that has something to show into the folder; those it drew."""
    drawn = []
    with figure_style.drawing():
        for figure in FIGURES:
            picture = figure.draw(rows)
            if picture is not None:
                figure_style.save(picture.figure, folder, figure.name)
                drawn.append(Drawn(figure.name, figure.title, picture.caption))
    return drawn


def first_of(figures: Sequence[Drawn]) -> tuple[Drawn, ...]:
    """Of figures that were drawn, the one to show first where no difference is in question."""
    return tuple(sorted(figures, key=lambda figure: figure.name != differences.FIGURES[0].name)[:1])
