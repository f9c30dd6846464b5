"""Reading other people's pickles without running their code.

A pickle is a program: it calls what it names, and changes objects it has made. Datasets are numeric arrays, text,
numbers and containers of them, so the interpreter here knows nothing else:

- The few names that a file may use stand for functions of this module. They build nothing but bytes, sets, ranges,
  ordered dictionaries, and numpy arrays and numbers of the kinds b, i, u and f (no objects, so no pointers), after
  checking that shape, dtype and content agree. Numpy's own classes and functions are out of a file's reach.
- Instructions that make an instance of a class, change an object's attributes, or take something from outside the file
  do not exist. An array gets its content once.
- Nothing longer than the file itself is read from it, and ranges have at most `LONGEST_RANGE` members.

It is built on the interpreter that the standard library has in Python. The one in C is faster, but takes "remember this
as number 4,294,967,295" for a wish to have a table of that size, and lets no instruction be taken away.
"""

import math
import os
import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, ClassVar

import numpy as np

from benchmark.errors import UserError

LONGEST_RANGE = 100_000_000
"""Ten times what the largest of these datasets has images, and short enough to become an array."""
NUMERIC = "biuf"
"""Kinds of numpy's dtypes: truth values, whole numbers with and without sign, floats."""
_DIMENSIONS = 32

Refused = pickle.UnpicklingError


class _Dtype:
    """A numeric dtype under construction; becomes part of an array or a number, never of what a file gives."""

    def __init__(self, dtype: np.dtype) -> None:
        self.value = dtype


class _Name:
    """A name that a file may use, and what calling it does."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self.call = call


def _is(value: Any, *kinds: type) -> bool:
    """Whether a value is of exactly one of these types (True is no number here)."""
    return type(value) in kinds


def _raw(value: Any) -> bytes | bytearray:
    """Bytes as Python 3 wrote them, or as Python 2 did (text, one character a byte)."""
    if _is(value, bytes, bytearray):
        return value
    if _is(value, str):
        return value.encode("latin1")
    raise Refused(f"an array's content is not bytes but {type(value).__name__}, as that of objects is")


def _shape(value: Any) -> tuple[int, ...]:
    if not _is(value, tuple) or len(value) > _DIMENSIONS or not all(_is(n, int) and 0 <= n < 2**62 for n in value):
        raise Refused("the shape of an array is not a tuple of whole numbers")
    return value


def _described(dtype: Any) -> np.dtype:
    if not _is(dtype, _Dtype):
        raise Refused("an array's dtype is not one")
    return dtype.value


def _check_length(raw: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    needed = math.prod(shape) * dtype.itemsize
    if needed != len(raw):
        raise Refused(f"an array {shape} of {dtype} takes {needed} bytes, but there are {len(raw)}")


def _array(raw: bytes | bytearray, dtype: np.dtype, shape: tuple[int, ...], order: Any) -> np.ndarray:
    _check_length(raw, dtype, shape)
    return np.frombuffer(raw, dtype).reshape(shape, order=order) if raw else np.empty(shape, dtype, order)


def _make_dtype(text: Any, align: Any = False, copy: Any = True) -> _Dtype:
    if isinstance(text, bytes):
        text = text.decode("latin1")
    # Only such as "u1": numpy also takes lists, dictionaries and text with commas, which describe records.
    if not _is(text, str) or not (1 < len(text) <= 4) or text.lstrip("<>|=")[:1] not in NUMERIC:
        raise Refused(f"an array is of dtype {str(text)[:40]!r}, not of numbers")
    dtype = np.dtype(text)
    if dtype.kind not in NUMERIC or dtype.subdtype is not None:
        raise Refused(f"an array is of dtype {text!r}, not of numbers")
    return _Dtype(dtype)


def _empty(kind: Any, shape: Any, code: Any) -> np.ndarray:
    """`numpy._core.multiarray._reconstruct`: always called as (ndarray, (0,), b"b"), and filled afterwards."""
    if not _is(kind, _Name) or kind.call is not _not_called or shape not in ((0,), 0):
        raise Refused("an array is not made as numpy makes it")
    return np.empty(0, np.int8)


def _from_buffer(raw: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """`numpy._core.numeric._frombuffer`, from protocol 5 on."""
    if not _is(order, str) or order not in ("C", "F"):
        raise Refused("an array's order is neither C nor F")
    return _array(_raw(raw), _described(dtype), _shape(shape), order)


def _number(dtype: Any, raw: Any) -> Any:
    """`numpy._core.multiarray.scalar`."""
    return _array(_raw(raw), _described(dtype), (), "C")[()]


def _latin1(text: Any, encoding: Any) -> bytes:
    """`codecs.encode` as Python 3 uses it to write bytes into an old pickle protocol."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused(f"it encodes text as {str(encoding)[:40]!r}, not latin1")
    return bytes(_raw(text))


