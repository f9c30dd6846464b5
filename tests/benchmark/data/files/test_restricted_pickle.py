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
