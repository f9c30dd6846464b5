"""Which arithmetic a cell was trained with stands in its record, and training keeps to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from benchmark.cells import checkpoint
from benchmark.cells.folder import CellFolder
from benchmark.errors import UserError
from benchmark.execution.cell import run
from methods.compiled import library
from tests.benchmark.helpers import invoke, write_grid
from tests.benchmark.trained_runs import configure

STEPS = {"batch": 4, "steps": 4, "validate_every": 2, "validation_episodes": 10}


@pytest.fixture(autouse=True)
def auto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody asked for a path; skips where there is but one."""
    monkeypatch.setenv(library.VARIABLE, "auto")
    with library.chosen("auto"):
        if library.load() is None:
            pytest.skip(library.describe())
        yield


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "_compiled", lambda: (None, "there is no compiler"))


def halfway(folder: Path, path: str, method: str = "ht-logits") -> CellFolder:
    """A cell that was interrupted after 2 of 4 steps on this path."""
    store = CellFolder(folder)
    store.create(configure(method, train={**STEPS, "steps": 2}))
    with library.chosen(path):
        assert run(store, "cpu").state == "done"
    store.forget_result()
    store.create(configure(method, train=STEPS))
    state = checkpoint.load(store.last_checkpoint, torch.device("cpu"))
    state["progress"]["steps"] = 4
    checkpoint.save(store.last_checkpoint, state)
    return store


def kernel_of(store: CellFolder) -> str:
    result = store.result()
    assert result is not None and result.provenance is not None
    return result.provenance.versions["kernel"]


def test_the_record_names_the_kernel(tmp_path: Path) -> None:
    store = CellFolder(tmp_path)
    store.create(configure("ht-logits", train=STEPS))
    run(store, "cpu")
    assert kernel_of(store) == library.describe()


def test_a_method_that_uses_no_kernel_says_torch(tmp_path: Path) -> None:
    store = CellFolder(tmp_path)
    store.create(configure("maml", train=STEPS))
    run(store, "cpu")
    assert kernel_of(store) == "torch"


@pytest.mark.parametrize("path", ["torch", "compiled"])
def test_training_continues_as_it_began(tmp_path: Path, path: str) -> None:
    store = halfway(tmp_path, path)
    assert run(store, "cpu").state == "done"
    assert kernel_of(store) == ("torch" if path == "torch" else library.describe())
    assert library.choice() == "auto"  # the next cell of this process is free


def test_another_path_is_refused_and_nothing_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = library.describe()
    store = halfway(tmp_path, "compiled")
    before = store.last_checkpoint.read_bytes()
    without_compiler(monkeypatch)
    failure = run(store, "cpu").failure
    assert failure is not None and failure.kind == "bad input"
    assert began in failure.reason and "there is no compiler" in failure.reason and "--kernel torch" in failure.reason
    assert store.last_checkpoint.read_bytes() == before


def test_unless_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = library.describe()
    store = halfway(tmp_path, "compiled")
    without_compiler(monkeypatch)
    with library.chosen("torch"):
        run(store, "cpu")
    assert kernel_of(store) == f"{began} then torch"


def test_a_kernel_that_is_not_to_be_had_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = write_grid(tmp_path)
    for wrong in ("fast", "compiled"):
        with library.chosen(""), pytest.raises(UserError, match=r"the kernel .* (auto, compiled or|no compiler)"):
            without_compiler(monkeypatch)
            invoke("run", grid, "--no-track", "--runs", tmp_path, "--kernel", wrong)
