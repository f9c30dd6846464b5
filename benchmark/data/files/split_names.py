"""How files and folders call the three splits."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.errors import UserError

SPLITS = {
    "train": ("train", "training", "base"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing", "novel"),
}
"""Our name of each split, and what others call it, in small or capital letters. "base" and "novel" are of Hariharan and
Girshick 2017 and of Chen et al. 2019."""


def named_splits(folder: Path, patterns: Sequence[str], *, folders: bool = False) -> dict[str, Path]:
    """The file or folder of each split that is there, under the first pattern that finds any for it.

    Args:
        folder: where to look; it need not exist.
        patterns: of names, with {} for the split's word.
        folders: of files with such names, nothing is known.

    Raises:
        UserError: two that could be the same split, such as `val` and `valid`.
    """
    there: dict[str, list[str]] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if folders and not path.is_dir():
                continue
            there.setdefault(path.name.lower(), []).append(path.name)
    found: dict[str, Path] = {}
    for split, words in SPLITS.items():
        for pattern in patterns:
            names = [name for word in words for name in there.get(pattern.format(word).lower(), [])]
            if len(names) > 1:
                raise UserError(f"{folder} has {' and '.join(names)}, each of which may be the {split} split; keep one")
            if names and split not in found:
                found[split] = folder / names[0]
    return found


def all_or_none(folder: Path, patterns: Sequence[str], *, folders: bool = False) -> dict[str, Path] | None:
    """The file or folder of each split, None if there is none at all.

    Raises:
        UserError: some are there and some are not.
    """
    found = named_splits(folder, patterns, folders=folders)
    if not found:
        return None
    for split, words in SPLITS.items():
        if split not in found:
            names = " or ".join(pattern.format(word) for pattern in patterns for word in words[:2])
            raise UserError(f"{folder} has some of the dataset's files, but no {names}")
    return found
