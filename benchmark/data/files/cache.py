"""Decoded images in one file, so that a dataset is decoded once and not once per cell."""

import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import torch

from benchmark.data.dataset import ClassImages
from benchmark.errors import UserError
from benchmark.machine.files import write_whole

FORMAT = 1
"""Raise it when the content of a cache file changes its meaning."""


def cached(name: str, fingerprint: str, folders: Sequence[Path], build: Callable[[], ClassImages]) -> ClassImages:
    """The images from `<folder>/<name>.npz`, or built and put there.

    Args:
        name: of the cache file, without its ending.
        fingerprint: of everything the images are made from; a file with another one is rebuilt, and so is a damaged one
            (an npz file is a zip archive, which holds a checksum of every array).
        folders: where to look, in this order; a new file goes to the first that can be written.
        build: decodes the images.
    """
    stamp = f"{FORMAT}:{fingerprint}"
    for folder in folders:
        pool = _read(folder / f"{name}.npz", stamp)
        if pool is not None:
            return pool
    pool = build()
    for folder in folders:
        if _written(folder / f"{name}.npz", stamp, pool):
            return pool
    warnings.warn(
        f"no cache folder can be written, decoding again next time: {[str(f) for f in folders]}", stacklevel=2
    )
    return pool


def writable(folder: Path) -> bool:
    """Whether files can be put into a folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A folder without any write permission is meant to stay as it is, even when root (in a container) could write.
        return bool(folder.stat().st_mode & 0o222) and os.access(folder, os.W_OK)
    except OSError:
        return False


def _read(path: Path, stamp: str) -> ClassImages | None:
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            if str(file["stamp"]) != stamp:
                return None
            names = tuple(str(name) for name in file["names"])
            return ClassImages(torch.from_numpy(file["images"]), torch.from_numpy(file["first"]), names)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        return None


def _written(path: Path, stamp: str, pool: ClassImages) -> bool:
    def write(file: IO[bytes]) -> None:
        np.savez(
            file,
            stamp=np.array(stamp),
            names=np.array(pool.names),
            first=pool.first.numpy(),
            images=pool.images.numpy(),
        )

    try:
        if writable(path.parent):
            write_whole(path, write)
            return True
    except UserError:
        pass
    return False
