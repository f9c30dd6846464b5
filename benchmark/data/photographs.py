"""What the datasets of colour photographs have in common: miniImageNet, tieredImageNet, CIFAR-FS, FC100.

Each is accepted in several file formats, see `benchmark.data.files.formats`; README.md beside this file says what to
put where. Whatever the format, each split becomes one file of pixels, (M, 3, H, W) uint8, that is mapped into memory,
see `benchmark.data.files.mapped`. Classes are in the order of the files' class names or numbers, images in that of the
files.

Pixels are normalised when episodes are made, by the means and standard deviations of
`benchmark.data.pixels.normalization`, in all splits. With `augment: true` the training split is augmented on the
device, see `benchmark.data.pixels.augmentation`.

The class splits are those of the files, or of this project's lists for the official CIFAR-100 archive. No two splits
may share a class, neither by name nor by content, and the numbers of classes and images must be those of the literature
unless `partial: true` says that they need not be.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from benchmark.data.configs import PhotographsConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.formats import Sources
from benchmark.data.files.mapped import Index, mapped
from benchmark.data.files.places import user_cache
from benchmark.data.pixels.augmentation import Augmentation
from benchmark.errors import UserError


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
        _check_disjoint(indices, folder)
        splits = {split: replace(images, normalization=config.normalization) for split, images in splits.items()}
        if config.augment:
            splits["train"] = replace(splits["train"], augmentation=Augmentation(self.crop_padding))
        files = tuple(file for source in sources.values() for file in source.files)
        remarks = tuple(dict.fromkeys(remark for source in sources.values() for remark in source.remarks))
        return Dataset(self.name, _sha256(indices), splits, files, remarks=remarks)

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


def _check_disjoint(indices: Mapping[str, Index], folder: Path) -> None:
    """Compare names, and the images themselves where a file has only numbers for classes."""
    for one, other in combinations(indices, 2):
        for what in ("names", "sha256"):
            mine, theirs = (
                dict(zip(getattr(indices[split], what), indices[split].names, strict=True)) for split in (one, other)
            )
            shared = sorted(mine.keys() & theirs.keys())
            if shared:
                raise UserError(
                    f"{folder}: class {mine[shared[0]]} of {one} is also in {other}, as {theirs[shared[0]]};"
                    " few-shot splits must not share classes"
                )


def _sha256(indices: Mapping[str, Index]) -> str:
    """Of every class's name and images, by split."""
    content = {split: list(zip(index.names, index.sha256, strict=True)) for split, index in indices.items()}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
