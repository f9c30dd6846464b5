"""A domain: which classes the images of a task come from, and how they are shown.

A data set whose tasks differ in kind has several: ways to show its images (`dataset.domains`), or the data sets that a
mixture is made of, or both. Every task has one of them, support and query alike, told by its stream and index alone
(`benchmark.episodes.draw`) and never to a method. A data set without has a single one, all its classes as they are.
"""

from dataclasses import dataclass

from benchmark.data.pixels.domains import View
from benchmark.data.pixels.rotations import Rotations


@dataclass(frozen=True)
class Domain:
    """One of them, in one split.

    Attributes:
        name: as tables have it.
        classes: places of its classes among those of the split.
        rotations: how it uses rotations.
        view: how its images are shown.
        weight: it comes `weight` times as often as a domain of weight 1.
    """

    name: str
    classes: range
    rotations: Rotations = "none"
    view: View = "identity"
    weight: int = 1
