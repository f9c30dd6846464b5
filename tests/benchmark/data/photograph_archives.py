"""Small archives in the formats of miniImageNet, tieredImageNet, CIFAR-FS and FC100.

Every image is noise of its own, so that a wrong image, a transposed one or swapped channels cannot go unnoticed.
"""

import io
import pickle
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Photos = dict[str, np.ndarray]
"""Class name -> (n, H, W, 3) uint8."""

CLASSES = {"train": 4, "val": 2, "test": 3}


def photos(split: str, classes: int, images: int = 3, size: int = 84) -> Photos:
    generator = np.random.default_rng([zlib.crc32(split.encode()), size])
    return {
        f"{split}-{number}": generator.integers(0, 256, (images, size, size, 3), dtype=np.uint8)
        for number in range(classes)
    }


def all_photos(size: int = 84, images: int = 3) -> dict[str, Photos]:
    return {split: photos(split, classes, images, size) for split, classes in CLASSES.items()}


def shuffled(split: Photos) -> tuple[np.ndarray, dict[str, list[int]]]:
    """The images of all classes mixed, and the rows of each class in its own order."""
    order = np.random.default_rng(0).permutation(sum(map(len, split.values())))
    where = np.argsort(order)
    ends = np.cumsum([0, *map(len, split.values())])
    rows = {name: sorted(where[ends[i] : ends[i + 1]].tolist()) for i, name in enumerate(split)}
    mixed = np.empty_like(np.concatenate(list(split.values())))
    for name, members in rows.items():
        mixed[members] = split[name]
    return mixed, rows


def dump(path: Path, content: Any, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content, protocol))


def write_class_dict(folder: Path, content: Mapping[str, Photos], ending: str = "pkl", protocol: int = 2) -> None:
    for split, members in content.items():
        mixed, rows = shuffled(members)
        dump(
            folder / f"mini-imagenet-cache-{split}.{ending}",
            {"image_data": mixed, "class_dict": dict(reversed(rows.items()))},
            protocol,
        )


def write_labels(folder: Path, content: Mapping[str, Photos], pattern: str) -> None:
    for split, members in content.items():
        mixed, rows = shuffled(members)
        labels = np.empty(len(mixed), dtype=np.int64)
        for number, name in enumerate(rows):
            labels[rows[name]] = number
        dump(folder / pattern.format(split), {"data": mixed, "labels": labels.tolist()})


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_pngs(folder: Path, content: Mapping[str, Photos]) -> None:
    for split, members in content.items():
        mixed, rows = shuffled(members)
        label_of = {row: number for number, name in enumerate(rows) for row in rows[name]}
        # OpenCV's encoder, which the authors used, gives arrays of bytes.
        files = [np.frombuffer(png(pixels), dtype=np.uint8)[:, None] for pixels in mixed]
        dump(folder / f"{split}_images_png.pkl", files)
        labels = [label_of[row] for row in range(len(mixed))]
        dump(folder / f"{split}_labels.pkl", {"label_specific": labels, "label_general": [0] * len(labels)})


def write_npz(folder: Path, content: Mapping[str, Photos], compressed: bool = False) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for split, members in content.items():
        mixed, rows = shuffled(members)
        label_of = {row: number for number, name in enumerate(rows) for row in rows[name]}
        (np.savez_compressed if compressed else np.savez)(folder / f"{split}_images.npz", images=mixed)
        dump(folder / f"{split}_labels.pkl", {"labels": [label_of[row] for row in range(len(mixed))]})


def write_lists(
    folder: Path,
    content: Mapping[str, Photos],
    header: str = "filename,label",
    images: str = "images/{file}",
    lists: str = ".",
) -> None:
    """One folder of images, and a list for each split, in an order of its own."""
    (folder / lists).mkdir(parents=True, exist_ok=True)
    for split, members in content.items():
        rows = [header]
        for label, pixels in reversed(members.items()):
            for number, one in enumerate(pixels):
                file = f"{label}-{number}.png"
                path = folder / images.format(file=file, label=label)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(png(one))
                named = {"filename": file, "image_name": file, "label": label, "class_name": label, "": str(number)}
                rows.append(",".join(named[column] for column in header.split(",")))
        (folder / lists / f"{split}.csv").write_text("\n".join(rows) + "\n")


def write_folders(folder: Path, content: Mapping[str, Photos]) -> None:
    for split, members in content.items():
        write_class_folders(folder / split, members)


def write_class_folders(folder: Path, members: Photos) -> None:
    for name, images in members.items():
        (folder / name).mkdir(parents=True)
        for number, pixels in enumerate(images):
            (folder / name / f"{number:03}.png").write_bytes(png(pixels))


def write_cifar100(path: Path, classes: list[tuple[str, str]], train: int = 2, test: int = 1) -> Photos:
    """An archive like the official one, of Python 2's kind; the images of "superclass/class", training ones first."""
    names, supers = sorted(name for _, name in classes), sorted({superclass for superclass, _ in classes})
    super_of = {name: superclass for superclass, name in classes}
    content = {name: photos(name, 1, train + test, 32).popitem()[1] for name in names}
    parts = {"train": {n: p[:train] for n, p in content.items()}, "test": {n: p[train:] for n, p in content.items()}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:

        def add(name: str, value: Any) -> None:
            raw = pickle.dumps(value, 2)
            member = tarfile.TarInfo(f"cifar-100-python/{name}")
            member.size = len(raw)
            archive.addfile(member, io.BytesIO(raw))

        add("meta", {"fine_label_names": names, "coarse_label_names": supers})
        for part, members in parts.items():
            mixed, rows = shuffled(members)
            name_of = {row: name for name in rows for row in rows[name]}
            fine = [names.index(name_of[row]) for row in range(len(mixed))]
            coarse = [supers.index(super_of[name_of[row]]) for row in range(len(mixed))]
            planes = mixed.transpose(0, 3, 1, 2).reshape(len(mixed), -1)
            add(part, {b"data": planes, b"fine_labels": fine, b"coarse_labels": coarse, b"filenames": []})
    return {f"{super_of[name]}/{name}": images for name, images in content.items()}
