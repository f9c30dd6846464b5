"""The file formats in which photographs for few-shot learning are passed around, read class by class.

Each function looks for the files of one format in a folder, and gives a `Source` per split if they are there, else
None. Nothing is decoded before `Source.classes` is iterated, and then one class at a time (but a pickle is read as a
whole).
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.data.files.class_folders import class_folders as read_class_folders
from benchmark.data.files.picture import read_image
from benchmark.data.files.restricted_pickle import read_pickle
from benchmark.data.files.split_names import SPLITS, all_or_none
from benchmark.errors import UserError

Classes = Iterator[tuple[str, np.ndarray]]
"""Name and images (n, H, W, 3) uint8 of each class."""


@dataclass(frozen=True)
class Source:
    """The images of one split in the user's files.

    Attributes:
        files: what they are read from.
        classes: starts reading. The order of classes and images depends on the files' content alone.
        pictures: the file of each image, in that order, where every image has one.
    """

    files: Sequence[Path]
    classes: Callable[[], Classes]
    pictures: Sequence[Path] = ()

    def fingerprint(self) -> str:
        """Changes with the path, size or modification time of a file."""
        stats = [(str(file), (stat := file.stat()).st_size, stat.st_mtime_ns) for file in self.files]
        return hashlib.sha256(repr(stats).encode()).hexdigest()


Sources = dict[str, Source]
"""By split: train, validation, test."""


def class_folders(folder: Path, size: int) -> Sources | None:
    """`train/CLASS/*.jpg`, `val/...` (or `validation`), `test/...`: whatever `benchmark.data.folder` can read.

    Raises:
        UserError: a split without folder, fewer than two classes in one, a class without images.
    """
    found = all_or_none(folder, ["{}"], folders=True)
    if found is None:
        return None
    return {split: folders_source(read_class_folders(path).files(), size) for split, path in found.items()}


def listed_folders(folder: Path, size: int) -> Sources | None:
    """`data/CLASS/*.png` and `splits/bertinetto/{train,val,test}.txt` with a class name per line (CIFAR-FS).

    Raises:
        UserError: a missing list, or a listed class without folder or images.
    """
    found = all_or_none(folder / "splits" / "bertinetto", ["{}.txt"])
    if found is None:
        return None
    classes = read_class_folders(folder / "data").files()
    sources = {}
    for split, path in found.items():
        names = sorted(path.read_text().split())
        missing = [name for name in names if name not in classes]
        if missing:
            raise UserError(f"{path} lists {missing[0]}, but there is no folder {folder / 'data' / missing[0]}")
        sources[split] = folders_source({name: classes[name] for name in names}, size, path)
    return sources


def class_dict_pickles(folder: Path, size: int, *patterns: str) -> Sources | None:
    """`{"image_data": (M, H, W, 3) uint8, "class_dict": {class name: rows}}` per split (Ren et al. 2018).

    Args:
        folder: where to look.
        size: H = W.
        patterns: of the files' names without ending, with {} for train, val or validation, test.

    Raises:
        UserError: a split without file. So does iterating the classes if the content is not as described.
    """
    return _pickled(folder, patterns, partial(_class_dict, size=size))


def labels_pickles(folder: Path, size: int, *patterns: str) -> Sources | None:
    """`{"data": (M, H, W, 3) uint8, "labels": M numbers}` per split (MetaOptNet); else as `class_dict_pickles`.

    Classes are called split/number.
    """
    return _pickled(folder, patterns, partial(_data_and_labels, size=size))


def png_pickles(folder: Path, size: int) -> Sources | None:
    """`train_images_png.pkl`, a list of PNG files, and `train_labels.pkl` with `label_specific` (tieredImageNet).

    The PNG files are bytes or uint8 arrays; `label_specific` has the number of each one's class, called split/number
    (the names in `label_specific_str` are not unique: ImageNet has two cranes). While a split is read, all its PNG
    files are in memory.

    Raises:
        UserError: a missing file.
    """
    return with_labels(folder, "{}_images_png.pkl", partial(_pngs, size=size))


def with_labels(folder: Path, pattern: str, read: Callable[[Path, Path, str], Classes]) -> Sources | None:
    """Files of images under a pattern of names, and `{}_labels.pkl`; `read` is given both and the split.

    Raises:
        UserError: a missing file.
    """
    images = all_or_none(folder, [pattern])
    if images is None:
        return None
    labels = all_or_none(folder, ["{}_labels.pkl"])
    if labels is None:
        raise UserError(f"{folder} has images, but no train_labels.pkl, val_labels.pkl and test_labels.pkl")
    files = {split: (images[split], labels[split]) for split in SPLITS}
    return {split: Source(pair, partial(read, *pair, split)) for split, pair in files.items()}


def checked(images: Any, size: int, where: Path | str) -> np.ndarray:
    """The images, if they are (M, size, size, 3) uint8.

    Raises:
        UserError: they are something else.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape[1:] != (size, size, 3):
        found = f"{images.dtype} {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise UserError(f"{where}: the images should be a uint8 array (images, {size}, {size}, 3), found {found}")
    return images


