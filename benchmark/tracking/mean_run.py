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
from benchmark.tracking.appearance import Appearance, setting_key
from benchmark.tracking.cell_run import Point, RunFacts, params, protocol, rounded, setting_tags, time_span
from benchmark.tracking.one_run_per_key import key_tag


@dataclass(frozen=True)
class _Member:
    cell: CellFolder
    config: CellConfig
    result: Result
    accuracy: NDArray[np.floating]


def aggregate_facts(cells: Iterable[CellFolder], axes: Iterable[str], appearance: Appearance) -> list[RunFacts]:
    """One run per setting that has a finished seed; only seeds tested on the same episodes are put together.

    Intervals are those of a report on the same cells. Cells with accuracies that are not finite are left out.
    """
    settings: dict[str, list[_Member]] = {}
    for cell in cells:
        config, result = cell.config(), cell.result()
        if result is not None and result.test is not None and np.isfinite(accuracy := cell.test_accuracy()).all():
            setting = f"{setting_key(config)} {result.test.sha256}"
            settings.setdefault(setting, []).append(_Member(cell, config, result, accuracy))
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
        _aggregate(setting, members, appearance, matrices[setting], priors.get(setting))
        for setting, members in settings.items()
    ]


def _aggregate(
    setting: str,
    members: list[_Member],
    appearance: Appearance,
    accuracy: NDArray[np.floating],
    prior: Prior | None,
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
    note = (
        f"**{config.method}** on {config.data_name}, {protocol(config)}: {interval.mean:.2%}, 95 % interval"
        f" {interval.low:.2%} to {interval.high:.2%}"
        f" ({interval.kind}; {interval.seeds} seeds x {interval.episodes} episodes)"
    )
    alike = [params(member.config, member.result) for member in members]
    shared = {name: value for name, value in alike[0].items() if all(one.get(name) == value for one in alike)}
    identity = {"kind": "aggregate", key_tag("aggregate"): hashlib.sha256(setting.encode()).hexdigest()[:12]}
    return RunFacts(
        name=appearance.mean_name(config, interval.seeds),
        tags=identity | setting_tags(config) | {"mlflow.note.content": note},
        params={name: value for name, value in shared.items() if name != "seed"},
        status="FINISHED",
        started=min(start for start, _ in spans),
        ended=ended,
        final=[Point(name, rounded(value), 0, ended) for name, value in values.items()],
        # Of other seeds it is another mean, not a later one.
        attempt=hashlib.sha256(" ".join(sorted(m.config.key for m in members)).encode()).hexdigest()[:12],
        colour=appearance.colour(config),
    )
