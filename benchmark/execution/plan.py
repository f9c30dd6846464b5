"""What a grid will do: its cells, what is done, what the rest will cost, what the test can tell apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.folder import CellFolder, ExperimentFolder, State
from benchmark.cells.further_standing import TestStanding, standings_of_tests
from benchmark.cells.identity import Standing, standing
from benchmark.data.configs import DatasetConfig
from benchmark.errors import UserError
from benchmark.machine.faults import blamed, machine_fault

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset

Speeds = dict[str, float]
"""Seconds per training step, by `_shape_of` a cell."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell, where it lives, how far it is, and about how many seconds of training remain (None: unknown).

    `stale` says whether its result was made with other code or data than today's. `tests` are its further tests.
    """

    config: CellConfig
    store: CellFolder
    state: State
    note: str
    remaining_seconds: float | None
    stale: bool = False
    tests: tuple[TestStanding, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether it is done, with all further tests that its grid asks for."""
        return self.state == "done" and all(one.state == "done" for one in self._planned)

    @property
    def broken_tests(self) -> bool:
        """Whether a further test that its grid asks for failed, or is damaged."""
        return any(one.state in ("failed", "damaged") for one in self._planned)

    @property
    def told(self) -> str:
        """The note, and what there is to say about its further tests."""
        missing = [one.label for one in self._planned if one.state == "missing"] if self.state == "done" else []
        others = [
            f"test {one.label} {one.state}: {one.note}" for one in self._planned if one.state not in ("missing", "done")
        ]
        left = [f"{len(missing)} further test{'s' * (len(missing) > 1)} to score: {', '.join(missing)}"] * bool(missing)
        return "; ".join(filter(None, (self.note, *left, *others)))

    def tests_to_score(self, *, retry_failed: bool = False, stale: bool = False) -> list[TestStanding]:
        """The further tests that a launch scores without training: those that are missing, and some others if asked."""
        if self.state != "done" or not self.store.best_checkpoint.exists():
            return []
        wanted = {"missing", "failed", "damaged"} if retry_failed else {"missing"}
        return [one for one in self._planned if one.state in wanted or (stale and one.stale)]

    @property
    def _planned(self) -> list[TestStanding]:
        keys = {test.key for test in self.config.tests}
        return [one for one in self.tests if one.test.key in keys]


def make_plan(
    cells: Iterable[CellConfig], experiment: ExperimentFolder, speeds: Speeds | None = None
) -> list[PlannedCell]:
    """The state and cost of every cell; `speeds` adds measured ones to those of finished cells."""
    seen = [(config, store, standing(config, store)) for config in cells for store in [experiment.cell(config)]]
    known = {**(speeds or {}), **_speeds_of_finished(seen)}
    return [_planned(config, store, now, known) for config, store, now in seen]


def unknown_speeds(planned: Iterable[PlannedCell]) -> list[CellConfig]:
    """One cell for each kind whose cost is not known."""
    kinds = {_shape_of(p.config): p.config for p in planned if p.remaining_seconds is None}
    return _by_dataset(kinds.values())


class Datasets:
    """Loads data for cells one after another, and that of neighbours with the same dataset once.

    Loading hashes every image, which takes longer than everything else that is asked of a cell before it runs. Only
    the last one is kept: large ones would not fit side by side.
    """

    def __init__(self) -> None:
        self._last: tuple[DatasetConfig, Dataset] | None = None

    def load(self, config: DatasetConfig) -> "Dataset":
        """As `benchmark.data.load`."""
        from benchmark import data

        if self._last is None or self._last[0] != config:
            self._last = None  # before the next one is in memory
            self._last = config, data.load(config)
        return self._last[1]


def measure_speed(config: CellConfig, datasets: Datasets, steps: int = 3) -> Speeds:
    """Time a few training steps of a cell on throw-away weights, on the CPU."""
    import torch

    from benchmark.machine.clock import clock
    from benchmark.training.build import build
    from benchmark.training.trainer import Trainer

    cpu = torch.device("cpu")
    dataset = datasets.load(config.dataset)
    method = build(config, dataset)
    if not method.learned_parameters():
        return {_shape_of(config): 0.0}
    trainer = Trainer(config, method, dataset.splits["train"], dataset.splits["validation"])
    try:
        trainer.decide()
        trainer.progress.steps = steps + 1
        trainer.train_step()
        before = clock(cpu)
        for _ in range(steps):
            trainer.train_step()
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        if machine_fault(error) or not config.plugins:
            raise
        raise _blame(config, error, "trained") from error
    return {_shape_of(config): (clock(cpu) - before) / steps}


