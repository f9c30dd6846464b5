"""Your own images: one folder per class.

    path/cat/1.jpg  path/cat/2.png ...  path/dog/1.jpg ...

The name of a class is the name of its folder; images may lie in deeper folders of the class. What is used, ignored or
refused is decided in `benchmark.data.files.listing`, and `htbench data` prints it. Classes are sorted by name, images
by path. With `min_images: n`, classes with fewer are left out, before they are divided into splits.

Images may have any size up to 100 million pixels, and more than 8 bits (see `benchmark.data.pixels.depth`). Each is
turned upright (EXIF), transparent parts become white, and it is made grey, or RGB with `colour: true`; then the shorter
side is resized to `image_size` with an antialiasing filter and the middle square cut out, as usual for photographs (an
object at the far end of a long picture is lost: crop such pictures yourself). Result: (1 or 3, image_size, image_size)
uint8. Polarity is left as it is; the other datasets have bright ink on black, which matters only if a method trained on
them is to predict these.

Splits, always by class:

- if `path` has folders `train`, `validation` and `test`, each with one folder per class, those; other words for them
  are in `benchmark.data.files.split_names`, such as `val`, `valid`, `base` and `novel`, in small or capital letters;
- otherwise the sorted classes are permuted with `seed`, and `test_fraction` and `validation_fraction` of them (rounded,
  at least two each) are for testing and validation, the rest for training.

A class in two splits is refused. So is a picture, if the splits are the folder's own; of splits drawn at random it is
left out of one and named (see `benchmark.data.shared`).

Classes may have different numbers of images; an episode needs shots + queries images of a class, so the smallest class
limits it. The decoded images are cached in the per-user cache folder for as long as the files' content is the same.

Licence and citation are those of your images.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmark.data.configs import FolderConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.cache import cached
from benchmark.data.files.class_folders import split_folders
from benchmark.data.files.fingerprint import fingerprint_of
from benchmark.data.files.picture import read_image
from benchmark.data.files.places import expanded, user_cache
from benchmark.data.files.progress import progress
from benchmark.data.pixels.repeated import are, blank_rows, picture_hashes, repeated_across, repeated_within, some
from benchmark.data.shared import left_out, refuse, shared_pictures, told
from benchmark.data.splits import permuted, split_dataset
from benchmark.errors import UserError

FORMAT = 4
"""Raise it when the same files give other pixels."""


def load(config: FolderConfig, root: Path) -> Dataset:
    """Read the images under `config.path`; `root` is not needed.

    Raises:
        UserError: no such folder, a class without images, a file that is no image, too few classes, or a picture or
            class in two splits.
    """
    path = expanded(config.path)
    classes = {split: found.files() for split, found in split_folders(path, config.min_images).items()}
    listing = [(name, files) for split in classes.values() for name, files in split.items()]
    content = fingerprint_of(path, classes)
    pool = _read_classes(listing, path, content, config)
    files = [file for _, members in listing for file in members]
    hashes = picture_hashes(pool.images.numpy(), path.name)
    remarks = []
    if "train" in classes:
        _check_disjoint(classes, path)
        ends = np.cumsum([0, *map(len, classes.values())])
        splits: dict[str, Sequence[int]] = {s: range(ends[i], ends[i + 1]) for i, s in enumerate(classes)}
    else:
        splits = _random_split(len(listing), config)
        out = left_out(hashes, splits, pool.first.numpy(), pool.names)
        if out:
            gone, instead = next(iter(out.items()))
            remarks.append(
                f"{are(len(out))} of two classes, which are in two splits, and used in one only: {files[gone]} is left"
                f" out, as {files[instead]} is the same{' ...' if len(out) > 1 else ''}"
            )
            rows = [row for row in range(len(files)) if row not in out]
            pool, files, hashes = _only(pool, rows), [files[row] for row in rows], hashes[rows]
    first = pool.first.tolist()
    rows_of = {s: [r for c in members for r in range(first[c], first[c + 1])] for s, members in splits.items()}
    by_split = {split: hashes[rows] for split, rows in rows_of.items()}

    def where(split: str, row: int) -> str:
        return str(files[rows_of[split][row]])

    repeated = repeated_across(by_split)
    refuse(content, repeated, where)
    remarks += told(repeated, where)
    if blank := blank_rows(by_split):
        remarks.append(f"{are(len(blank))} of one colour only: {some([where(*one) for one in blank])}")
    if within := repeated_within(by_split):
        one, other = where(within[0].first_split, within[0].first), where(within[0].other_split, within[0].other)
        remarks.append(f"{are(len(within))} there twice in one split, such as {one} and {other}")
    return replace(
        split_dataset(config.name, pool, splits, config.rotations),
        files=tuple(file for _, members in listing for file in members),
        files_sha256=content,
        remarks=tuple(remarks),
        shared_pictures=shared_pictures(by_split),
    )


def _only(pool: ClassImages, rows: Sequence[int]) -> ClassImages:
    """Some of a pool's images, in their order; of every class there are some."""
    sizes = np.histogram(rows, pool.first.numpy())[0]
    return replace(pool, images=pool.images[list(rows)], first=torch.tensor([0, *sizes]).cumsum(0))


def _read_classes(
    listing: Sequence[tuple[str, list[Path]]], path: Path, content: str, config: FolderConfig
) -> ClassImages:
    files = [file for _, members in listing for file in members]
    first = torch.tensor([0, *(len(members) for _, members in listing)]).cumsum(0)
    names = tuple(name for name, _ in listing)

    def build() -> ClassImages:
        images = [read_image(file, config.image_size, config.colour) for file in progress(files, "reading images")]
        return ClassImages(torch.stack(images), first, names)

    stamp = f"{FORMAT}:{content}:{config.image_size}:{config.colour}"
    where = hashlib.sha256(f"{path.resolve()}:{config.image_size}:{config.colour}".encode()).hexdigest()[:12]
    return cached(f"{path.name}-{where}", stamp, [user_cache() / "folder"], build)


def _check_disjoint(classes: dict[str, dict[str, list[Path]]], path: Path) -> None:
    seen: dict[str, tuple[str, Path]] = {}
    for split, members in classes.items():
        for name, files in members.items():
            if name in seen:
                other, file = seen[name]
                raise UserError(
                    f"{path}: class {name} is in {other} and in {split} ({file} and {files[0]}); few-shot splits must"
                    " not share classes"
                )
            seen[name] = split, files[0]


def _random_split(classes: int, config: FolderConfig) -> dict[str, Sequence[int]]:
    test, validation = (max(2, round(f * classes)) for f in (config.test_fraction, config.validation_fraction))
    train = classes - test - validation
    if train < 2:
        raise UserError(
            f"{config.path} has {classes} classes: with test_fraction {config.test_fraction} and validation_fraction "
            f"{config.validation_fraction}, {test} are for testing, {validation} for validation and "
            f"{max(train, 0)} are left for training; at least 2 are needed in each. Add classes or lower the fractions"
        )
    order = permuted(classes, config.seed)
    return {
        "train": order[:train],
        "validation": order[train : train + validation],
        "test": order[train + validation :],
    }
