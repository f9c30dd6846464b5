"""Rows: cells that differ in nothing but the seed, aggregated and compared."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmark.cells.config import FurtherTest
from benchmark.cells.declared import size, size_axis
from benchmark.cells.further import LAKE
from benchmark.reporting.further_rows import further_tests, tested_so, trained_suffix, trained_text
from benchmark.reporting.labels import label_of, natural_place, short_name
from benchmark.reporting.record import CellRecord, Record
from benchmark.reporting.row import Row, ensemble_suffix, settings
from benchmark.reporting.seed_variance import Widths, fallen, group_of, task_of, widths_of
from benchmark.reporting.standings import judge
from benchmark.statistics import crossed_bootstrap, episode_interval

__all__ = ["Row", "make_rows", "settings", "short_name", "task_text"]

DATASET_NAMES = {
    "omniglot": "Omniglot",
    "mini_imagenet": "mini-ImageNet",
    "tiered_imagenet": "tiered-ImageNet",
    "lake-oneshot": "Lake's one-shot runs",
}


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
        "dataset.domains",
        *(f"episodes.{name}" for name in ("ways", "shots", "unlabelled", "distractors", "tasks", "scenario")),
    )
    varied = [axis for axis in cell.axes if axis.startswith(("dataset.", "episodes.", "test.")) and axis not in told]
    others = "".join(f", {short_name(axis)} {cell.axes[axis]}" for axis in varied if cell.axes[axis] is not None)
    named = f"{DATASET_NAMES.get(dataset, dataset)}{cell.config.dataset.suffix}"
    return f"{named} {shape.ways}-way {shape.shots}-shot{unlabelled}{sequence}{others}"


def make_rows(record: Record) -> list[Row]:
    """One row per combination of all axes but the seed, each compared within its setting.

    They are in the order of the grid, but numbers ascend: 4, 8, 16 channels, however the grid lists them.
    Ensembles of checkpoints get a row of their own below, and are compared among themselves; so do the episodes of each
    domain, where there are several.
    """
    groups: dict[str, list[CellRecord]] = {}
    for cell in record.cells:
        groups.setdefault(cell.config.model_copy(update={"seed": 0}).key, []).append(cell)
    widths: Widths = {}
    if "method" in record.axes:
        configs = [cell.config for cell in record.cells]
        widths = widths_of(configs, ensembles_apart="test.ensemble" in record.axes)
    rows = []
    for cells in sorted(groups.values(), key=lambda cells: natural_place(cells[0].axes, record.axes)):
        row = _row(sorted(cells, key=lambda cell: cell.config.seed), record, widths)
        rows += [row, *_domain_rows(row, record), *_ensemble_rows(row, record)]
    own = {cell.key: cell for cell in record.cells}
    trainings = {row.cells[0].key: row.cells for row in rows}  # of which some have several rows
    for test in further_tests(record):
        rows += _further_rows(record, test, list(trainings.values()), own, widths)
    return judge(rows)


def _further_rows(
    record: Record,
    test: FurtherTest,
    groups: Sequence[Sequence[CellRecord]],
    own: Mapping[str, CellRecord],
    widths: Widths,
) -> list[Row]:
    """One row per group of seeds in which somebody has the test."""
    tested = tested_so(record, test, groups)
    of_test = widths_of(cell.config for cell in tested.cells) if "method" in record.axes else {}
    together = {task: widths.get(task, set()) | found for task, found in of_test.items()}
    members: dict[str, list[CellRecord]] = {}
    for cell in tested.cells:
        trained = own[cell.key.partition("-")[0]].config
        members.setdefault(trained.model_copy(update={"seed": 0}).key, []).append(cell)
    rows = []
    for cells in members.values():
        row, before = _row(cells, tested, together), own[cells[0].key.partition("-")[0]]
        suffix = trained_suffix(before, cells[0])
        setting = row.setting if test.step is None else (*row.setting, test.step)
        kind = ", ".join(filter(None, (row.group.kind, f"test {test.name}"))) if row.group else ""
        rows.append(
            replace(
                row,
                label=row.label + suffix,
                line=row.line + suffix,
                setting=setting,
                setting_text=row.setting_text + trained_text(before, test, further_tests(record)),
                test=test.name if test.step is None else f"{test.name} after {test.step:,} steps",
                as_error=test.dataset.name == LAKE,
                group=replace(row.group, kind=kind) if row.group else None,
            )
        )
    return rows


def _row(cells: list[CellRecord], record: Record, widths: Widths) -> Row:
    first = cells[0]
    axes = {axis: value for axis, value in first.axes.items() if axis != "seed"}
    problems = _problems(cells)
    done = []
    for cell in (cell for cell in cells if cell.state == "done"):
        wrong = int((~np.isfinite(record.accuracy[cell.key])).sum())
        if wrong:
            problems.append(f"seed {cell.config.seed} has {wrong} test accuracies that are not finite; run it again")
        else:
            done.append(cell)
    seeds = tuple(cell.config.seed for cell in done)
    matrix = matrices = None
    if len({_episodes(cell) for cell in done}) > 1:
        problems.append("seeds were tested on different episodes and are not averaged; run the older ones again")
        seeds = ()
    elif done:
        matrix = np.stack([record.accuracy[cell.key] for cell in done]).astype(np.float64)
        if all(cell.key in record.matrices for cell in done):
            matrices = np.stack([record.matrices[cell.key] for cell in done]).astype(np.float64)
    # The ensemble does not change the episodes; where it is an axis, its values are kept apart.
    task = task_of(first.config, ensembles_apart="test.ensemble" in axes)
    of_task = widths.get(task, set())
    sizes_apart = len(of_task) > 1
    width = size(first.config)
    row = Row(
        label=_label(first, record, width="method" not in record.axes),
        line=_label(first, record, width=False),
        task=task,
        setting=(task, ("any" if width is None else width) if sizes_apart else None),
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
        group=group_of(first.config, of_task),
    )
    if "method" in record.axes and (width is not None or sizes_apart):
        row = replace(row, setting_text=f"{row.setting_text}, {row.size_text or 'any width'}")
    return _with_accuracy(row, matrix)


def _with_accuracy(row: Row, accuracy: NDArray[np.float64] | None) -> Row:
    """The row with these accuracies and what they say without the other rows."""
    if accuracy is None:
        return row
    return replace(
        row,
        accuracy=accuracy,
        collapsed=fallen(accuracy, row.cells[0].config),
        episode_interval=episode_interval(accuracy).within(0, 1),
        bootstrap=crossed_bootstrap(accuracy),
    )


def _ensemble_rows(row: Row, record: Record) -> list[Row]:
    """The row of the same cells' ensembles, if the grid asks for them and the method has anything to train."""
    size = row.cells[0].config.test.ensemble
    done = [cell for cell in row.cells if cell.config.seed in row.seeds and cell.state == "done"]
    made = [cell.result.ensemble for cell in done if cell.result and cell.result.ensemble]
    if size is None or len(made) < len(done):
        return []
    short = sorted({len(one.steps) for one in made} - {size})
    problems = [f"only {', '.join(map(str, short))} checkpoints" for _ in short[:1]]
    suffix = ensemble_suffix(size)
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
        collapsed=(),
        group=replace(row.group, ensemble=size) if row.group else None,
    )
    matrix = np.stack([record.ensembles[cell.key] for cell in done]).astype(np.float64) if done else None
    return [_with_accuracy(together, matrix)]


