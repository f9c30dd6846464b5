import codecs
import io
import os
import pickle
import pickletools
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.data.files.restricted_pickle import read_pickle
from benchmark.errors import UserError

CONTENT: dict[str, Any] = {
    "image_data": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "classes": OrderedDict(a=[0], b=range(1, 2)),
    "more": (b"\xff\x00bytes", bytearray(b"x"), {1, 2}, frozenset("a"), np.int64(7), np.float32(0.5), None, True),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_containers_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    (tmp_path / "x").write_bytes(pickle.dumps(CONTENT, protocol))
    found = read_pickle(tmp_path / "x")
    assert np.array_equal(found.pop("image_data"), CONTENT["image_data"])
    assert found == {name: value for name, value in CONTENT.items() if name != "image_data"}


def test_python_2_strings_and_old_numpy(tmp_path: Path) -> None:
    """As Python 2 wrote them: text without encoding, arrays from numpy.core."""
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR(K\x01(K\x02tcnumpy\ndtype\n"
    array += b"(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\xe9\x01tb"
    written = b"\x80\x02}(U\x04nameU\x02\xe9\xffU\x04data" + array + b"u."
    pickletools.dis(written, io.StringIO())  # raises if this is no pickle
    (tmp_path / "x").write_bytes(written)
    found = read_pickle(tmp_path / "x")
    assert found["name"] == "\xe9\xff"
    assert found["data"].tolist() == [0xE9, 1]


class Attack:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [
        (os.system, ("touch {file}",), r"posix\.system"),
        (eval, ("open('{file}', 'w')",), r"__\.eval|builtins\.eval"),
        (getattr, (np.ndarray, "tofile"), r"__\.getattr|builtins\.getattr"),
        (np.load, ("{file}",), r"asks for numpy"),
        (np.save, ("{file}", [1]), r"asks for numpy"),
        (codecs.encode, ("text", "punycode"), r"encodes text as 'punycode'"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_code_is_refused_and_not_run(
    tmp_path: Path, function: Any, arguments: tuple[Any, ...], named: str, protocol: int
) -> None:
    proof = tmp_path / "proof"
    arguments = tuple(a.format(file=proof) if isinstance(a, str) else a for a in arguments)
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"image_data": Attack(function, *arguments)}, protocol))
    with pytest.raises(UserError, match=rf"x\.pkl cannot be read as a pickle of images: it .*({named})"):
        read_pickle(tmp_path / "x.pkl")
    assert not proof.exists()


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps(CONTENT)[:-40], pickle.dumps(CONTENT)[:50]])
def test_damaged_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.pkl cannot be read as a pickle of images: \w+"):
        read_pickle(tmp_path / "x.pkl")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.pkl cannot be read: No such file"):
        read_pickle(tmp_path / "x.pkl")


def numpy_array(shape: Any, dtype: Any, raw: Any) -> Any:
    """A call of numpy.ndarray itself: over pointers of the file's choice if the dtype is of objects."""
    return Attack(np.ndarray, shape, dtype, raw)


class Rebuilt:
    """An array as numpy pickles it, with another dtype or state."""

    def __init__(self, state: tuple[Any, ...], shape: tuple[int, ...] = (0,)) -> None:
        self.reduced = np.empty(0).__reduce__()[0], (np.ndarray, shape, b"b"), state

    def __reduce__(self) -> Any:
        return self.reduced


def records() -> np.ndarray:
    return np.zeros(2, dtype=[("a", "u1"), ("b", "O")])


