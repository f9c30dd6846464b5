"""Writing files so that whatever is there is whole."""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from benchmark.errors import MachineError

_STALE_SECONDS = 3600.0  # nobody takes that long to write one file


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file so that a reader, or a crash, sees the old or the new content and nothing between.

    Raises:
        MachineError: the disk is full or read-only, or the folder is gone; the old content is kept.
    """
    remove_temporaries(path.parent, f".{path.name}.*.tmp", older_than=_STALE_SECONDS)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if not isinstance(error, OSError):
            raise
        raise MachineError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another --runs"
        ) from error


def write_text(path: Path, text: str) -> None:
    """`write_whole` for text."""
    write_whole(path, lambda file: file.write(text.encode()))


def remove_temporaries(folder: Path, pattern: str = ".*.*.tmp", older_than: float = 0.0) -> None:
    """Delete what writers left that were killed while they wrote, if it is so many seconds old."""
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):
            if time.time() - path.stat().st_mtime >= older_than:
                path.unlink()


def make_folder(folder: Path) -> None:
    """Make a folder and those around it.

    Raises:
        MachineError: the disk is full or read-only, or a file is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(f"cannot create {folder}: {error.strerror}; choose another place") from error


def parse_json(content: bytes | str) -> Any:
    """What JSON from a file says.

    Raises:
        ValueError: it is none, or has numbers that are none (`NaN`), or is nested too deep to be ours.
    """
    try:
        return json.loads(content, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")
