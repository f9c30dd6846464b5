"""What the datasets of colour photographs have in common: miniImageNet, tieredImageNet, CIFAR-FS, FC100.

Each is accepted in several file formats, see `benchmark.data.files.formats`; README.md beside this file says what to
put where. Whatever the format, each split becomes one file of pixels, (M, 3, H, W) uint8, that is mapped into memory,
see `benchmark.data.files.mapped`. Classes are in the order of the files' class names or numbers, images in that of the
files.

Pixels are normalised when episodes are made, by the means and standard deviations of
`benchmark.data.pixels.normalization`, in all splits. With `augment: true` the training split is augmented on the
device, see `benchmark.data.pixels.augmentation`.

The class splits are those of the files, or of this project's lists for the official CIFAR-100 archive. No two splits
may share a class, neither by name nor by content, nor single images unless the dataset is complete (the published ones
have such): see `benchmark.data.shared`. The numbers of classes and images must be those of the literature unless
`partial: true` says that they need not be.
"""

import bisect
import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, combinations
from pathlib import Path

import numpy as np

from benchmark.data.configs import PhotographsConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.formats import Sources
from benchmark.data.files.mapped import Index, mapped
from benchmark.data.files.places import user_cache
from benchmark.data.pixels.augmentation import Augmentation
from benchmark.data.pixels.repeated import picture_hashes, repeated_across
from benchmark.data.shared import refuse, refuse_unless_trusted, shared_pictures, told
from benchmark.errors import UserError
from benchmark.machine.files import write_whole


@dataclass(frozen=True)
class Photographs:
    """What the literature says a dataset is.

    Attributes:
        name: as in a grid's `dataset.name`.
        image_size: H = W.
        crop_padding: of the augmentation.
        counts: by split, classes and images.
    """

    name: str
    image_size: int
    crop_padding: int
    counts: Mapping[str, tuple[int, int]]

    def load(self, config: PhotographsConfig, folder: Path, sources: Sources) -> Dataset:
        """The dataset from its sources; the decoded images are kept in `folder`, or in the user's cache.

        Raises:
            UserError: something is wrong with the files, or they are not the dataset of the literature.
        """
        folders = [folder, user_cache() / self.name]
        splits: dict[str, ClassImages] = {}
        indices: dict[str, Index] = {}
        for split, source in sources.items():
            name = f"htbench-{split}-{self.image_size}"
            splits[split], indices[split] = mapped(name, source, self.image_size, folders)
        if not config.partial:
            self._check_counts(indices, folder)
        sha256 = _sha256(indices)
        where = _Where(folder, indices, sources)
        _check_disjoint(indices, where, sha256)
        hashes = {split: _hashes(splits[split], index, f"images of {split}") for split, index in indices.items()}
        repeated = repeated_across(hashes)
        if config.partial:
            refuse(sha256, repeated, where)
        splits = {split: replace(images, normalization=config.normalization) for split, images in splits.items()}
        if config.augment:
            splits["train"] = replace(splits["train"], augmentation=Augmentation(self.crop_padding))
        files = tuple(file for source in sources.values() for file in source.files)
        remarks = []
        for split, index in indices.items():
            if index.blank:
                classes = ", ".join(list(index.blank)[:3]) + (" ..." if len(index.blank) > 3 else "")
                remarks.append(
                    f"{sum(index.blank.values())} images of {split} are of one colour only, in class {classes}"
                )
        remarks += told(repeated, where)
        return Dataset(
            self.name, sha256, splits, files, remarks=tuple(remarks), shared_pictures=shared_pictures(hashes)
        )

    def missing(self, folder: Path, remedy: str) -> UserError:
        """The message for a folder in which no format was found."""
        return UserError(
            f"dataset {self.name}: no files in {folder}. {remedy} HTBENCH_DATA names the folder above;"
            " benchmark/data/README.md says more."
        )

    def _check_counts(self, indices: Mapping[str, Index], folder: Path) -> None:
        for split, (classes, images) in self.counts.items():
            found = indices[split]
            if (len(found.names), sum(found.sizes)) != (classes, images):
                raise UserError(
                    f"{folder}: {split} has {len(found.names)} classes with {sum(found.sizes)} images; {self.name} has"
                    f" {classes} with {images}. Complete the files, or accept them with dataset.partial: true"
                )


def first_found(folders: Iterable[Path], *formats: Callable[[Path], Sources | None]) -> Sources | None:
    """The first format that is there, in the first folder that has any."""
    found = (look(folder) for folder in folders for look in formats)
    return next((sources for sources in found if sources is not None), None)


@dataclass(frozen=True)
class _Where:
    """Names images by their file, or by their class and place in it."""

    folder: Path
    indices: Mapping[str, Index]
    sources: Sources

    def __call__(self, split: str, row: int) -> str:
        index, source = self.indices[split], self.sources[split]
        if source.pictures:
            return str(source.pictures[row])
        number = bisect.bisect_right(list(accumulate(index.sizes)), row)
        return f"image {row - sum(index.sizes[:number])} of class {index.names[number]}"


def _check_disjoint(indices: Mapping[str, Index], where: _Where, sha256: str) -> None:
    """Compare names, and the images themselves where a file has only numbers for classes."""
    for one, other in combinations(indices, 2):
        names = set(indices[other].names)
        by_name = [(name, name) for name in indices[one].names if name in names]
        contents = dict(zip(indices[other].sha256, indices[other].names, strict=True))
        pairs = zip(indices[one].sha256, indices[one].names, strict=True)
        by_content = [(name, contents[digest]) for digest, name in pairs if digest in contents]
        for shared in (by_name, by_content):
            if not shared:
                continue
            mine, theirs = shared[0]
            more = f" ({len(shared)} classes are)" if len(shared) > 1 else ""
            problem = (
                f"{where.folder}: class {mine} of {one} is also in {other}, as {theirs}{more}; few-shot splits must"
                " not share classes"
            )
            if shared is by_name:
                raise UserError(problem)
            refuse_unless_trusted(sha256, problem)


def _hashes(images: ClassImages, index: Index, what: str) -> np.ndarray:
    """`picture_hashes` of a split, kept in the user's cache: to read all of tieredImageNet takes a minute or more."""
    name = hashlib.sha256(json.dumps(index.sha256).encode()).hexdigest()[:32]
    path, count = user_cache() / "pictures" / f"{name}.u64", sum(index.sizes)
    with contextlib.suppress(OSError):
        known = np.fromfile(path, "<u8")
        if len(known) == count:
            return known
    found = picture_hashes(images.images.numpy(), what)
    with contextlib.suppress(OSError, UserError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda file: file.write(found.astype("<u8").tobytes()))
    return found


def _sha256(indices: Mapping[str, Index]) -> str:
    """Of every class's name and images, by split."""
    content = {split: list(zip(index.names, index.sha256, strict=True)) for split, index in indices.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
