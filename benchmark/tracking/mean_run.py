"""What MLflow should say about a setting: its mean over seeds, with the interval that the report prints."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.cells import metrics
from benchmark.cells.config import CellConfig
from benchmark.cells.declared import is_reference
from benchmark.cells.folder import CellFolder
from benchmark.cells.result import Result
from benchmark.reporting.seed_variance import Group, fallen, group_of, prior_of_means, task_of, widths_of
from benchmark.statistics import Prior, primary_interval
from benchmark.tracking.cell_run import Point, RunFacts, params, protocol, setting_tags, time_span


@dataclass(frozen=True)
class _Member:
    cell: CellFolder
    config: CellConfig
    result: Result
    accuracy: NDArray[np.floating]


def aggregate_facts(cells: Iterable[CellFolder], axes: Iterable[str]) -> list[RunFacts]:
    """One run per setting that has a finished seed; only seeds tested on the same episodes are put together.

    Intervals are those of a report on the same cells. Cells with accuracies that are not finite are left out.
    """
    settings: dict[str, list[_Member]] = {}
    for cell in cells:
        config, result = cell.config(), cell.result()
        if result is not None and result.test is not None and np.isfinite(accuracy := cell.test_accuracy()).all():
            setting = f"{config.model_copy(update={'seed': 0}).key} {result.test.sha256}"
            settings.setdefault(setting, []).append(_Member(cell, config, result, accuracy))
    axes = [axis for axis in axes if axis != "seed"]
    matrices = {setting: np.stack([member.accuracy for member in members]) for setting, members in settings.items()}
    firsts = {setting: members[0].config for setting, members in settings.items()}
    # As in a report, where rows of one task are set apart by width if methods are compared.
    widths = widths_of(firsts.values()) if "method" in axes else {}
    groups: dict[Group, list[str]] = {}
    for setting, config in firsts.items():
        if not is_reference(config.method) and not any(fallen(matrices[setting], config)):
            groups.setdefault(group_of(config, widths.get(task_of(config), set())), []).append(setting)
    priors = {one: prior for of in groups.values() for prior in [prior_of_means(matrices[s] for s in of)] for one in of}
    return [
        _aggregate(setting, members, axes, matrices[setting], priors.get(setting))
        for setting, members in settings.items()
    ]


def _aggregate(
    setting: str, members: list[_Member], axes: list[str], accuracy: NDArray[np.floating], prior: Prior | None
) -> RunFacts:
    config = members[0].config
    interval = primary_interval(accuracy, prior).within(0, 1)
    spans = [time_span(member.cell) for member in members]
    ended = max(end for _, end in spans)
    values: dict[str, float] = {
        "seeds": interval.seeds,
        metrics.TEST_ACCURACY: interval.mean,
        metrics.TEST_ACCURACY_LOW: interval.low,
        metrics.TEST_ACCURACY_HIGH: interval.high,
    }
    trainings = [member.result.training for member in members if member.result.training]
    if all(training.steps for training in trainings):
        best = [training.best_validation_accuracy for training in trainings]
        values[metrics.BEST_VALIDATION_ACCURACY] = float(np.mean(best))
        values[metrics.TRAIN_SECONDS] = float(np.mean([training.seconds for training in trainings]))
    varying = params(config, axes)
    note = (
        f"**{config.method}** on {config.data_name}, {protocol(config)}: {interval.mean:.2%}, 95 % interval"
        f" {interval.low:.2%} to {interval.high:.2%}"
        f" ({interval.kind}; {interval.seeds} seeds x {interval.episodes} episodes)"
    )
    identity = {"kind": "aggregate", "aggregate.key": hashlib.sha256(setting.encode()).hexdigest()[:12]}
    return RunFacts(
        name=" ".join(["mean", config.method, *(f"{k}={v}" for k, v in varying.items() if k != "method")]),
        tags=identity | setting_tags(config) | {"mlflow.note.content": note},
        params=varying,
        status="FINISHED",
        started=min(start for start, _ in spans),
        ended=ended,
        final=[Point(name, float(value), 0, ended) for name, value in values.items()],
    )
