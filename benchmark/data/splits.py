"""Splitting a dataset by class."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence

import torch

from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.pixels.rotations import Rotations


def permuted(classes: int, seed: int) -> list[int]:
    """The numbers 0 .. classes-1 in a random order that depends on nothing but the seed."""
    order = list(range(classes))
    random.Random(seed).shuffle(order)
    return order


def split_dataset(
    name: str, pool: ClassImages, splits: Mapping[str, Sequence[int]], train_rotations: Rotations
) -> Dataset:
    """Divide the classes of `pool`.

    Args:
        name: the dataset's name.
        pool: all images, grouped by class.
        splits: split name -> numbers of its classes in `pool`, in the order they get in the split.
        train_rotations: how the training split uses rotations; the others are never rotated.
    """
    return Dataset(
        name,
        content_sha256(pool),
        {
            split: select_classes(pool, classes, train_rotations if split == "train" else "none")
            for split, classes in splits.items()
        },
    )


def select_classes(pool: ClassImages, classes: Sequence[int], rotations: Rotations) -> ClassImages:
    """A copy of some classes, in the given order."""
    sizes = pool.first.diff()[list(classes)]
    images = torch.cat([torch.arange(int(pool.first[c]), int(pool.first[c + 1])) for c in classes])
    first = torch.cat([torch.zeros(1, dtype=torch.int64), sizes.cumsum(0)])
    return ClassImages(pool.images[images], first, tuple(pool.names[c] for c in classes), rotations)


def content_sha256(pool: ClassImages) -> str:
    """SHA-256 of the images' bytes, their grouping and the class names."""
    header = json.dumps([list(pool.images.shape), pool.first.tolist(), pool.names])
    digest = hashlib.sha256(header.encode())
    digest.update(pool.images.numpy().data)
    return digest.hexdigest()