@pytest.mark.parametrize(
    "attack",
    [
        numpy_array((1,), np.dtype("O"), b"\x10" * 8),
        numpy_array((10**9,), np.dtype("u1"), b""),
        np.array([[], {}], dtype=object),
        np.array(["text"]),
        np.array([b"text"]),
        np.zeros(1, "datetime64[s]"),
        np.zeros(1, complex),
        records(),
        np.zeros(2, dtype=[("a", "u1"), ("b", "i4")]),
        Rebuilt((1, (3,), np.dtype("O"), False, b"\x10" * 24)),
        Rebuilt((1, (3,), np.dtype("i8"), False, b"\x10" * 16)),
        Rebuilt((1, (-3,), np.dtype("u1"), False, b"abc")),
        Rebuilt((1, (2**62, 2**62), np.dtype("u1"), False, b"")),
        Rebuilt((1, (3,), np.dtype("u1"), False, [1, 2, 3])),
        Rebuilt((1, (1,) * 40, np.dtype("u1"), False, b"a")),
        Rebuilt((1, (3,), "u1", False, b"abc")),
        Rebuilt((1, (3,), np.dtype("u1"), False, b"abc"), (10**6,)),
        Attack(bytearray, 10**6),
        Attack(bytes, 10**6),
        Attack(list, range(5)),
        Attack(set, range(5)),
        Attack(range, 10**9),
        Attack(range, -(10**30), 10**30),
        Attack(np.dtype, "u1,u1"),
        Attack(np.dtype, "(2,)u1"),
        Attack(np.dtype, [("a", "O")]),
        np.ndarray,
        np.dtype("u1"),
    ],
)
@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_arrays_of_chosen_pointers_and_false_sizes_are_refused(tmp_path: Path, attack: Any, protocol: int) -> None:
    (tmp_path / "x.pkl").write_bytes(pickle.dumps(attack, protocol))
    with pytest.raises(UserError, match=r"x\.pkl cannot be read as a pickle of images: (it|an?|the) "):
        read_pickle(tmp_path / "x.pkl")


ARRAY = pickle.dumps(np.arange(3, dtype=np.uint8), 2)


@pytest.mark.parametrize(
    ("program", "named"),
    [
        (b"\x80\x02]r\xff\xff\xff\x7f.", ""),  # remember a list as number 2,147,483,647: no table of that length
        (b"\x80\x05\x8e" + b"\xff" * 7 + b"\x0fabc.", "cut off"),  # bytes of 2^60
        (b"\x80\x05\x96" + b"\xff" * 7 + b"\x0fabc.", "cut off"),  # bytearray of 2^60
        (b"\x80\x04\x95" + b"\xff" * 7 + b"\x0fabc.", "cut off"),  # a frame of 2^60
        (ARRAY[:-1] + b"\x98.", "READONLY_BUFFER"),
        (b"\x80\x05\x97.", "NEXT_BUFFER"),
        (b"Pid\n.", "PERSID"),
        (b"(cnumpy\ndtype\nX\x02\x00\x00\x00u1o.", "OBJ"),
        (b"(X\x02\x00\x00\x00u1inumpy\ndtype\n.", "INST"),
        (b"cbuiltins\nset\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"ccollections\nOrderedDict\n)R}X\x01\x00\x00\x00aK\x01sb.", "state"),  # attributes of an object
        (b"cbuiltins\nset\n}X\x01\x00\x00\x00aK\x01sb.", "state"),  # attributes of a function
        (ARRAY[:-1] + b"(K\x01(K\x03t(tb.", "state"),  # a second content for one array
        (ARRAY[:-1] + b"K\x00K\x01s.", "adds members to ndarray"),
        (ARRAY[:-1] + b"K\x01a.", "adds members to ndarray"),
        (b"]K\x01\x85R.", "calls what is no name"),
        (b"Nb.", ""),
        (b"N(tb.", "sets the state of NoneType"),
    ],
)
def test_instructions_that_data_do_not_need(tmp_path: Path, program: bytes, named: str) -> None:
    (tmp_path / "x.pkl").write_bytes(program)
    if program.startswith(b"\x80\x02]r"):
        assert read_pickle(tmp_path / "x.pkl") == []
        return
    with pytest.raises(UserError, match=rf"x\.pkl cannot be read as a pickle of images: .*{named}"):
        read_pickle(tmp_path / "x.pkl")


