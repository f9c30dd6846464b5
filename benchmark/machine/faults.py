"""Telling the machine's faults from those of what runs on it."""

import errno
import traceback
from collections.abc import Iterable
from pathlib import Path

_OF_THE_MACHINE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,  # a limit on the size of files, which some clusters set
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ENOMEM,
    errno.EAGAIN,  # no more processes or threads
    errno.EMFILE,
    errno.ENFILE,
    errno.ENODEV,
    errno.ENXIO,
    errno.ETIMEDOUT,
}

_NO_MEMORY = ("can't allocate memory", "cannot allocate memory", "out of memory", "std::bad_alloc")
"""What torch's RuntimeError says, in lower case: on a CPU it has no class of its own for it."""


def machine_fault(error: BaseException) -> str | None:
    """One line on what the machine lacks if that is what the error is about, else None."""
    if isinstance(error, MemoryError):
        return "out of memory"
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        place = "" if error.filename is None else f": {error.filename}"
        return f"{error.strerror}{place}"
    if isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _NO_MEMORY):
        return f"out of memory ({str(error).splitlines()[0][:200]})"
    return None


def blamed(error: BaseException, files: Iterable[Path]) -> tuple[str, str]:
    """The last place in these files that an error came through, or "", and one line with its class and message."""
    names = {str(path) for path in files}
    text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
    if isinstance(error, SyntaxError) and error.filename in names:
        return f"{error.filename}:{error.lineno}", f"SyntaxError: {error.msg}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in names:
            return f"{frame.filename}:{frame.lineno}", text
    return "", text