def _domain_rows(row: Row, record: Record) -> list[Row]:
    """Rows of the same trainings on the test episodes of each domain, if all its cells say which these are."""
    done = [cell for cell in row.cells if cell.config.seed in row.seeds and cell.state == "done"]
    tests = [cell.result.test for cell in done if cell.result and cell.result.test]
    names = tests[0].domains if tests else ()
    if row.accuracy is None or len(names) < 2 or any(cell.key not in record.domains for cell in done):
        return []
    places = record.domains[done[0].key]  # the same for all, as their test episodes are
    whole = task_text(row.cells[0])
    rows = []
    for place, name in enumerate(domain.name for domain in names):
        apart = replace(
            row,
            task=f"{row.task}:{name}",
            setting=(*row.setting, name),
            setting_text=f"{whole}, {name} tasks{row.setting_text[len(whole) :]}",
            accuracy=None,
            interval=None,
            episode_interval=None,
            bootstrap=None,
            matrices=None,
            domain=name,
            collapsed=(),
            group=replace(row.group, domain=name) if row.group else None,
        )
        rows.append(_with_accuracy(apart, row.accuracy[:, places == place]))
    return rows


def _label(cell: CellRecord, record: Record, *, width: bool) -> str:
    """The method and its values on the axes that are about methods or training."""
    hidden = None if width else f"model.{size_axis(cell.config.method)}"
    told = {
        axis: value for axis, value in cell.axes.items() if axis.startswith(("model.", "train.")) and axis != hidden
    }
    return label_of(cell.config.method, told, record.axes)


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