def is_data(found: Any, seen: set[int]) -> bool:
    """Whether it is made of numeric arrays, numbers, text and containers only, however deep."""
    waiting = [found]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, np.ndarray | np.generic):
            if one.dtype.kind not in "biuf":
                return False
            if isinstance(one, np.ndarray):
                int(one.astype(np.float64).sum() > 0)  # reads every byte
        elif type(one) in (dict, OrderedDict):
            waiting += [*one.keys(), *one.values()]
        elif type(one) in (list, tuple, set, frozenset):
            waiting += one
        elif not (one is None or type(one) in (bool, int, float, str, bytes, bytearray, range)):
            return False
    return True


NAMES = [
    b"numpy\nndarray", b"numpy\ndtype", b"numpy._core.multiarray\n_reconstruct", b"numpy._core.multiarray\nscalar",
    b"numpy._core.numeric\n_frombuffer", b"numpy\nfromfile", b"numpy\nmemmap", b"numpy.lib\nadd_newdoc", b"os\nsystem",
    b"builtins\neval", b"builtins\ngetattr", b"builtins\nbytearray", b"builtins\nrange", b"builtins\nset",
    b"collections\nOrderedDict", b"_codecs\nencode", b"ctypes\nstring_at", b"operator\nattrgetter",
]  # fmt: skip
PIECES = st.one_of(
    st.sampled_from(pickletools.opcodes).map(lambda opcode: opcode.code.encode("latin1")),
    st.sampled_from([b"R", b"b", b"t", b"(", b"u", b"e", b"s", b"\x85", b"\x86", b"\x87", b"\x94", b"h\x00", b"2"]),
    st.sampled_from(NAMES).map(lambda name: b"c" + name + b"\n"),
    st.sampled_from([b"u1", b"i8", b"O", b"O8", b"V8", b"f4,O", b"|S4", b"latin1", b"<", b"|"]).map(
        lambda text: b"X" + len(text).to_bytes(4, "little") + text
    ),
    st.binary(max_size=32).map(lambda raw: b"C" + bytes([len(raw)]) + raw),
    st.integers(0, 255).map(lambda number: b"K" + bytes([number])),
    st.sampled_from([np.dtype("u1"), np.dtype("O"), np.arange(3), np.float32(1), np.zeros((2, 2), order="F"), {1}])
    .map(lambda value: pickle.dumps(value, 2)[2:-1]),
    st.binary(max_size=8),
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(pieces=st.lists(PIECES, max_size=25), start=st.sampled_from([b"", b"\x80\x02", b"\x80\x05"]))
def test_any_program_gives_data_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], start: bytes
) -> None:
    """Programs of instructions at random, of names, dtypes and array parts; a crash would end the tests."""
    check_data_or_message(tmp_path_factory, start + b"".join(pieces) + b".")


@settings(max_examples=600, deadline=None)
@given(
    protocol=st.integers(0, 5),
    changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 3), PIECES), min_size=1, max_size=6),
)
def test_a_changed_dataset_gives_data_or_a_message(
    tmp_path_factory: pytest.TempPathFactory, protocol: int, changes: list[tuple[int, int, bytes]]
) -> None:
    """A pickle as datasets are, in which places are overwritten, or pieces put in or cut out."""
    program = pickle.dumps(CONTENT, protocol)
    for place, kind, piece in changes:
        at = place % len(program)
        kept = program[at + (0 if kind == 0 else len(piece) if kind == 1 else kind) :]
        program = program[:at] + (b"" if kind == 3 else piece) + kept
    check_data_or_message(tmp_path_factory, program)


def check_data_or_message(factory: pytest.TempPathFactory, program: bytes) -> None:
    path = factory.getbasetemp() / "fuzzed.pkl"
    path.write_bytes(program)
    try:
        found = read_pickle(path)
    except UserError as error:
        assert "cannot be read as a pickle of images" in str(error)
    else:
        assert is_data(found, set())
