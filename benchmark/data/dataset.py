"""What a dataset is to the rest of the benchmark: images grouped by class, in three class-disjoint splits."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmark.data.domain import Domain
from benchmark.data.pixels.augmentation import Augmentation
from benchmark.data.pixels.domains import PLANES, View
from benchmark.data.pixels.normalization import Normalization
from benchmark.data.pixels.rotations import Rotations

LARGEST_TO_MOVE = 2 * 1024**3
"""Bytes of a split's images that are copied to a GPU as a whole; of larger ones only those of each episode are."""


@dataclass(frozen=True)
class ClassImages:
    """The images of one split, grouped by class.

    Attributes:
        images: (M, C, H, W) uint8; the images of one class are consecutive. Ink or foreground is bright.
        first: (classes + 1,) int64; class c owns images first[c] .. first[c + 1] - 1.
        names: one name per class.
        rotations: see `Rotations`; of classes in domains, these say it.
        normalization: of the pixels in episodes; None leaves them in [0, 1].
        augmentation: of every image of an episode; None changes nothing. For training only.
        domains: one of them for each episode; none: all classes, as they are.
    """

    images: Tensor
    first: Tensor
    names: tuple[str, ...]
    rotations: Rotations = "none"
    normalization: Normalization | None = None
    augmentation: Augmentation | None = None
    domains: tuple[Domain, ...] = ()

    @property
    def classes(self) -> int:
        """Number of classes an episode can draw from (rotated classes counted)."""
        return len(self.names) * (4 if "classes" in self._rotations else 1)

    @property
    def _rotations(self) -> set[Rotations]:
        return {domain.rotations for domain in self.domains} or {self.rotations}

    def domain_classes(self, domain: Domain) -> int:
        """Number of classes an episode of a domain can draw from."""
        return len(domain.classes) * (4 if domain.rotations == "classes" else 1)

    @cached_property
    def turned(self) -> Tensor:
        """(4M, C, H, W) uint8: row k * M + m is image m turned by k quarter turns; just the images without rotations.

        Kept in memory: an indexed copy is several times faster than turning the images of every episode.
        """
        if self._rotations == {"none"}:
            return self.images
        return torch.cat([torch.rot90(self.images, k, dims=(-2, -1)) for k in range(4)])

    @property
    def device(self) -> torch.device:
        """Where episodes are made; large images may lie elsewhere, see `to`."""
        return self.first.device

    def to(self, device: torch.device) -> "ClassImages":
        """The same images for a device; those of more than `LARGEST_TO_MOVE` bytes stay where they are."""
        images = self.images if self.images.nbytes > LARGEST_TO_MOVE else self.images.to(device)
        return replace(self, images=images, first=self.first.to(device))

    @cached_property
    def smallest_class(self) -> int:
        """Number of images in the smallest class."""
        return int((self.first[1:] - self.first[:-1]).min())

    @cached_property
    def largest_class(self) -> int:
        """Number of images in the largest class. Kept, as reading it from a GPU at every step would make both wait."""
        return int((self.first[1:] - self.first[:-1]).max())

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the images in episodes."""
        _, c, h, w = self.images.shape
        return c * (2 if self.domains and self.domains[0].view in PLANES else 1), h, w


@dataclass(frozen=True)
class Dataset:
    """A dataset with its class splits.

    Attributes:
        name: as in a grid's `dataset.name`.
        sha256: of the images and class names; recorded in every result.
        splits: `train`, `validation` and `test`, disjoint in classes.
        files: what it was read from, if anything.
        files_sha256: of what is in these files, by split and class, for datasets that are told by it: a user's own
            pictures. None: the images tell.
        remarks: what is odd about the data, for whoever looks at them.
        shared_pictures: how many different pictures are in more than one split, see `benchmark.data.shared`.
    """

    name: str
    sha256: str
    splits: Mapping[str, ClassImages]
    files: tuple[Path, ...] = ()
    files_sha256: str | None = None
    remarks: tuple[str, ...] = ()
    shared_pictures: int = 0

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) that tells which data these are, wherever they lie.

        Of a user's own pictures it is `files_sha256`: the content of the files used, with the names of classes and
        splits. Otherwise it is `sha256`, of the decoded images and class names (for photographs by split), so that one
        dataset from two archives of the same pictures is one. How images are used is left to the configuration
        (`image_size`, `split`, `seed`). `benchmark.data.fingerprint` gives the same without loading.
        """
        return self.files_sha256 or self.sha256

    def facts(self) -> dict[str, Any]:
        """What is in it, without the images, as JSON has it."""
        return {
            "fingerprint": self.fingerprint,
            "sha256": self.sha256,
            "split_sha256": self.split_sha256,
            "splits": {
                name: {"classes": s.classes, "images": int(s.first[-1]), "image_shape": list(s.image_shape)}
                | ({"domains": {d.name: s.domain_classes(d) for d in s.domains}} if s.domains else {})
                for name, s in self.splits.items()
            },
            "remarks": list(self.remarks),
            "shared_pictures": self.shared_pictures,
        }

    def in_domains(self, views: tuple[View, ...]) -> "Dataset":
        """The same images, shown in one of these ways in each episode."""

        def shown(images: ClassImages) -> ClassImages:
            known = images.normalization
            if known is not None and views[0] in PLANES:
                known = Normalization(known.mean * 2, known.std * 2)
            everything = range(len(images.names))
            domains = tuple(Domain(view, everything, images.rotations, view) for view in views)
            return replace(images, domains=domains, normalization=known)

        return replace(self, splits={name: shown(images) for name, images in self.splits.items()})

    @property
    def split_sha256(self) -> str:
        """SHA-256 of which classes, by name, are in which split."""
        names = {split: sorted(images.names) for split, images in self.splits.items()}
        return hashlib.sha256(json.dumps(names, sort_keys=True).encode()).hexdigest()
