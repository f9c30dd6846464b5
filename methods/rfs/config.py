"""Options of RFS."""

from dataclasses import dataclass
from typing import Literal

from methods.search import Range, searched

SHIFTS = ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, -1), (1, -1), (-1, 1))
"""Directions (down, right) in which a support image is moved for its copies, in this order."""


@dataclass(frozen=True)
class RFSConfig:
    """Options; the defaults are the paper's "RFS-simple", but for the width (64 there) and no augmented copies.

    channels: width of each of the four blocks of the embedding.
    classifier: fitted on the support set of a task: logistic regression, or the nearest class mean by cosine.
    C: inverse strength of the logistic regression's penalty, as in scikit-learn.
    support_augmentations: how many shifted copies of each support image join it, at most 8 (the paper has five
        randomly augmented ones instead of the image). A shift is by 1/14 of the image's height, 2 pixels of 28.
    generations: of self-distillation after the first ("RFS-distill" has at least two), each with an equal part of
        training.

    Raises:
        ValueError: for values out of range.
    """

    channels: int = 8
    classifier: Literal["logistic-regression", "nearest-mean"] = "logistic-regression"
    C: float = searched(1.0, Range(0.01, 100.0, log=True))
    support_augmentations: int = searched(0, (0, 4, 8))
    generations: int = 0

    def __post_init__(self) -> None:
        if not self.C > 0:
            raise ValueError(f"C is positive, not {self.C:g}")
        if not 0 <= self.support_augmentations <= len(SHIFTS):
            raise ValueError(f"support_augmentations is 0 to {len(SHIFTS)}, not {self.support_augmentations}")
        if self.generations < 0:
            raise ValueError(f"generations is at least 0, not {self.generations}")
