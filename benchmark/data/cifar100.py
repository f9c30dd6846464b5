"""CIFAR-100's official archive, from which both CIFAR-FS and FC100 can be made.

Source. Alex Krizhevsky, "Learning multiple layers of features from tiny images", 2009,
https://www.cs.toronto.edu/~kriz/cifar.html. 100 classes in 20 superclasses, 500 training and 100 test images of each,
32 x 32 pixels; here the 600 are one class, training images first. The archive (161 MB), or what it was unpacked to, is
read from `<root>/cifar100/` or where torchvision has it, and downloaded when missing. An archive with another checksum
is refused unless it is accepted with `htbench data --trust`, or other files are wanted (`partial: true`).
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
from benchmark.data.files.hashes import content_hashes
from benchmark.data.files.places import dataset_folders
from benchmark.data.files.restricted_pickle import read_pickle, unpickle
from benchmark.data.files.split_names import SPLITS
from benchmark.data.files.trust import check_trusted, has_md5
from benchmark.errors import UserError

URL = "https://www.cs.toronto.edu/~kriz"
ARCHIVE = "cifar-100-python.tar.gz"
MD5 = "eb9058c3a382ffc7106e4002c42a8d85"  # as in torchvision.datasets.CIFAR100
FOLDER = "cifar-100-python"
PARTS = ("meta", "train", "test")
SIZE = 32
LARGEST_UNPACKED = 1_000_000_000
"""Bytes of the archive's files together."""

SplitOf = Callable[[str, str], str]
"""(class, superclass) -> train, validation or test."""


def cifar100(root: Path, split_of: SplitOf, url: str = URL, md5: str = MD5, other_files: bool = False) -> Sources:
    """The classes of the archive, divided.

    Args:
        root: the archive, or the folder `cifar-100-python` it was unpacked to, is in its subfolder `cifar100` (or
            another spelling of it), in that of CIFAR-FS or FC100, or in the root itself (torchvision).
        split_of: says which split a class belongs to.
        url: where to download it from when it is missing.
        md5: its checksum.
        other_files: accept an archive with another checksum.

    Raises:
        UserError: the archive is missing and cannot be downloaded, or is neither the published one nor trusted.
    """
    found = _found(root)
    if found is None:
        found = root / "cifar100" / ARCHIVE
        remedy = (
            f"Get {ARCHIVE} from https://www.cs.toronto.edu/~kriz/cifar.html and put it into {found.parent}, or set"
            " HTBENCH_DATA to a folder that has it in its subfolder cifar100; benchmark/data/README.md lists other"
            " formats."
        )
        fetch(f"{url}/{ARCHIVE}", found, md5, remedy)
    if found.is_file() and not other_files and not has_md5(found, md5):
        (digest,) = content_hashes(found, [found])
        check_trusted(digest, f"{found} is not the archive that was published: its MD5 is not {md5}")
    files = [found] if found.is_file() else [found / part for part in PARTS]
    return {split: Source(files, partial(_classes, found, split, split_of)) for split in SPLITS}


def _found(root: Path) -> Path | None:
    """The archive, else a folder with its three files."""
    folders = dataset_folders(root, "cifar100", FOLDER, "cifar_fs", "fc100", ".")
    archives = [folder / ARCHIVE for folder in folders]
    unpacked = [place for folder in folders for place in (folder / FOLDER, folder)]
    return next(
        (
            path
            for path in [*archives, *unpacked]
            if path.is_file() or (path != root and all((path / part).is_file() for part in PARTS))
        ),
        None,
    )


def _classes(path: Path, split: str, split_of: SplitOf) -> Classes:
    meta, *parts = (_part(path, name) for name in PARTS)
    images = np.concatenate([_images(entry(part, "data", path), path) for part in parts])
    fine, coarse = (
        np.concatenate([np.asarray(entry(part, f"{kind}_labels", path)) for part in parts])
        for kind in ("fine", "coarse")
    )
    names, superclasses = (entry(meta, f"{kind}_label_names", path) for kind in ("fine", "coarse"))
    for label, rows in rows_by_label(fine, len(images), path).items():
        name, superclass = _named(names, label, path), _named(superclasses, coarse[rows[0]], path)
        if split_of(name, superclass) == split:
            yield f"{superclass}/{name}", images[rows]


def _named(names: Any, label: Any, path: Path) -> str:
    name = names[label] if isinstance(names, list) and 0 <= int(label) < len(names) else None
    name = name.decode(errors="replace") if isinstance(name, bytes) else name  # as Python 3 keeps Python 2's text
    if not isinstance(name, str):
        raise UserError(f"{path}: label {label} has no name in {PARTS[0]}")
    return name


def _part(path: Path, name: str) -> Any:
    """What one of the files holds: in the archive, or in the folder it was unpacked to."""
    if path.is_dir():
        return read_pickle(path / name)
    unpacked = 0
    try:
        with tarfile.open(path) as archive:
            for member in archive:  # one after the other: what is not looked at is unpacked too
                unpacked += member.size
                if unpacked > LARGEST_UNPACKED:
                    raise UserError(
                        f"{path} is more than {LARGEST_UNPACKED:,} bytes unpacked, a fifth of which the published"
                        " archive has. Delete it, and it is downloaded again."
                    )
                if member.isfile() and member.name.removeprefix("./") == f"{FOLDER}/{name}":
                    file = archive.extractfile(member)
                    assert file is not None  # it is a file
                    return unpickle(file, path / name, member.size)
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it, and it is downloaded again.") from error
    raise UserError(f"{path} has no {FOLDER}/{name}. Delete it, and it is downloaded again.")


def _images(rows: Any, path: Path) -> np.ndarray:
    """(M, 3072) uint8, red, green and blue planes after each other, as (M, 32, 32, 3)."""
    if not isinstance(rows, np.ndarray) or rows.shape[1:] != (3 * SIZE * SIZE,):
        raise UserError(
            f"{path}: the images should be an array (images, {3 * SIZE * SIZE}). Delete it to download it again."
        )
    return checked(rows.reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1), SIZE, path)
