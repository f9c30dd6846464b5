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

SOURCES = ("block.cpp", "rows.cpp")
HEADERS = ("lanes.h",)
SIGNATURES = {
    "block_forward": (5, 6),
    "block_backward": (7, 6),
    "rows_moments": (3, 3),
    "rows_affine": (4, 3),
    "rows_sums": (5, 3),
    "rows_gradient": (6, 3),
    "windows_largest": (3, 4),
    "windows_gradient": (7, 4),
}
"""Of each function: how many arrays it takes, null where there is nothing, and how many ints after them."""

FLAGS = ("-std=c++17", "-O3", "-march=native", "-ffp-contract=fast", "-fno-trapping-math", "-shared", "-fPIC")
"""None that changes what NaN or infinity does; without traps, comparisons become vectors too."""
VARIABLE = "HTBENCH_KERNEL"
CHOICES = ("auto", "compiled", "torch")
PATIENCE = 300.0
"""Seconds to wait for the compiler, which takes about ten on a busy machine."""

_chosen: str | None = None  # by `choose`; None: by the environment variable
_calls = 0  # of the library in this process


class UnavailableError(RuntimeError):
    """The compiled path was asked for and cannot be taken."""


def choice() -> str:
    """What was asked for: "auto", "compiled" or "torch".

    Raises:
        UnavailableError: HTBENCH_KERNEL is none of them.
    """
    asked = _chosen or os.environ.get(VARIABLE) or "auto"
    if asked not in CHOICES:
        raise UnavailableError(f"the kernel ({VARIABLE}) is {', '.join(CHOICES[:-1])} or {CHOICES[-1]}, not {asked!r}")
    return asked


def load() -> ctypes.CDLL | None:
    """The compiled library, or None where PyTorch does the work.

    Raises:
        UnavailableError: "compiled" was asked for, and it cannot be; or something unknown was.
    """
    asked = choice()
    if asked == "torch":
        return None
    library, about = _compiled()
    if library is None and asked == "compiled":
        raise UnavailableError(f"the kernel ({VARIABLE}) is to be compiled, but {about}; use auto or torch")
    return library


def describe() -> str:
    """For people: which path is open, and where it is PyTorch's the reason.

    Raises:
        UnavailableError: as `load`.
    """
    if load() is not None:
        return _compiled()[1]
    return "torch, as chosen" if choice() == "torch" else f"torch: {_compiled()[1]}"


def calls() -> int:
    """How often the library was called in this process."""
    return _calls


def taken(since: int = 0) -> str:
    """Which path was taken after so many calls: "torch", or "compiled" with what decides its rounding."""
    return _compiled()[1] if _calls > since else "torch"


def choose(path: str | None) -> None:
    """Take "torch" or "compiled" from now on, whatever the environment variable says; None: as that says."""
    global _chosen
    _chosen = path


@contextlib.contextmanager
def chosen(path: str) -> Iterator[None]:
    """`choose`, inside only. With "torch" for those who count PyTorch's operations."""
    before = _chosen
    choose(path)
    try:
        yield
    finally:
        choose(before)


def takes(*tensors: Tensor | None) -> bool:
    """Whether the library can work on these tensors (None is nothing to work on): float32 on a CPU, and not empty.

    Not while PyTorch traces a program: an exported one has to run elsewhere.
    """
    fit = all(t is None or (t.dtype == torch.float32 and t.device.type == "cpu" and t.numel() > 0) for t in tensors)
    return fit and not torch.compiler.is_compiling() and load() is not None


def call(library: ctypes.CDLL, name: str, tensors: Sequence[Tensor | None], *numbers: int) -> None:
    """Call a function of the library with arrays, all contiguous or channels_last, and numbers."""
    global _calls
    _calls += 1
    getattr(library, name)(*(None if t is None else t.data_ptr() for t in tensors), *numbers)


@functools.cache
def _compiled() -> tuple[ctypes.CDLL | None, str]:
    """The library and its name, or None and the reason why there is none. Once per process."""
    compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX") or "c++", "g++", "clang++"))), None)
    if compiler is None:
        return None, "there is no C++ compiler (c++, g++ or clang++)"
    folder = Path(__file__).parent
    try:
        # All macros: they tell the compiler's version, and with -march=native what this very processor can do.
        about = _run(compiler, *FLAGS, "-E", "-dM", "-x", "c++", os.devnull)
        version = _run(compiler, "--version").splitlines()[0]
        texts = [(folder / name).read_text() for name in (*HEADERS, *SOURCES)]
        key = _digest("\0".join([about, version, *FLAGS, *texts]).encode())
        file = _kept(_cache(), key) or _compile(compiler, [folder / name for name in SOURCES], _cache(), key)
        library = ctypes.CDLL(str(file))
        for name, (arrays, numbers) in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = [ctypes.c_void_p] * arrays + [ctypes.c_int] * numbers, None
        return library, f"compiled {key} by {version}"
    except subprocess.CalledProcessError as error:
        lines = str(error.stderr).strip().splitlines() or [f"exit status {error.returncode}"]
        return None, f"{compiler} failed: {lines[0]}"
    except (OSError, AttributeError, IndexError, ValueError, subprocess.SubprocessError) as error:
        return None, f"it could not be compiled: {error}"


def _run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _cache() -> Path:
    """Made for this user alone: what lies there is executed."""
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = user / "htbench" / "compiled"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _kept(cache: Path, key: str) -> Path | None:
    """A library compiled before. Its name ends in a hash of what is in it: loading half a file would be a crash."""
    for file in sorted(cache.glob(f"{key}-*.so")):
        if file.stem == f"{key}-{_digest(file.read_bytes())}":
            return file
    return None


def _compile(compiler: str, sources: Sequence[Path], cache: Path, key: str) -> Path:
    """To a name of its own first, then renamed: of several processes at the same time each finds a whole file."""
    with tempfile.TemporaryDirectory(dir=cache, prefix="building-") as folder:
        built = Path(folder) / "library.so"
        _run(compiler, *FLAGS, *map(str, sources), "-o", str(built))
        return built.replace(cache / f"{key}-{_digest(built.read_bytes())}.so")
