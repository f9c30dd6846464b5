"""Process-wide settings that must come before `import torch`."""

import ctypes
import os
import sys
from pathlib import Path

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4  # glibc's malloc.h
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def prepare_process() -> None:
    """One thread, and an allocator that keeps its memory.

    glibc returns large buffers to the system and faults them in again at every step: keeping them made a batched
    training step 2.2 times faster. One process per core with one thread each is the better use of a CPU for networks
    this small, and makes results repeatable bit for bit.
    """
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "mallopt"):
            libc.mallopt(_M_MMAP_MAX, 0)
            libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)


def child_command(module: str) -> list[str]:
    """The command that runs a module of htbench in a process of its own, from whatever folder.

    `-P` keeps the current folder off the search path: a user's own `benchmark.py` or `methods.py` there is neither
    imported nor run. The process needs `child_environment()` to find htbench instead.
    """
    return [sys.executable, "-P", "-m", module]


def child_environment() -> dict[str, str]:
    """The environment of such a process: it finds this very code before any other, and has one thread."""
    places = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places)), "OMP_NUM_THREADS": "1"}


def die_with_parent(signal_number: int) -> None:
    """Ask the system to end this process when its parent ends, however that ends (Linux; elsewhere nothing)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal_number)
