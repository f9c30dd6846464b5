"""The weights that a cell has kept: the best on validation, the last, those of an ensemble; while it trains, too."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.cells import checkpoint
from benchmark.cells.arrays import file_sha256
from benchmark.cells.folder import CellFolder
from benchmark.errors import UserError

Which = Literal["best", "last"] | int
"""The weights chosen on validation so far, those to continue from, or those after so many steps."""

ATTEMPTS = 5
"""To read a file that training replaces now and then."""


@dataclass(frozen=True)
class Weights:
    """What a method had learnt at some time.

    Attributes:
        step: after how many training steps.
        chosen: whether they are those that the finished training chose on validation, which its own test is of.
        sha256: of the file they are from.
        values: as `load_state_dict` takes them.
        setting: what the method was built for, as `methods.Setting` takes it.
    """

    step: int
    chosen: bool
    sha256: str
    values: dict[str, Any]
    setting: dict[str, Any]


def read_weights(store: CellFolder, which: Which) -> Weights:
    """The weights, whole, though training may be going on.

    Raises:
        UserError: nothing was kept yet, nothing after so many steps (it says which steps there are), or a file is
            damaged.
    """
    if not store.best_checkpoint.exists():
        raise UserError(
            f"{store.folder} has no {store.best_checkpoint.name}: nothing has been chosen on validation there yet"
        )
    finished = store.result()
    store.check_checkpoint(store.best_checkpoint)
    sha256, best = _read(store.best_checkpoint)
    step = best.get("step", finished.training.best_step if finished and finished.training else None)
    if not isinstance(step, int):
        raise UserError(f"{store.best_checkpoint} does not say after how many steps; go on with htbench run first")
    kept = Weights(step, finished is not None and finished.state == "done", sha256, best["method"], best["setting"])
    if which in ("best", step):
        return kept
    known = {step: "best"}
    for number, name, path in _others(store):
        if which in (name, number):
            sha256, state = _read(path)
            if name == "last":
                number = state["progress"]["step"]
            return Weights(number, False, sha256, state["method"], best["setting"]) if number != step else kept
        known.setdefault(number, name)
    if which == "last":
        return kept  # nothing was trained
    steps = ", ".join(f"{number:,} ({name})" for number, name in sorted(known.items()))
    raise UserError(f"{store.folder} has kept no weights after {which} steps; it has those after {steps}")


def _others(store: CellFolder) -> Iterator[tuple[int, str, Path]]:
    """Step, name and file of what is kept besides the best."""
    if store.last_checkpoint.exists():
        _, last = _read(store.last_checkpoint)
        yield last["progress"]["step"], "last", store.last_checkpoint
    for step in store.member_steps:
        yield step, "member", store.member_checkpoint(step)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """A checkpoint and the SHA-256 of its file.

    Raises:
        UserError: it is damaged, or gone again.
    """
    for _ in range(ATTEMPTS):
        try:
            before = file_sha256(path)
            state = checkpoint.load(path)
            if file_sha256(path) == before:
                return before, state
        except FileNotFoundError:  # of an ensemble that has better members now
            break
    raise UserError(f"{path} was replaced while it was read; try again")