def preflight(cells: Iterable[CellConfig]) -> None:
    """Refuse a grid that cannot run, before anything is started: data present, episodes possible, methods buildable.

    That includes the further tests of its cells.

    Raises:
        UserError: naming the cell that is wrong and why.
    """
    from benchmark.episodes.sampling import check_possible
    from benchmark.training.build import build

    datasets, checked = Datasets(), set()
    tests: list[tuple[CellConfig, FurtherTest]] = []
    for config in _by_dataset(cells):
        shapes = config.test_episodes.model_dump_json() + config.followed_episodes.model_dump_json()
        kind = _shape_of(config) + shapes + "".join(test.key for test in config.tests)
        if kind in checked:
            continue
        checked.add(kind)
        dataset = datasets.load(config.dataset)
        check_possible(dataset.splits["train"], config.train_episodes, "train")
        check_possible(dataset.splits["validation"], config.test_episodes, "validation")
        if not config.tuning:
            check_possible(dataset.splits["test"], config.followed_episodes, "test")
        tests += [(config, test) for test in config.tests]
        try:
            build(config, dataset)
        except UserError:
            raise
        except ValueError as error:
            raise UserError(f"{config.method}: {error}") from error
        except (Exception, SystemExit) as error:
            if machine_fault(error) or not config.plugins:  # of our own methods the traceback is wanted
                raise
            raise _blame(config, error, "built") from error
    _check_tests(tests)


def _check_tests(tests: Iterable[tuple[CellConfig, FurtherTest]]) -> None:
    """Refuse further tests whose data are missing, or cannot give such episodes to those methods."""
    from benchmark.data.dataset import ClassImages
    from benchmark.episodes.sampling import check_possible
    from benchmark.execution.further import images_of, load_checked

    asked = {(test.key, config.dataset.model_dump_json()): (config, test) for config, test in tests}
    for config, test in asked.values():
        images = images_of(load_checked(config, test))
        if isinstance(images, ClassImages):
            try:
                check_possible(images, test.episodes, "test")
            except UserError as error:
                raise UserError(f"test {test.name!r}: {error}") from error


def _blame(config: CellConfig, error: BaseException, what: str) -> UserError:
    """One line on what a plugin does wrong, and where."""
    place, text = blamed(error, map(Path, config.plugins))
    return UserError(f"{config.method} cannot be {what}: {place or config.plugins[0]}: {text}")


def _by_dataset(cells: Iterable[CellConfig]) -> list[CellConfig]:
    """The same cells, those of one dataset together; else in their order."""
    groups: dict[str, list[CellConfig]] = {}
    for config in cells:
        groups.setdefault(config.dataset.model_dump_json(), []).append(config)
    return [config for group in groups.values() for config in group]


def _planned(config: CellConfig, store: CellFolder, now: Standing, speeds: Speeds) -> PlannedCell:
    state, note = now.state, now.note
    if state in ("done", "failed"):
        tests = tuple(standings_of_tests(config, store)) if state == "done" else ()
        return PlannedCell(config, store, state, note, 0.0, now.stale, tests)
    records = store.metrics() if state in ("running", "interrupted") else []
    done_steps, done_seconds = (records[-1].step, records[-1].train_seconds) if records else (0, 0.0)
    if config.train.minutes is not None:
        return PlannedCell(config, store, state, note, max(0.0, config.train.minutes * 60 - done_seconds))
    speed = done_seconds / done_steps if done_steps else speeds.get(_shape_of(config))
    assert config.train.steps is not None
    return PlannedCell(config, store, state, note, None if speed is None else speed * (config.train.steps - done_steps))


def _speeds_of_finished(seen: Iterable[tuple[CellConfig, CellFolder, Standing]]) -> Speeds:
    speeds = {}
    for config, store, now in seen:
        result = store.result() if now.state == "done" else None
        if result is not None and result.training is not None and result.training.steps:
            speeds[_shape_of(config)] = result.training.seconds / result.training.steps
    return speeds


def _shape_of(config: CellConfig) -> str:
    """Cells with the same string take equally long per step."""
    parts = (config.dataset, config.train_episodes)
    model = sorted(config.model.items())
    return f"{config.method} {model} {config.train.batch} {''.join(part.model_dump_json() for part in parts)}"
