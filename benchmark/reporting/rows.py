"""Rows: cells that differ in nothing but the seed, aggregated and compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.cells.declared import is_reference, size, size_axis
from benchmark.cells.result import Result
from benchmark.reporting.published import Match, find_published
from benchmark.reporting.record import CellRecord, Record
from benchmark.statistics import (
    Comparison,
    Interval,
    NotComparableError,
    Scores,
    compare_with_best,
    crossed_bootstrap,
    episode_interval,
    primary_interval,
)

DATASET_NAMES = {"omniglot": "Omniglot", "mini_imagenet": "mini-ImageNet", "tiered_imagenet": "tiered-ImageNet"}


@dataclass(frozen=True)
class Row:
    """One method in one setting, over its seeds.

    Attributes:
        label: names the row within its setting: the method and its options on the axes of the grid.
        line: the label without channels: rows of one line in a figure.
        task: identifies the test episodes that were asked for.
        setting: rows with the same setting are compared: same test episodes, same size of the per-task network.
        setting_text: the setting in words.
        axes: the row's value on every axis but the seed.
        cells: the planned cells, by seed.
        seeds: the finished seeds.
        accuracy: (S, E) in [0, 1], one row per finished seed; None if there is nothing to average.
        interval: seeds x episodes, or episodes only with one seed.
        episode_interval: over episodes only, as few-shot papers print it.
        bootstrap: crossed, a check on `interval`.
        problems: why the row is not what was planned, one line each.
        comparison: the best row of the setting minus this row; None for the best itself, or if nothing was compared.
        tied_with_best: best, or not shown to be worse than the best; False if nothing was compared.
        published: numbers from papers for the same task, method and size, the closest first.
        matrices: (S, E, J, I), accuracy matrices of task sequences, one row per finished seed; None for single tasks.
        ensemble: so many checkpoints of each cell were tested as one method; None for the row of the single ones.
    """

    label: str
    line: str
    task: str
    setting: tuple[Any, ...]
    setting_text: str
    axes: dict[str, Any]
    cells: tuple[CellRecord, ...]
    seeds: tuple[int, ...]
    accuracy: NDArray[np.float64] | None = field(repr=False)
    interval: Interval | None
    episode_interval: Interval | None
    bootstrap: Interval | None
    problems: tuple[str, ...]
    comparison: Comparison | None = None
    tied_with_best: bool = False
    published: tuple[Match, ...] = ()
    matrices: NDArray[np.float64] | None = field(default=None, repr=False)
    ensemble: int | None = None

    @property
    def results(self) -> list[Result]:
        """Records of the finished seeds."""
        return [cell.result for cell in self.cells if cell.state == "done" and cell.result is not None]

    @property
    def complete(self) -> bool:
        """Whether every planned seed has finished."""
        return len(self.seeds) == len(self.cells) and self.accuracy is not None

    @property
    def method(self) -> str:
        """The method's name."""
        return self.cells[0].config.method

    @property
    def name(self) -> str:
        """The method's name, which says so if it is an ensemble."""
        return self.method + (_ensemble_suffix(self.ensemble) if self.ensemble else "")

    @property
    def channels(self) -> int | None:
        """The width of the method's network, which for most methods are its channels; None if it has none."""
        return size(self.cells[0].config)

    @property
    def size_text(self) -> str:
        """The width in words, `8 channels`, or nothing."""
        return "" if self.channels is None else f"{self.channels} {short_name(size_axis(self.method))}"

    @property
    def reference(self) -> bool:
        """Whether the method sees more than a learner may: shown beside the others and never compared with them."""
        return is_reference(self.method)

    @property
    def scores(self) -> Scores:
        """What comparisons need."""
        test = self.results[0].test
        assert test is not None and self.accuracy is not None
        return Scores(self.label, self.accuracy, self.seeds, test.sha256)


