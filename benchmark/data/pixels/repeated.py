"""Pictures that are there twice, and pictures of nothing."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.data.dataset import ClassImages
from benchmark.errors import UserError


def check_pictures(pool: ClassImages, files: Sequence[Path], splits: Mapping[str, Sequence[int]]) -> list[str]:
    """Refuse a picture that is in two splits; remarks on what else is odd about the pictures.

    Pictures are compared as they are trained on: after resizing, so that a copy in another format is one too. Those of
    one colour only are left out of it and named: they are all alike.

    Args:
        pool: all M images, decoded.
        files: the M files they are from.
        splits: split name -> numbers of its classes in `pool`.

    Raises:
        UserError: a picture, or a whole class, is in two splits; both files are named.
    """
    flat = pool.images.flatten(1)
    constant = (flat.amin(1) == flat.amax(1)).tolist()
    where = {c: split for split, classes in splits.items() for c in classes}
    seen: dict[bytes, tuple[int, str]] = {}
    across: list[tuple[int, int]] = []
    within: list[tuple[int, int]] = []
    for c in range(len(pool.names)):
        for row in range(int(pool.first[c]), int(pool.first[c + 1])):
            if constant[row]:
                continue
            digest = hashlib.sha256(pool.images[row].numpy().data).digest()
            other, split = seen.setdefault(digest, (row, where[c]))
            if other != row:
                (within if split == where[c] else across).append((other, row))
    if across:
        split_of = {
            row: where[c] for c in range(len(pool.names)) for row in range(int(pool.first[c]), int(pool.first[c + 1]))
        }
        one, other = across[0]
        more = f" ({len(across)} pictures are)" if len(across) > 1 else ""
        raise UserError(
            f"the same picture is in two splits{more}: {files[one]} in {split_of[one]} and {files[other]} in"
            f" {split_of[other]}; few-shot splits must not share pictures or classes. Remove one of each"
        )
    remarks = []
    if any(constant):
        blank = [file for file, one in zip(files, constant, strict=True) if one]
        remarks.append(f"{_pictures(len(blank))} of one colour only: {_some(blank)}")
    if within:
        one, other = within[0]
        remarks.append(f"{_pictures(len(within))} there twice in one split, such as {files[one]} and {files[other]}")
    return remarks


def _pictures(count: int) -> str:
    return "1 picture is" if count == 1 else f"{count} pictures are"


def _some(files: Sequence[Path], most: int = 3) -> str:
    return ", ".join(map(str, files[:most])) + (" ..." if len(files) > most else "")