def rows_by_label(labels: Any, count: int, path: Path) -> dict[int, np.ndarray]:
    """Rows of each label, labels ascending.

    Raises:
        UserError: not one whole number per image.
    """
    numbers = _whole_numbers(labels)
    if numbers is None or len(numbers) != count:
        raise UserError(f"{path}: {count} images need {count} whole numbers as labels, found {_describe(labels)}")
    return {int(label): np.flatnonzero(numbers == label) for label in np.unique(numbers)}


def entry(content: Any, key: str, path: Path) -> Any:
    """An entry of an unpickled dictionary, whose keys may be bytes.

    Raises:
        UserError: no dictionary, or no such key.
    """
    if not isinstance(content, dict):
        raise UserError(f"{path} should hold a dictionary with {key!r}, found {type(content).__name__}")
    known = {k.decode() if isinstance(k, bytes) else k: value for k, value in content.items()}
    if key not in known:
        raise UserError(f"{path} has no entry {key!r}; it has {', '.join(map(str, known))}")
    return known[key]


def folders_source(classes: dict[str, list[Path]], size: int, *lists: Path) -> Source:
    """Of pictures in files, by class; `lists` are files that say which."""
    files = [file for members in classes.values() for file in members]
    return Source([*lists, *files], partial(_read_folders, classes, size), files)


def _read_folders(classes: dict[str, list[Path]], size: int) -> Classes:
    for name, files in classes.items():
        yield name, np.stack([read_image(file, size, colour=True).permute(1, 2, 0).numpy() for file in files])


def _pickled(folder: Path, patterns: Sequence[str], read: Callable[[Path, str], Classes]) -> Sources | None:
    found = all_or_none(folder, [f"{pattern}.{ending}" for pattern in patterns for ending in ("pkl", "pickle")])
    if found is None:
        return None
    return {split: Source([path], partial(read, path, split)) for split, path in found.items()}


def _class_dict(path: Path, split: str, size: int) -> Classes:
    content = read_pickle(path)
    images = checked(entry(content, "image_data", path), size, path)
    classes = entry(content, "class_dict", path)
    if not isinstance(classes, dict):
        raise UserError(f"{path}: class_dict should map class names to rows, found {_describe(classes)}")
    for name in sorted(classes):
        rows = _whole_numbers(classes[name])
        if rows is None or not len(rows) or rows.min() < 0 or rows.max() >= len(images):
            raise UserError(
                f"{path}: class {name} should have rows of the {len(images)} images, found {_describe(classes[name])}"
            )
        yield str(name), images[rows]


def _data_and_labels(path: Path, split: str, size: int) -> Classes:
    content = read_pickle(path)
    images = checked(entry(content, "data", path), size, path)
    for label, rows in rows_by_label(entry(content, "labels", path), len(images), path).items():
        yield f"{split}/{label}", images[rows]


def _pngs(path: Path, labels_path: Path, split: str, *, size: int) -> Classes:
    labels = read_pickle(labels_path)
    files = read_pickle(path)
    if not isinstance(files, list | tuple):
        raise UserError(f"{path} should hold a list of PNG files, found {_describe(files)}")
    for label, rows in rows_by_label(entry(labels, "label_specific", labels_path), len(files), labels_path).items():
        yield f"{split}/{label}", np.stack([_png(files[row], f"{path}, image {row}", size) for row in rows])


def _png(content: Any, what: str, size: int) -> np.ndarray:
    try:
        raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
        with Image.open(io.BytesIO(raw)) as image:
            if image.size != (size, size):  # before anything is decoded
                raise UserError(f"{what}: the images should be ({size}, {size}) pixels, found {image.size}")
            return checked(np.asarray(image.convert("RGB"))[None], size, what)[0]
    except (OSError, SyntaxError, TypeError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{what} cannot be read ({error})") from error


def _whole_numbers(values: Any) -> np.ndarray | None:
    """A vector of whole numbers, None if it is something else."""
    try:
        numbers = np.asarray(values)
    except ValueError:  # lists of different lengths
        return None
    return numbers if numbers.dtype.kind in "iu" and numbers.ndim == 1 else None


def _describe(found: Any) -> str:
    if isinstance(found, np.ndarray | list | tuple) and len(found):
        return f"{len(found)} of them, such as {found[0]!r}"
    return f"{type(found).__name__} {found!r}"[:80]