def _bytes(kind: type[bytes] | type[bytearray]) -> Callable[..., Any]:
    """`bytes()`, `bytearray(b"...")` and `bytearray("...", "latin-1")`; not a number, which would be a length."""
    return lambda raw=b"", encoding="latin-1": kind(_latin1(raw, encoding))


def _gathered(kind: Callable[[Any], Any]) -> Callable[..., Any]:
    """A container of what is in a list or tuple; anything else may be longer than the file."""

    def build(members: Any = ()) -> Any:
        if not _is(members, list, tuple):
            raise Refused(f"a container is made from {type(members).__name__}")
        return kind(members)

    return build


def _range(*ends: Any) -> range:
    if not all(_is(end, int) for end in ends):
        raise Refused("a range is not between whole numbers")
    found = range(*ends)
    # Its length would raise OverflowError where it does not fit a machine word.
    if found and abs(found[-1] - found[0]) // abs(found.step) >= LONGEST_RANGE:
        raise Refused(f"a range has more than {LONGEST_RANGE} members")
    return found


def _not_called(*arguments: Any) -> Any:
    raise Refused("it calls numpy.ndarray, and arrays are not made so")


_CALLS: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _not_called,
    ("numpy", "dtype"): _make_dtype,
    ("_codecs", "encode"): _latin1,
    ("collections", "OrderedDict"): _gathered(OrderedDict),
    ("__builtin__", "xrange"): _range,
}
for _module in ("builtins", "__builtin__"):
    _CALLS |= {(_module, "bytes"): _bytes(bytes), (_module, "bytearray"): _bytes(bytearray)}
    _CALLS |= {(_module, kind.__name__): _gathered(kind) for kind in (set, frozenset, list, tuple)}
    _CALLS |= {(_module, "range"): _range}
for _core in ("core", "_core"):  # before and since numpy 2
    _CALLS |= {(f"numpy.{_core}.multiarray", "_reconstruct"): _empty, (f"numpy.{_core}.multiarray", "scalar"): _number}
    _CALLS |= {(f"numpy.{_core}.numeric", "_frombuffer"): _from_buffer}
_NAMES = {name: _Name(call) for name, call in _CALLS.items()}

_LEFT_OUT = (
    pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2,
    pickle.EXT4, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER,
)  # fmt: skip
_INSTRUCTIONS = {name: value for name, value in vars(pickle).items() if isinstance(value, bytes) and len(value) == 1}


class _Bounded:
    """A file of a known length, of which nobody can ask for more: no memory is set aside for what is not there."""

    def __init__(self, file: IO[bytes], length: int) -> None:
        self.file, self.left = file, length

    def read(self, count: int) -> bytes:
        if count > self.left:
            raise Refused("it is cut off")
        return self._took(self.file.read(count))

    def readline(self) -> bytes:
        return self._took(self.file.readline())

    def _took(self, found: bytes) -> bytes:
        self.left -= len(found)
        return found


