"""Reading other people's pickles without running their code.

A pickle can call any function it names. Datasets are arrays, text, numbers and containers of them, so nothing else may
be named: a file that asks for more is refused before anything happens.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmark.errors import UserError


def _latin1(text: str, encoding: str) -> bytes:
    """`codecs.encode` as Python 3 uses it to write bytes into an old pickle protocol."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it encodes text as {encoding!r}, not latin1")
    return text.encode("latin1")


# Numpy's own functions to rebuild an array (up to protocol 4, from protocol 5 on) and a number. They lie in numpy.core
# before numpy 2, in numpy._core since.
_RECONSTRUCT, _FROM_BUFFER = (np.empty(0).__reduce_ex__(protocol)[0] for protocol in (4, 5))
_SCALAR = np.float64(0).__reduce__()[0]
_CONTAINERS = (bytes, bytearray, list, tuple, dict, set, frozenset, range)
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "xrange"): range,
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in _CONTAINERS},
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _RECONSTRUCT for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _SCALAR for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _FROM_BUFFER for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, and a dataset needs nothing but arrays")
        return _ALLOWED[module, name]


def read_pickle(path: Path) -> Any:
    """The content of a pickle; text of Python 2 is taken as latin1.

    Raises:
        UserError: the file cannot be read, is no pickle, is cut off, or asks for more than arrays and containers.
    """
    try:
        with path.open("rb") as file:
            return unpickle(file, path)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def unpickle(file: IO[bytes], path: Path) -> Any:
    """The same from an open file; `path` is for the message."""
    try:
        return _Unpickler(file, encoding="latin1").load()
    # Nearly anything can be raised: a damaged file is a program that makes no sense.
    except Exception as error:
        raise UserError(f"{path} cannot be read as a pickle of images: {error or 'it is damaged'}") from error
