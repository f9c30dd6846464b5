"""Who writes a cell's folder: the process that holds its lock, which the operating system releases when that ends."""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import MachineError, UserError
from benchmark.machine.files import remove_temporaries

LOCK = "lock"
"""Its file in the folder."""


@dataclass(frozen=True)
class Held:
    """A cell's folder held by this process."""

    folder: Path
    _inode: int

    def check(self) -> None:
        """Make sure the folder is still the one that is held, and not deleted, or made anew by somebody else.

        Raises:
            MachineError: it is another one, or none.
        """
        try:
            same = (self.folder / LOCK).stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise MachineError(f"{self.folder} was deleted or replaced while its cell ran; run again to start it anew")


@contextlib.contextmanager
def held(folder: Path) -> Iterator[Held]:
    """Hold a cell's folder; the operating system releases it when the process ends, however it ends.

    What a killed writer left half written is deleted.

    Raises:
        MachineError: the folder is not there or cannot be written to.
        UserError: another process is writing this cell.
    """
    path = folder / LOCK
    try:
        opened = path.open("a")
    except OSError as error:
        raise MachineError(f"cannot open {path}: {error.strerror}") from error
    with opened as file:
        deadline = time.monotonic() + 1.0  # somebody asking `is_held` holds it for an instant
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise UserError(
                        f"{folder} is being written by another run; wait for it or choose another --runs"
                    ) from error
                time.sleep(0.05)
        holding = Held(folder, os.fstat(file.fileno()).st_ino)
        holding.check()
        remove_temporaries(folder)
        yield holding


def is_held(folder: Path) -> bool:
    """Whether some process is writing this cell."""
    path = folder / LOCK
    if not path.exists():
        return False
    try:
        opened = path.open("r")
    except FileNotFoundError:  # deleted in this very moment
        return False
    with opened as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
