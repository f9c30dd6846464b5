"""Rows of further tests: the same trainings on other tasks, each as if it were a cell that was tested so."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.further import LAKE, own_test
from benchmark.grid.axes import axis_value
from benchmark.reporting.further_result import FurtherResult, further_key
from benchmark.reporting.labels import short_name
from benchmark.reporting.record import CellRecord, Record

OF_THE_TASK = ("dataset.", "episodes.", "test.")
"""Axes of the grid that say what a cell is tested on, and but for `test.` what it is trained on."""


def further_tests(record: Record) -> list[FurtherTest]:
    """All further tests of the record's cells, those that the grid plans first."""
    planned = {test.key: test for cell in record.cells for test in cell.config.tests}
    others = {one.test.key: one.test for cell in record.cells for one in cell.tests}
    return list((planned | {key: test for key, test in others.items() if key not in planned}).values())


def tested_so(record: Record, test: FurtherTest, groups: Iterable[Sequence[CellRecord]]) -> Record:
    """A record of the cells of these groups (of seeds) in which somebody has the test, as if it were their own."""
    cells = []
    for group in groups:
        found = {cell.key: next((one for one in cell.tests if one.test.key == test.key), None) for cell in group}
        if any(found.values()):
            cells += [_as_cell(cell, found[cell.key] or FurtherResult(test=test, state="missing")) for cell in group]
    return replace(record, cells=tuple(cells), accuracy=record.further, matrices={}, ensembles={})


def _as_cell(cell: CellRecord, one: FurtherResult) -> CellRecord:
    config = as_config(cell.config, one.test)
    result = None
    if one.record is not None and cell.result is not None:
        model, solver = cell.result.model, one.record.solver_parameters
        if model is not None and solver is not None:
            model = model.model_copy(update={"solver_parameters": solver})
        failure, score = one.record.failure, one.record.score
        changed = {"test": score, "failure": failure, "model": model, "ensemble": None, "continual": None}
        result = cell.result.model_copy(update=changed)
    return cell.model_copy(
        update={
            "key": further_key(cell.key, one.test),
            "axes": {axis: axis_value(config, axis) if axis.startswith(OF_THE_TASK) else value
                     for axis, value in cell.axes.items()},
            "config": config,
            "state": one.state,
            "result": result,
            "curve": None,
            "diagnostics": {},
            "note": one.note,
            "tests": (),
        }
    )  # fmt: skip


def as_config(config: CellConfig, test: FurtherTest) -> CellConfig:
    """The configuration of a cell that is trained as this one and has the test for its own.

    Where a cell of the grid has that test for its own, the sections that tell the task are those of that cell.
    """
    trained, own, shape = config.train_episodes, config.episodes.queries, test.episodes
    as_own = shape.queries == (config.test.queries or own)
    return config.model_copy(
        update={
            "dataset": test.dataset,
            "content": test.content,
            "episodes": shape.model_copy(update={"queries": own}),
            "test": config.test.model_copy(
                update={
                    "episodes": test.count,
                    "seed": test.seed,
                    "queries": config.test.queries if as_own else shape.queries,
                }
            ),
            "train": config.train.model_copy(
                update={"ways": trained.ways, "shots": trained.shots, "queries": trained.queries}
            ),
            "tests": (),
        }
    )


def trained_suffix(cell: CellRecord, tested: CellRecord) -> str:
    """What the label of a row says besides, where the grid varies what is trained on: ` · trained with ways 5`."""
    told = [
        f"{short_name(axis)} {value}"
        for axis, value in cell.axes.items()
        if axis.startswith(("dataset.", "episodes.")) and value is not None and tested.axes[axis] != value
    ]
    return f" · trained with {', '.join(told)}" if told else ""


def trained_text(cell: CellRecord, test: FurtherTest, others: Sequence[FurtherTest]) -> str:
    """What the setting says besides: on what was trained, and what no task's name tells: `, trained at 5-way 1-shot`.

    What is an axis of the grid is left to the label. How many episodes there are is told where the cell's own test or
    one of the `others` has such episodes, too.
    """
    config, shape = cell.config, test.episodes
    trained, own = config.train_episodes, config.test_episodes
    parts = []
    if (shape.ways, shape.shots) != (trained.ways, trained.shots) and not _varies(cell, "episodes."):
        parts.append(f"trained at {trained.ways}-way {trained.shots}-shot")
    if test.dataset != config.dataset and not _varies(cell, "dataset."):
        parts.insert(0, f"trained on {config.data_name}")
    published = test.dataset.name == LAKE  # whose tasks are told by their name
    parts += [f"{shape.queries} queries"] if shape.queries != own.queries and not published else []
    alike = [one for one in (own_test(config), *others) if (one.dataset, one.episodes) == (test.dataset, test.episodes)]
    parts += [f"{test.count:,} episodes"] if len({one.count for one in (*alike, test)}) > 1 else []
    parts += [f"test seed {test.seed}"] if test.seed != config.test.seed and not published else []
    parts += [f"after {test.step:,} steps"] if test.step is not None else []
    return "".join(f", {part}" for part in parts)


def _varies(cell: CellRecord, section: str) -> bool:
    return any(axis.startswith(section) for axis in cell.axes)
