"""CIFAR-100's official archive, from which both CIFAR-FS and FC100 can be made.

Source. Alex Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. 100 classes in 20 superclasses, 500 training and 100 test images of each,
32 x 32 pixels; here the 600 are one class, training images first. The archive (161 MB) is read from `<root>/cifar100/`
and downloaded there when missing.
"""

import tarfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.data.files.download import fetch
from benchmark.data.files.formats import Classes, Source, Sources, checked, entry, rows_by_label
from benchmark.data.files.restricted_pickle import unpickle
from benchmark.data.files.split_names import SPLITS
from benchmark.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz"
ARCHIVE = "cifar-100-python.tar.gz"
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"  # as in torchvision.datasets.CIFAR100
SIZE = 32

SplitOf = Callable[[str, str], str]
"""(class, superclass) -> train, validation or test."""


def cifar100(root: Path, split_of: SplitOf, url: str = URL, md5: str = MD5) -> Sources:
    """The classes of the archive, divided.

    Args:
        root: the archive is in its subfolder `cifar100`.
        split_of: says which split a class belongs to.
        url: where to download it from when it is missing.
        md5: its checksum.

    Raises:
        UserError: the archive is missing and cannot be downloaded.
    """
    path = root / "cifar100" / ARCHIVE
    remedy = (
        f"Get {ARCHIVE} from https://www.cs.toronto.edu/~kriz/cifar.html and put it into {path.parent}, or set"
        " HTBENCH_DATA to a folder that has it in its subfolder cifar100; benchmark/data/README.md lists other formats."
    )
    fetch(f"{url}/{ARCHIVE}", path, md5, remedy)
    return {split: Source([path], partial(_classes, path, split, split_of)) for split in SPLITS}


def _classes(path: Path, split: str, split_of: SplitOf) -> Classes:
    meta, *parts = (_member(path, name) for name in ("meta", "train", "test"))
    images = np.concatenate([_images(entry(part, "data", path), path) for part in parts])
    fine, coarse = (
        np.concatenate([np.asarray(entry(part, f"{kind}_labels", path)) for part in parts])
        for kind in ("fine", "coarse")
    )
    names, superclasses = (entry(meta, f"{kind}_label_names", path) for kind in ("fine", "coarse"))
    for label, rows in rows_by_label(fine, len(images), path).items():
        name, superclass = names[label], superclasses[int(coarse[rows[0]])]
        if split_of(name, superclass) == split:
            yield f"{superclass}/{name}", images[rows]


def _member(path: Path, name: str) -> Any:
    try:
        with tarfile.open(path) as archive:
            file = archive.extractfile(f"cifar-100-python/{name}")
            assert file is not None  # it is not a folder in this archive
            return unpickle(file, path / name)
    except (KeyError, OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it, and it is downloaded again.") from error


def _images(rows: Any, path: Path) -> np.ndarray:
    """(M, 3072) uint8, red, green and blue planes after each other, as (M, 32, 32, 3)."""
    if not isinstance(rows, np.ndarray) or rows.shape[1:] != (3 * SIZE * SIZE,):
        raise UserError(
            f"{path}: the images should be an array (images, {3 * SIZE * SIZE}). Delete it to download it again."
        )
    return checked(rows.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), SIZE, path)