def task_text(cell: CellRecord) -> str:
    """The task in the field's words: `Omniglot 20-way 1-shot`."""
    dataset = cell.config.dataset.name
    shape = cell.config.test_episodes
    unlabelled = f" +{shape.unlabelled} unlabelled" if shape.unlabelled else ""
    if shape.distractors:
        unlabelled += f", {shape.distractors} distractor classes"
    # What else the grid varies about the data or the test, so that no two tasks have the same name.
    count = "parts" if shape.scenario == "mini-batch" else "tasks"
    sequence = f", {shape.tasks} {count}, {shape.scenario}" if shape.tasks > 1 else ""
    told = (
        "dataset.name",
        *(f"episodes.{name}" for name in ("ways", "shots", "unlabelled", "distractors", "tasks", "scenario")),
    )
    varied = [axis for axis in cell.axes if axis.startswith(("dataset.", "episodes.", "test.")) and axis not in told]
    others = "".join(f", {short_name(axis)} {cell.axes[axis]}" for axis in varied if cell.axes[axis] is not None)
    return f"{DATASET_NAMES.get(dataset, dataset)} {shape.ways}-way {shape.shots}-shot{unlabelled}{sequence}{others}"


def short_name(axis: str) -> str:
    """An axis as a column title: `model.channels` is `channels`."""
    return axis.rpartition(".")[2].replace("_", " ")


def make_rows(record: Record) -> list[Row]:
    """One row per combination of all axes but the seed, in the order of the grid, each compared within its setting.

    Ensembles of checkpoints get a row of their own below, and are compared among themselves.
    """
    groups: dict[str, list[CellRecord]] = {}
    for cell in record.cells:
        groups.setdefault(cell.config.model_copy(update={"seed": 0}).key, []).append(cell)
    sizes_apart = "method" in record.axes
    rows = []
    for cells in groups.values():
        row = _row(sorted(cells, key=lambda cell: cell.config.seed), record, sizes_apart)
        rows += [row, *_ensemble_rows(row, record)]
    return _compared(rows)


