"""Keeping older results of cells, out of the way of new ones."""

import itertools
from pathlib import Path

from benchmark.errors import UserError

SUPERSEDED = "superseded"
"""The folder beside cells in which they are kept."""


def moved_aside(folder: Path) -> Path:
    """Move a cell's folder into `superseded/` beside it, and return where it is now.

    Raises:
        UserError: it cannot be moved.
    """
    kept = folder.parent / SUPERSEDED
    try:
        kept.mkdir(exist_ok=True)
        number = next(n for n in itertools.count(1) if not (kept / f"{folder.name}-{n}").exists())
        return folder.rename(kept / f"{folder.name}-{number}")
    except OSError as error:
        raise UserError(f"cannot move {folder} aside: {error.strerror}") from error
