"""Decoded images in a file that is mapped into memory, not read: for datasets larger than memory.

`<name>.u8` holds the pixels of one split, (M, 3, H, W) uint8, images of a class next to each other and nothing else;
`<name>.json` says what they are. The images are written class by class under a temporary name, and the description
last: after an interruption, a split is either there or started again, and splits that are there are not done again.

The pixels' length is checked at every start, their hashes (by class, made when they were written) are believed: hashing
tieredImageNet again would take longer than many a cell trains.
"""

import contextlib
import fcntl
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import torch
from pydantic import Field, ValidationError

from benchmark.data.dataset import ClassImages
from benchmark.data.files.cache import writable
from benchmark.data.files.formats import Source
from benchmark.data.files.progress import progress
from benchmark.errors import UserError
from benchmark.machine.files import write_text, write_whole
from benchmark.machine.frozen import Frozen

FORMAT = 1
"""Raise it when the same sources give other pixels."""


class Index(Frozen):
    """What is in a file of pixels: per class its name, number of images, and the SHA-256 of their bytes.

    `blank` has, of classes with images of one colour only, how many these are.
    """

    stamp: str
    image_size: int
    names: tuple[str, ...]
    sizes: tuple[int, ...]
    sha256: tuple[str, ...]
    blank: Mapping[str, int] = Field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(M, C, H, W)."""
        return sum(self.sizes), 3, self.image_size, self.image_size


@dataclass(frozen=True)
class MappedFile:
    """Where the images of a split are kept: `<folder>/<name>.u8` and `.json`."""

    folder: Path
    name: str

    @property
    def pixels(self) -> Path:
        """The file of pixels."""
        return self.folder / f"{self.name}.u8"

    @property
    def index_file(self) -> Path:
        """Its description."""
        return self.folder / f"{self.name}.json"

    def index(self, stamp: str) -> Index | None:
        """The description, if there is one, from these sources, and the pixels are as long as it says."""
        try:
            index = Index.model_validate_json(self.index_file.read_bytes())
            length = self.pixels.stat().st_size
        except (OSError, ValidationError):
            return None
        return index if index.stamp == stamp and length == np.prod(index.shape) else None

    def images(self, index: Index) -> ClassImages:
        """The images, mapped: a page is read from disk when a pixel of it is first looked at."""
        # "c": a write would change the process's own copy of a page, never the file.
        pixels = np.memmap(self.pixels, dtype=np.uint8, mode="c", shape=index.shape)
        return ClassImages(torch.from_numpy(pixels), torch.tensor([0, *index.sizes]).cumsum(0), index.names)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until no other process writes these files, and keep others from it."""
        with (self.folder / f".{self.name}.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def write(self, source: Source, stamp: str, size: int) -> Index:
        """Decode the source's images into the files.

        Raises:
            UserError: something is wrong with the source, or the disk is full.
        """
        self.index_file.unlink(missing_ok=True)  # it would describe other pixels, for a moment
        for left_over in self.folder.glob(f".{self.pixels.name}.*.tmp"):  # of a process that was killed
            left_over.unlink(missing_ok=True)
        names: list[str] = []
        sizes: list[int] = []
        digests: list[str] = []
        blank: dict[str, int] = {}

        def write(file: IO[bytes]) -> None:
            for name, images in progress(source.classes(), f"decoding {self.name}"):
                content = images.transpose(0, 3, 1, 2).tobytes()
                file.write(content)
                names.append(name)
                sizes.append(len(images))
                digests.append(hashlib.sha256(content).hexdigest())
                if count := int((images == images[:, :1, :1]).all(axis=(1, 2, 3)).sum()):
                    blank[name] = count

        write_whole(self.pixels, write)
        index = Index(
            stamp=stamp,
            image_size=size,
            names=tuple(names),
            sizes=tuple(sizes),
            sha256=tuple(digests),
            blank=blank,
        )
        write_text(self.index_file, index.model_dump_json(indent=1))
        return index


def mapped(name: str, source: Source, size: int, folders: Sequence[Path]) -> tuple[ClassImages, Index]:
    """The images of a split, mapped from the first of the folders that has them, or decoded into the first writable.

    Raises:
        UserError: something is wrong with the source, or there is no room for the decoded images.
    """
    stamp = f"{FORMAT}:{size}:{source.fingerprint()}"
    files = [MappedFile(folder, name) for folder in folders]
    for file in files:
        index = file.index(stamp)
        if index is not None:
            return file.images(index), index
    for file in files:
        if writable(file.folder):
            with file.locked():
                index = file.index(stamp) or file.write(source, stamp, size)
            return file.images(index), index
    raise UserError(f"no folder can be written to keep the decoded images in: {', '.join(map(str, folders))}")