def settings(rows: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Rows by setting, in order of appearance."""
    found: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(row.setting, []).append(row)
    return found


def _row(cells: list[CellRecord], record: Record, sizes_apart: bool) -> Row:
    first = cells[0]
    axes = {axis: value for axis, value in first.axes.items() if axis != "seed"}
    done = [cell for cell in cells if cell.state == "done"]
    problems = _problems(cells)
    seeds = tuple(cell.config.seed for cell in done)
    matrix = matrices = None
    if len({_episodes(cell) for cell in done}) > 1:
        problems.append("seeds were tested on different episodes and are not averaged; run the older ones again")
        seeds = ()
    elif done:
        matrix = np.stack([record.accuracy[cell.key] for cell in done]).astype(np.float64)
        if all(cell.key in record.matrices for cell in done):
            matrices = np.stack([record.matrices[cell.key] for cell in done]).astype(np.float64)
    width = size(first.config) if sizes_apart else None
    # The ensemble does not change the episodes; where it is an axis, its values are kept apart.
    test = first.config.test.model_dump_json(exclude=set() if "test.ensemble" in axes else {"ensemble"})
    task = "".join((first.config.dataset.model_dump_json(), first.config.episodes.model_dump_json(), test))
    row = Row(
        label=_label(first, axes, width=not sizes_apart),
        line=_label(first, axes, width=False),
        task=task,
        setting=(task, width),
        setting_text=task_text(first),
        axes=axes,
        cells=tuple(cells),
        seeds=seeds,
        accuracy=None,
        interval=None,
        episode_interval=None,
        bootstrap=None,
        problems=tuple(problems),
        matrices=matrices,
    )
    if width is not None:
        row = replace(row, setting_text=f"{row.setting_text}, {row.size_text}")
    return _with_accuracy(row, matrix)


def _with_accuracy(row: Row, accuracy: NDArray[np.float64] | None) -> Row:
    """The row with these accuracies, their intervals and the published numbers beside them."""
    if accuracy is not None:
        row = replace(
            row,
            accuracy=accuracy,
            interval=primary_interval(accuracy),
            episode_interval=episode_interval(accuracy),
            bootstrap=crossed_bootstrap(accuracy),
        )
    return replace(row, published=tuple(find_published(row.cells[0].config, row.interval)))


def _ensemble_rows(row: Row, record: Record) -> list[Row]:
    """The row of the same cells' ensembles, if the grid asks for them and the method has anything to train."""
    size = row.cells[0].config.test.ensemble
    done = [cell for cell in row.cells if cell.config.seed in row.seeds and cell.state == "done"]
    made = [cell.result.ensemble for cell in done if cell.result and cell.result.ensemble]
    if size is None or len(made) < len(done):
        return []
    short = sorted({len(one.steps) for one in made} - {size})
    problems = [f"only {', '.join(map(str, short))} checkpoints" for _ in short[:1]]
    suffix = _ensemble_suffix(size)
    together = replace(
        row,
        label=row.label + suffix,
        line=row.line + suffix,
        setting=(*row.setting, size),
        setting_text=f"{row.setting_text}, ensembles of {size}",
        accuracy=None,
        interval=None,
        episode_interval=None,
        bootstrap=None,
        problems=(*row.problems, *problems),
        matrices=None,
        ensemble=size,
    )
    matrix = np.stack([record.ensembles[cell.key] for cell in done]).astype(np.float64) if done else None
    return [_with_accuracy(together, matrix)]


def _ensemble_suffix(size: int) -> str:
    return f" · ensemble of {size}"


def _label(cell: CellRecord, axes: dict[str, Any], *, width: bool) -> str:
    """The method and its values on the axes that are about methods or training."""
    hidden = None if width else f"model.{size_axis(cell.config.method)}"
    shown = (axis for axis in axes if axis.startswith(("model.", "train.")) and axis != hidden)
    options = [f"{short_name(axis)} {axes[axis]}" for axis in shown if axes[axis] is not None]
    return ", ".join([cell.config.method, *options])


def _problems(cells: list[CellRecord]) -> list[str]:
    """Why cells have no numbers: `seeds 1, 2 missing`, `seed 0 crashed: ...`."""
    seeds: dict[str, list[str]] = {}
    for cell in cells:
        failure = cell.result.failure if cell.result else None
        if cell.state != "done" or cell.note:
            reason = (
                f"{failure.kind}: {failure.reason}" if failure else ": ".join(filter(None, (cell.state, cell.note)))
            )
            seeds.setdefault(reason, []).append(str(cell.config.seed))
    return [f"seed{'s' * (len(of) > 1)} {', '.join(of)} {reason}" for reason, of in seeds.items()]


def _episodes(cell: CellRecord) -> str | None:
    return cell.result.test.sha256 if cell.result and cell.result.test else None


def _compared(rows: list[Row]) -> list[Row]:
    """Rows with their comparison to the best of their setting."""
    compared = {id(row): row for row in rows}
    for group in settings(rows).values():
        with_numbers = [row for row in group if row.accuracy is not None and not row.reference]
        if len(with_numbers) < 2:
            continue
        ranked = sorted(with_numbers, key=lambda row: -row.interval.mean if row.interval else 0.0)
        try:
            comparisons = compare_with_best([row.scores for row in ranked])
        except NotComparableError as error:
            for row in ranked:
                compared[id(row)] = replace(row, problems=(*row.problems, f"not compared: {error}"))
            continue
        compared[id(ranked[0])] = replace(ranked[0], tied_with_best=True)
        for row, comparison in zip(ranked[1:], comparisons, strict=True):
            compared[id(row)] = replace(row, comparison=comparison, tied_with_best=comparison.tied)
    return [compared[id(row)] for row in rows]
