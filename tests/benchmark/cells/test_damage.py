"""Damaged, edited and foreign files: one clear line, of that cell alone."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cells import checkpoint
from benchmark.cells.arrays import DamagedError
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.identity import standing
from benchmark.errors import UserError
from benchmark.execution.plan import make_plan
from benchmark.grid import Grid
from benchmark.reporting.record import Record, collect
from benchmark.reporting.rows import make_rows
from tests.benchmark.reporting.simulated import make_grid, simulate


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of a grid of two cells, both finished."""
    runs = tmp_path_factory.mktemp("whole")
    simulate(grid(), runs, lambda config: 0.7)
    return runs


def grid() -> Grid:
    return make_grid(methods=("protonet",), channels=(8,), seeds=(0, 1))


@pytest.fixture
def experiment(whole: Path, tmp_path: Path) -> ExperimentFolder:
    shutil.copytree(whole, tmp_path / "runs")
    return ExperimentFolder(tmp_path / "runs" / "simulated")


def edit(**changes: Any) -> Callable[[bytes], bytes]:
    """Replace values of a record; dots go into parts, `None` takes a value away."""

    def change(content: bytes) -> bytes:
        record = json.loads(content)
        for dotted, value in changes.items():
            *path, last = dotted.split("__")
            part = record
            for name in path:
                part = part[name]
            part[last] = value
        return json.dumps(record).encode()

    return change


RECORDS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "zeros": lambda c: bytes(len(c)),
    "torn": lambda c: c[: len(c) // 2],
    "doubled": lambda c: c + c,
    "no text": lambda _: b"\xff\xfe\x00\x80",
    "utf-16": lambda c: b"\xff" + c.decode().encode("utf-16"),
    "null": lambda _: b"null",
    "a number": lambda _: b"3",
    "a string": lambda _: b'"done"',
    "a list": lambda _: b"[]",
    "an empty object": lambda _: b"{}",
    "deep": lambda _: b"[" * 100_000,
    "a huge number": lambda c: c.replace(b'"episodes": 60', b'"episodes": 1' + b"0" * 5000),
    "newer": edit(format=99),
    "a format of words": edit(format="two"),
    "another key": edit(key="0" * 12),
    "key of another kind": edit(key=5),
    "an unknown field": edit(surprise=1),
    "neither numbers nor a failure": edit(test=None, training=None),
    "accuracy edited": edit(test__accuracy=0.99),
    "accuracy in words": edit(test__accuracy="high"),
    "accuracy above 1": edit(test__accuracy=70.0),
    "accuracy below 0": edit(test__accuracy=-0.1),
    "accuracy not a number": lambda c: c.replace(b'"accuracy": ', b'"accuracy": NaN, "x": ', 1),
    "accuracy infinite": edit(test__accuracy=float("inf")),
    "episodes edited": edit(test__episodes=6),
    "no episodes": edit(test__episodes=0),
    "hash edited": edit(sha256={"test_accuracy.npy": "0" * 64}),
    "test of another type": edit(test=[]),
}


def npy(values: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, **options)
    return buffer.getvalue()


def flip(content: bytes, place: int = -3, bit: int = 4) -> bytes:
    flipped = bytearray(content)
    flipped[place] ^= 1 << bit
    return bytes(flipped)


def packed(content: bytes) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.load(io.BytesIO(content)))
    return buffer.getvalue()


ARRAYS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "torn": lambda c: c[:-8],
    "longer": lambda c: c + b"\0" * 8,
    "no magic": lambda c: c[6:],
    "flipped bit": flip,
    "flipped header": lambda c: flip(c, 20),
    "text": lambda _: b"0.5\n0.6\n",
    "float64": lambda c: npy(np.load(io.BytesIO(c)).astype(np.float64)),
    "pickled": lambda _: npy(np.array([{}, None], dtype=object), allow_pickle=True),
    "another shape": lambda c: npy(np.load(io.BytesIO(c))[None]),
    "fewer": lambda c: npy(np.load(io.BytesIO(c))[:-1]),
    "not finite": lambda c: npy(np.load(io.BytesIO(c)) * np.float32("nan")),
    "percent": lambda c: npy(np.load(io.BytesIO(c)) * np.float32(100)),
    "another cell's": lambda c: npy(np.load(io.BytesIO(c))[::-1].copy()),
    "an npz": packed,
    "a torn header": lambda c: c[:40],
    "claims to be huge": lambda c: c.replace(b"(60,), }          ", b"(600000000000,), }"),
}


def check_that_only_this_cell_is_damaged(experiment: ExperimentFolder) -> str:
    """And return what is said about it: one line."""
    first, second = make_plan(grid().cells, experiment)
    assert (first.state, second.state, second.note) == ("damaged", "done", "")
    assert first.note and "\n" not in first.note and str(experiment.folder) in first.note
    record = collect(grid(), experiment)
    assert [cell.state for cell in record.cells] == ["damaged", "done"]
    assert list(record.accuracy) == [grid().cells[1].key]
    (row,) = make_rows(record)
    assert row.seeds == (1,) and "seed 0 damaged: " in row.problems[0]
    return first.note


