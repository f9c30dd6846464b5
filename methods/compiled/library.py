"""Compiling the C++ of this folder once per machine, loading it, and choosing between it and PyTorch."""

import contextlib
import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

SOURCES = ("block.cpp",)
HEADERS = ("lanes.h",)
SIGNATURES = {"block_forward": (5, 6), "block_backward": (7, 6)}
"""Of each function: how many arrays it takes, null where there is nothing, and how many ints after them."""

FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-shared", "-fPIC")
VARIABLE = "HTBENCH_KERNEL"
PATIENCE = 300.0
"""Seconds to wait for the compiler, which takes about ten on a busy machine."""

_chosen: str | None = None  # by `choose`; None: by the environment variable


class UnavailableError(RuntimeError):
    """The compiled path was asked for and cannot be taken."""


def load() -> ctypes.CDLL | None:
    """The compiled library, or None where PyTorch does the work.

    Raises:
        UnavailableError: HTBENCH_KERNEL is "compiled", and it cannot be; or it is none of its three values.
    """
    choice = _chosen or os.environ.get(VARIABLE) or "auto"
    if choice not in ("auto", "torch", "compiled"):
        raise UnavailableError(f"{VARIABLE} is auto, torch or compiled, not {choice!r}")
    if choice == "torch":
        return None
    library, identity = _compiled()
    if library is None and choice == "compiled":
        raise UnavailableError(f"{VARIABLE} is compiled, but {identity}; use auto or torch")
    return library


def path() -> str:
    """Which path is taken: "torch", or "compiled" with what decides its rounding: source, processor and compiler."""
    return "torch" if load() is None else _compiled()[1]


def describe() -> str:
    """For people: the path, and where it is PyTorch's the reason."""
    if load() is not None:
        return path()
    library, reason = _compiled()
    return "torch, as chosen" if library is not None else f"torch: {reason}"


def choose(path: str | None) -> None:
    """Take "torch" or "compiled" from now on, whatever the environment variable says; None: as that says."""
    global _chosen
    _chosen = path


@contextlib.contextmanager
def torch_only() -> Iterator[None]:
    """Inside, PyTorch does all the work: for those who count its operations."""
    before = _chosen
    choose("torch")
    try:
        yield
    finally:
        choose(before)


def takes(*tensors: Tensor | None) -> bool:
    """Whether the library can work on these tensors (None is nothing to work on): float32 on a CPU, and not empty."""
    return load() is not None and all(
        t is None or (t.dtype == torch.float32 and t.device.type == "cpu" and t.numel() > 0) for t in tensors
    )


def call(library: ctypes.CDLL, name: str, tensors: Sequence[Tensor | None], *numbers: int) -> None:
    """Call a function of the library with arrays, all contiguous or channels_last, and numbers."""
    getattr(library, name)(*(None if t is None else t.data_ptr() for t in tensors), *numbers)


@functools.cache
def _compiled() -> tuple[ctypes.CDLL | None, str]:
    """The library and its name, or None and the reason why there is none. Once per process."""
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))), None)
    if compiler is None:
        return None, "there is no C++ compiler (c++, g++, clang++)"
    try:
        # All macros: they tell the compiler's version, and with -march=native what this very processor can do.
        about = _run(compiler, *FLAGS, "-E", "-dM", "-x", "c++", os.devnull)
        version = _run(compiler, "--version").splitlines()[0]
        folder = Path(__file__).parent
        texts = [(folder / name).read_text() for name in (*HEADERS, *SOURCES)]
        digest = hashlib.sha256("\0".join([about, version, *FLAGS, *texts]).encode()).hexdigest()[:16]
        file = _cache() / f"{digest}.so"
        if not file.exists():
            _compile(compiler, [folder / name for name in SOURCES], file)
        library = ctypes.CDLL(str(file))
        for name, (arrays, numbers) in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p] * arrays + [ctypes.c_int] * numbers, None
        return library, f"compiled {digest} ({version})"
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [f"exit status {error.returncode}"]
        return None, f"{compiler} failed: {lines[0]}"
    except (OSError, AttributeError, IndexError, subprocess.SubprocessError) as error:
        return None, f"it could not be compiled: {error}"


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def _cache() -> Path:
    """Made for this user alone: what lies there is executed."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = user / "htbench" / "compiled"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _compile(compiler: str, sources: list[Path], file: Path) -> None:
    """To a name of its own first, then renamed: of several processes at the same time each finds a whole file."""
    with tempfile.TemporaryDirectory(dir=file.parent, prefix="building-") as folder:
        built = Path(folder) / file.name
        _run(compiler, *FLAGS, *map(str, sources), "-o", str(built))
        built.replace(file)
