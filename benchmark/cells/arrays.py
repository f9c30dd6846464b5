"""Scores per episode, checked against the record that they belong to: whole, finite, and what the record says they are.

The SHA-256 of an array is that of the `.npy` file that holds it, so the same inside an `.npz` archive, and `sha256sum`
of a cell's file gives it, too.
"""

import hashlib
import io
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.cells.result import TestScore
from benchmark.errors import UserError

Number = TypeVar("Number", np.float32, np.uint16)

MEAN_TOLERANCE = 1e-6
"""Between a record's mean and its array's: sums of float32 values in another order differ by 1e-8 or so."""


class DamagedError(UserError):
    """A file of one cell is damaged, edited or another cell's: it concerns that cell, and no other."""


def npy_bytes(values: NDArray[Any], dtype: type[Number] = np.float32) -> bytes:  # type: ignore[assignment]
    """The content of a `.npy` file of the values, as float32 unless another kind of number is asked for."""
    buffer = io.BytesIO()
    np.save(buffer, values.astype(dtype))
    return buffer.getvalue()


def read_npy(path: Path, sha256: str | None = None, dtype: type[Number] = np.float32) -> NDArray[Number]:  # type: ignore[assignment]
    """Read what `npy_bytes` made; `sha256` is what the record says, None if it says nothing.

    Raises:
        DamagedError: it is not there, not such a file, or another one than the record's.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
    check_sha256(path, hashlib.sha256(content).hexdigest(), sha256)
    return parse_npy(content, str(path), dtype)


def parse_npy(content: bytes, what: str, dtype: type[Number] = np.float32) -> NDArray[Number]:  # type: ignore[assignment]
    """The array of such numbers in the content of a `.npy` file.

    Raises:
        DamagedError: there is none; `what` says where it was looked for.
    """
    try:
        # A header may claim any size: it is compared with what is there before memory is asked for.
        file = io.BytesIO(content)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, found = read(file)
        size = np.dtype(dtype).itemsize * int(np.prod(shape, dtype=object))
        if found != dtype or len(content) - file.tell() != size:
            left = len(content) - file.tell()
            raise ValueError(f"{np.dtype(dtype)} of shape {shape} expected, found {left} bytes of {found}")
        values: NDArray[Number] = np.load(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy evaluates the header, which may go wrong in any way
        reason = " ".join(str(error).split())[:200]
        raise DamagedError(f"{what} is no array of {np.dtype(dtype)} numbers ({reason})") from error
    return values


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, as `sha256sum` prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def brief(error: Exception) -> str:
    """What is wrong with a file, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc'])) or 'content'}: {first['msg']}"
    return " ".join(str(error).split())[:200] or type(error).__name__


def check_sha256(path: Path, found: str, recorded: str | None) -> None:
    """Refuse a file that is another one than the record's.

    Raises:
        DamagedError: naming both digests.
    """
    if recorded is not None and found != recorded:
        raise DamagedError(
            f"{path} is not the file of its record: SHA-256 {found[:12]}..., recorded {recorded[:12]}..."
        )


def check_accuracy(values: NDArray[np.float32], score: TestScore, what: str) -> NDArray[np.float32]:
    """The accuracies (E,) of a score, in [0, 1], whose mean it is.

    Raises:
        DamagedError: they are not.
    """
    if values.shape != (score.episodes,):
        raise DamagedError(f"{what} should hold {score.episodes} accuracies, found an array of shape {values.shape}")
    if not bool(((values >= 0) & (values <= 1)).all()):
        raise DamagedError(f"{what} should hold accuracies between 0 and 1, found {_first_outside(values)}")
    mean = float(values.mean(dtype="float64"))
    if abs(mean - score.accuracy) > MEAN_TOLERANCE:
        raise DamagedError(f"{what} has the mean {mean:.6f}, but its record says {score.accuracy:.6f}")
    return values


def check_domains(
    values: NDArray[np.uint16], accuracy: NDArray[np.float32], score: TestScore, what: str
) -> NDArray[np.uint16]:
    """The domain (E,) of each episode, a place in `score.domains`, which say how many each has and their mean.

    Raises:
        DamagedError: they are not.
    """
    if values.shape != accuracy.shape:
        raise DamagedError(f"{what} should hold the domains of {len(accuracy)} episodes, found {values.shape}")
    for place, domain in enumerate(score.domains):
        of_domain = accuracy[values == place]
        mean = float(of_domain.mean(dtype="float64")) if len(of_domain) else 0.0
        if len(of_domain) != domain.episodes or abs(mean - domain.accuracy) > MEAN_TOLERANCE:
            raise DamagedError(
                f"{what} has {len(of_domain)} episodes of {domain.name} with the mean {mean:.6f}, but its record says"
                f" {domain.episodes} and {domain.accuracy:.6f}"
            )
    return values


def check_matrices(values: NDArray[np.float32], episodes: int, what: str) -> NDArray[np.float32]:
    """Accuracy matrices (E, J, I) in [0, 1], NaN where a task has not been seen yet.

    Raises:
        DamagedError: they are not.
    """
    if values.ndim != 3 or len(values) != episodes:
        raise DamagedError(f"{what} should hold {episodes} matrices, found an array of shape {values.shape}")
    if not bool((((values >= 0) & (values <= 1)) | np.isnan(values)).all()):
        raise DamagedError(f"{what} should hold accuracies between 0 and 1, found {_first_outside(values)}")
    return values


def _first_outside(values: NDArray[np.float32]) -> float:
    outside = ~((values >= 0) & (values <= 1)) & (~np.isnan(values) if values.ndim == 3 else True)
    return float(values[outside][0])