@pytest.mark.parametrize("kind", RECORDS)
def test_a_record(experiment: ExperimentFolder, kind: str) -> None:
    path = experiment.cell(grid().cells[0]).folder / "result.json"
    content = path.read_bytes()
    assert RECORDS[kind](content) != content
    path.write_bytes(RECORDS[kind](content))
    check_that_only_this_cell_is_damaged(experiment)


@pytest.mark.parametrize("hashed", [True, False], ids=["hashed", "not hashed"])
@pytest.mark.parametrize("kind", ARRAYS)
def test_an_array(experiment: ExperimentFolder, kind: str, hashed: bool) -> None:
    """Also where somebody took the hash away, as long as the mean or the form tells it."""
    folder = experiment.cell(grid().cells[0]).folder
    content = (folder / "test_accuracy.npy").read_bytes()
    (folder / "test_accuracy.npy").write_bytes(ARRAYS[kind](content))
    if not hashed:
        (folder / "result.json").write_bytes(edit(sha256={})((folder / "result.json").read_bytes()))
        if kind == "another cell's":  # the same numbers in another order have the same mean
            return
    check_that_only_this_cell_is_damaged(experiment)


@pytest.mark.parametrize("name", ["result.json", "test_accuracy.npy", "metrics.jsonl", "cell.json", "origin.json"])
def test_a_folder_in_the_place_of_a_file(experiment: ExperimentFolder, name: str) -> None:
    path = experiment.cell(grid().cells[0]).folder / name
    path.unlink(missing_ok=True)
    path.mkdir()
    check_that_only_this_cell_is_damaged(experiment)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xfe\n",
        b"[]\n",
        b'{"step": true}\n',
        b'{"step": 1, "val/accuracy": 7}\n',
        b'{"step": 1, "a": NaN}\n',
        b"{\n{}",
    ],
)
def test_metrics(experiment: ExperimentFolder, content: bytes) -> None:
    path = experiment.cell(grid().cells[0]).metrics_file
    path.write_bytes(content + path.read_bytes())
    assert "damaged in line 1" in check_that_only_this_cell_is_damaged(experiment)


def test_a_missing_array_and_a_foreign_configuration(experiment: ExperimentFolder) -> None:
    folder = experiment.cell(grid().cells[0]).folder
    (folder / "test_accuracy.npy").unlink()
    assert "cannot be read: No such file" in check_that_only_this_cell_is_damaged(experiment)
    (folder / "cell.json").write_text('{"dataset": {"name": "cats"}}')
    assert "cell.json is damaged or of another version" in check_that_only_this_cell_is_damaged(experiment)


def test_a_committed_archive(experiment: ExperimentFolder, tmp_path: Path) -> None:
    collect(grid(), experiment).save(tmp_path / "out")
    path = tmp_path / "out" / "accuracies.npz"
    assert [cell.state for cell in Record.load(path.parent).cells] == ["done", "done"]
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    first, second = members.values()
    for changed in (None, flip(first), first[:-4], second):
        with zipfile.ZipFile(path, "w") as archive:
            for (name, content), place in zip(members.items(), (0, 1), strict=True):
                if (found := changed if place == 0 else content) is not None:
                    archive.writestr(name, found)
        record = Record.load(path.parent)
        assert [cell.state for cell in record.cells] == ["damaged", "done"]
        assert list(record.accuracy) == [grid().cells[1].key]
    for broken in (b"", b"PK", path.read_bytes()[:-30]):
        path.write_bytes(broken)
        with pytest.raises(UserError, match="out is damaged"):
            Record.load(path.parent)


def test_every_flipped_bit_of_a_checkpoint_is_noticed(tmp_path: Path) -> None:
    """Or changes nothing: torch's reader does not look at the checksums of its own format."""
    path = tmp_path / "last.pt"
    state = {"method": {"weight": torch.arange(300.0)}, "progress": {"step": 7, "members": [(0.5, 3)]}, "none": None}
    checkpoint.save(path, state)
    content, refused = path.read_bytes(), 0
    places = range(0, len(content), 11)
    for place in places:
        path.write_bytes(flip(content, place, place % 8))
        try:
            found = checkpoint.load(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
            continue
        assert checkpoint.content_sha256(found) == checkpoint.content_sha256(state)
    assert refused > len(places) / 4


def test_a_foreign_checkpoint_is_refused(experiment: ExperimentFolder) -> None:
    store: CellFolder = experiment.cell(grid().cells[0])
    checkpoint.save(store.best_checkpoint, {"method": {}})
    result = store.result()
    assert result is not None
    store.write_result(result, store.test_accuracy())
    store.check_checkpoint(store.best_checkpoint)
    checkpoint.save(store.best_checkpoint, {"method": {"weight": torch.zeros(2)}})
    with pytest.raises(DamagedError, match=r"best.pt is not the file of its record"):
        store.check_checkpoint(store.best_checkpoint)


def test_a_record_of_another_cell_does_not_count(experiment: ExperimentFolder) -> None:
    first, second = (experiment.cell(config).folder for config in grid().cells)
    for name in ("result.json", "test_accuracy.npy"):
        shutil.copy(second / name, first / name)
    now = standing(grid().cells[0], experiment.cell(grid().cells[0]))
    assert now.state == "damaged" and f"record of another cell, {grid().cells[1].key}" in now.note
