"""Your own images: one folder per class.

    path/cat/1.jpg  path/cat/2.png ...  path/dog/1.jpg ...

The name of a class is the name of its folder; files whose ending is not an image's, and hidden ones, are ignored;
images may lie in deeper folders of the class. Classes are sorted by name, images by path.

Images may have any size. Each is turned upright (EXIF), transparent parts become white, and
it is made grey, or RGB with `colour: true`; then the shorter side is resized to `image_size` with an antialiasing
filter and the middle square cut out, as usual for photographs (an object at the far end of a long picture is lost: crop
such pictures yourself). Result: (1 or 3, image_size, image_size) uint8. Polarity is left as it is; the other datasets
have bright ink on black, which matters only if a method trained on them is to predict these.

Splits, always by class:

- if `path` has folders `train`, `validation` (or `val`) and `test`, each with one folder per class, those;
- otherwise the sorted classes are permuted with `seed`, and `test_fraction` and `validation_fraction` of them (rounded,
  at least two each) are for testing and validation, the rest for training.

Classes may have different numbers of images; an episode needs shots + queries images of a class, so the smallest class
limits it. The decoded images are cached in the per-user cache folder; a changed, added or removed file is noticed by
its path, size and modification time.

Licence and citation are those of your images.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from benchmark.data.configs import FolderConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.cache import cached
from benchmark.data.files.places import user_cache
from benchmark.data.files.progress import progress
from benchmark.data.splits import permuted, split_dataset
from benchmark.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def load(config: FolderConfig, root: Path) -> Dataset:
    """Read the images under `config.path`; `root` is not needed.

    Raises:
        UserError: no such folder, a class without images, a file that is no image, or too few classes.
    """
    folders = _split_folders(config.path)
    classes = {split: class_files(folder) for split, folder in folders.items()}
    listing = [(name, files) for split in classes.values() for name, files in split.items()]
    pool = _read_classes(listing, config)
    if "train" in folders:
        _check_disjoint(classes, config.path)
        ends = np.cumsum([0, *map(len, classes.values())])
        splits: dict[str, Sequence[int]] = {s: range(ends[i], ends[i + 1]) for i, s in enumerate(classes)}
    else:
        splits = _random_split(len(listing), config)
    return split_dataset(config.name, pool, splits, config.rotations)


def read_images(folder: Path, image_size: int, colour: bool) -> tuple[Tensor, list[Path]]:
    """All images under a folder, sorted by path.

    Returns:
        (M, C, image_size, image_size) uint8 and the M files.

    Raises:
        UserError: no such folder, no image in it, or an unreadable one.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one that holds images")
    files = image_files(folder)
    return torch.stack([read_image(file, image_size, colour) for file in files]), files


def read_image(path: Path, image_size: int, colour: bool) -> Tensor:
    """(C, image_size, image_size) uint8, C = 3 with colour, else 1: resized by the shorter side, middle cut out.

    Raises:
        UserError: the file is missing or is not an image.
    """
    try:
        with Image.open(path) as file:
            image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I;16"):  # Pillow would clip 16 bits to 8, not scale them
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            image = image.convert("RGB" if colour else "L")
            square = ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} cannot be read as an image ({error}); repair or remove it") from error
    pixels = torch.from_numpy(np.array(square))
    return pixels.permute(2, 0, 1).contiguous() if colour else pixels[None]


def _split_folders(path: Path) -> dict[str, Path]:
    """The folders of the three splits, or the one that holds all classes under the name `all`."""
    if not path.is_dir():
        raise UserError(f"dataset.path: {path} is not a folder; give one that has a folder of images per class")
    named = {"train": path / "train", "validation": path / "validation", "test": path / "test"}
    if not named["validation"].is_dir() and (path / "val").is_dir():
        named["validation"] = path / "val"
    found = [split for split, folder in named.items() if folder.is_dir()]
    if len(found) == 3:
        return named
    if "train" in found:
        missing = " or ".join(split for split in named if split not in found)
        raise UserError(
            f"dataset.path: {path} has a folder train, but no folder {missing}; "
            "give all of train, validation and test (each with a folder per class), or the classes alone"
        )
    return {"all": path}


def class_files(folder: Path) -> dict[str, list[Path]]:
    """Class name -> its image files, both sorted.

    Raises:
        UserError: fewer than two classes, or one without images.
    """
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if len(names) < 2:
        raise UserError(f"{folder} has {len(names)} class folders; at least 2 are needed, each with its images inside")
    return {name: image_files(folder / name) for name in names}


def image_files(folder: Path) -> list[Path]:
    """The image files under a folder, sorted by path.

    Raises:
        UserError: there are none.
    """
    files = sorted(
        file for file in folder.rglob("*") if file.suffix.lower() in ENDINGS and not file.name.startswith(".")
    )
    if not files:
        raise UserError(f"{folder} has no images ({', '.join(ENDINGS)}); put some there or remove the folder")
    return files


def _read_classes(listing: Sequence[tuple[str, list[Path]]], config: FolderConfig) -> ClassImages:
    files = [file for _, members in listing for file in members]
    first = torch.tensor([0, *(len(members) for _, members in listing)]).cumsum(0)
    names = tuple(name for name, _ in listing)

    def build() -> ClassImages:
        images = [read_image(file, config.image_size, config.colour) for file in progress(files, "reading images")]
        return ClassImages(torch.stack(images), first, names)

    stats = [(str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    about = repr((stats, names, first.tolist(), config.image_size, config.colour))
    fingerprint = hashlib.sha256(about.encode()).hexdigest()
    where = hashlib.sha256(f"{config.path.resolve()}:{config.image_size}:{config.colour}".encode()).hexdigest()[:12]
    return cached(f"{config.path.name}-{where}", fingerprint, [user_cache() / "folder"], build)


def _check_disjoint(classes: dict[str, dict[str, list[Path]]], path: Path) -> None:
    seen: dict[str, str] = {}
    for split, members in classes.items():
        for name in members:
            if name in seen:
                raise UserError(
                    f"{path}: class {name} is in {seen[name]} and in {split}; few-shot splits must not share classes"
                )
            seen[name] = split


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
