"""Where a grid's `dataset.path` is."""

import os
from pathlib import Path

from benchmark.data.files.places import expanded


def resolve_dataset_path(written: str, folder: Path) -> tuple[str, str | None]:
    """The path as the working folder sees it, and a note for the reader if it may not be the one that was meant.

    It is relative to the grid file, as plugins are; `~` and variables are replaced. Once it was relative to the working
    folder: that is still accepted where nothing lies beside the grid file.

    A path inside the working folder stays relative, so that records do not tell where on a machine it lies.

    Args:
        written: in the grid.
        folder: of the grid file.

    Raises:
        UserError: a variable that is not set, or no such user.
    """
    path = expanded(written)
    beside = folder / path  # an absolute path stays itself
    note = None
    if not beside.exists() and path.exists():
        note = (
            f"dataset.path: {written} is taken from the working folder, since {beside} does not exist; paths in a grid"
            f" are relative to the grid file, so write {os.path.relpath(path, folder)}"
        )
        beside = path
    elif path.exists() and not beside.samefile(path):
        note = (
            f"dataset.path: {written} is {beside}, relative to the grid file; {path.absolute()}, relative to the"
            " working folder, is another one and is not used"
        )
    inside = Path(os.path.abspath(beside))  # noqa: PTH100 (links stay as they are)
    if inside.is_relative_to(Path.cwd()):
        return str(inside.relative_to(Path.cwd())), note
    return str(inside), note
