"""Pictures that are there twice, and pictures of nothing.

Pictures are compared as they are trained on: after resizing, so that a copy in another format is one too. Those of one
colour only are left out of it: they are all alike, and tell nothing of where a picture is from.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.data.files.progress import progress

NOTHING = np.uint64(0)
"""Stands for a picture of one colour."""


def picture_hashes(images: np.ndarray, what: str) -> np.ndarray:
    """(M,) uint64 for images (M, ...) uint8: equal for equal images, `NOTHING` for one colour (in each channel).

    Among a million images, two different ones have the same hash with a probability of 3e-8.

    Args:
        images: (M, C, H, W).
        what: they are, for a progress line.
    """
    hashes = np.empty(len(images), np.uint64)
    for row in progress(range(len(images)), f"comparing {what}"):
        image = images[row]
        if (image == image[:, :1, :1]).all():
            hashes[row] = NOTHING
        else:
            digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest()
            hashes[row] = max(int.from_bytes(digest, "little"), 1)
    return hashes


@dataclass(frozen=True)
class Repeated:
    """A picture that is there twice: its splits and its rows in these."""

    first_split: str
    first: int
    other_split: str
    other: int


def repeated_across(hashes: Mapping[str, np.ndarray]) -> list[Repeated]:
    """Every picture that is already in an earlier split: with the last split that has it, and its first row there."""
    found = []
    splits = list(hashes)
    for place, split in enumerate(splits):
        mine = hashes[split]
        for earlier in reversed(splits[:place]):
            values, first = np.unique(hashes[earlier], return_index=True)
            for row in np.flatnonzero(np.isin(mine, values[values != NOTHING])).tolist():
                at = int(first[np.searchsorted(values, mine[row])])
                found.append(Repeated(earlier, at, split, row))
    return found


def repeated_within(hashes: Mapping[str, np.ndarray]) -> list[Repeated]:
    """Every picture that is already in its own split."""
    found = []
    for split, mine in hashes.items():
        _, first, back = np.unique(mine, return_index=True, return_inverse=True)
        again = (first[back] != np.arange(len(mine))) & (mine != NOTHING)
        found += [Repeated(split, int(first[back[row]]), split, row) for row in np.flatnonzero(again).tolist()]
    return found


def blank_rows(hashes: Mapping[str, np.ndarray]) -> list[tuple[str, int]]:
    """Split and row of every picture of one colour."""
    return [(split, row) for split, mine in hashes.items() for row in np.flatnonzero(mine == NOTHING).tolist()]


def are(count: int) -> str:
    """`1 picture is`, `2 pictures are`."""
    return "1 picture is" if count == 1 else f"{count:,} pictures are"


def some(things: Sequence[object], most: int = 3) -> str:
    """The first of them."""
    return ", ".join(map(str, things[:most])) + (" ..." if len(things) > most else "")
