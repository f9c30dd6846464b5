"""Figures as a test wants them: drawn, or the test fails."""

from matplotlib.figure import Figure

from benchmark.reporting.figures.figure import Picture


def drawn(picture: Picture | None) -> Figure:
    """The figure of a picture, which there is."""
    assert picture is not None
    return picture.figure
