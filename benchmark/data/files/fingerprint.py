"""The identity of a folder of pictures by content, without decoding them and without importing torch."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.data.files.class_folders import split_folders
from benchmark.data.files.hashes import content_hashes


def folder_fingerprint(path: Path, min_images: int = 1) -> str:
    """`fingerprint_of` the pictures under `path` that are used.

    Raises:
        UserError: no such folder, or something in it cannot be used.
    """
    return fingerprint_of(path, {split: found.files() for split, found in split_folders(path, min_images).items()})


def fingerprint_of(path: Path, classes: Mapping[str, Mapping[str, Sequence[Path]]]) -> str:
    """SHA-256 of the pictures' files by split and class.

    Where the folder lies and what files are called does not count; the names of classes and splits do, and the order of
    a class's pictures (by path), since episodes are drawn by it.

    Args:
        path: the folder they lie in.
        classes: split -> class -> files.

    Raises:
        UserError: a file cannot be read.
    """
    hashes = iter(content_hashes(path, [f for split in classes.values() for files in split.values() for f in files]))
    content = {
        split: {name: [next(hashes) for _ in files] for name, files in members.items()}
        for split, members in classes.items()
    }
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()