class _Unpickler(pickle._Unpickler):
    """Python's interpreter of pickles with fewer instructions."""

    # Attributes of the base class while it loads.
    stack: list[Any]
    read: Callable[[int], bytes]
    append: Callable[[Any], None]
    pop_mark: Callable[[], list[Any]]

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: run for code, run in pickle._Unpickler.dispatch.items() if bytes([code]) not in _LEFT_OUT
    }

    def __init__(self, file: IO[bytes], length: int) -> None:
        super().__init__(_Bounded(file, length), encoding="latin1")
        self._unfilled: dict[int, Any] = {}  # arrays without content, by id

    def load(self) -> Any:
        try:
            return super().load()
        except KeyError as error:
            known = {value[0]: name for name, value in _INSTRUCTIONS.items()}
            what = known.get(error.args[0], f"instruction {error.args[0]}")
            raise Refused(f"it asks for {what}, and a dataset needs nothing but arrays") from error

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise Refused(f"it asks for {module}.{name}, and a dataset needs nothing but arrays")
        return _NAMES[module, name]

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        name = self.stack[-1]
        if not _is(name, _Name) or not _is(arguments, tuple):
            raise Refused("it calls what is no name")
        self.stack[-1] = name.call(*arguments)
        if _is(self.stack[-1], np.ndarray) and name.call is _empty:
            self._unfilled[id(self.stack[-1])] = self.stack[-1]

    def _build(self) -> None:
        state, made = self.stack.pop(), self.stack[-1]
        if not _is(state, tuple):
            raise Refused("an object's state is not a tuple")
        if _is(made, _Dtype):
            made.value = _byte_order(made.value, state)
        elif id(made) in self._unfilled and len(state) in (4, 5):
            del self._unfilled[id(made)]
            shape, dtype, raw = _shape(state[-4]), _described(state[-3]), bytes(_raw(state[-1]))
            _check_length(raw, dtype, shape)
            # In place, since the file may refer to the array already. Numpy is handed nothing but what was checked.
            made.__setstate__((1, shape, dtype, bool(state[-2]), raw))
        else:
            raise Refused(f"it sets the state of {type(made).__name__}")

    def _append(self) -> None:
        value = self.stack.pop()
        self._last(list).append(value)

    def _appends(self) -> None:
        items = self.pop_mark()
        self._last(list).extend(items)

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._last(dict, OrderedDict)[key] = value

    def _set_items(self) -> None:
        items = self.pop_mark()
        self._last(dict, OrderedDict).update(zip(items[::2], items[1::2], strict=True))

    def _add_items(self) -> None:
        items = self.pop_mark()
        self._last(set).update(items)

    def _byte_array(self) -> None:
        length = int.from_bytes(self.read(8), "little")
        self.append(bytearray(self.read(length)))

    def _last(self, *kinds: type) -> Any:
        if not _is(self.stack[-1], *kinds):
            raise Refused(f"it adds members to {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    dispatch |= {
        pickle.REDUCE[0]: _reduce,
        pickle.BUILD[0]: _build,
        pickle.APPEND[0]: _append,
        pickle.APPENDS[0]: _appends,
        pickle.SETITEM[0]: _set_item,
        pickle.SETITEMS[0]: _set_items,
        pickle.ADDITEMS[0]: _add_items,
        pickle.BYTEARRAY8[0]: _byte_array,
    }


def _byte_order(dtype: np.dtype, state: tuple[Any, ...]) -> np.dtype:
    """`numpy.dtype.__setstate__` as far as numbers need it: (version, byte order, no parts, sizes left to numpy)."""
    order = state[1] if len(state) > 1 else None
    if isinstance(order, bytes):
        order = order.decode("latin1")
    if not _is(order, str) or order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
        raise Refused("an array's dtype has parts, as that of records has, or a wrong byte order")
    return dtype.newbyteorder(order)  # type: ignore[arg-type]


def read_pickle(path: Path) -> Any:
    """The content of a pickle; text of Python 2 is taken as latin1.

    Raises:
        UserError: the file cannot be read, is no pickle, is cut off, or asks for more than arrays and containers.
    """
    try:
        with path.open("rb") as file:
            return unpickle(file, path, os.fstat(file.fileno()).st_size)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error


def unpickle(file: IO[bytes], path: Path, length: int = sys.maxsize) -> Any:
    """The same from an open file of a length in bytes; `path` is for the message."""
    try:
        found = _Unpickler(file, length).load()
        _check_is_data(found)
        return found
    # Nearly anything can be raised: a damaged file is a program that makes no sense.
    except Exception as error:
        raise UserError(f"{path} cannot be read as a pickle of images: {error or 'it is damaged'}") from error


def _check_is_data(found: Any) -> None:
    """Refuse what still holds a name or a dtype instead of data, however deep."""
    waiting, seen = [found], set()
    while waiting:
        one = waiting.pop()
        if _is(one, _Name, _Dtype):
            raise Refused("it holds names, not data")
        if _is(one, list, tuple, set, frozenset, dict, OrderedDict) and id(one) not in seen:
            seen.add(id(one))
            waiting += [*one, *one.values()] if isinstance(one, dict) else one
