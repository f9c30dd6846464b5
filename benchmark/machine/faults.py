"""Telling the machine's faults from those of what runs on it."""

import errno

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
