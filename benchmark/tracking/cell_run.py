"""What MLflow should say about a cell, read from disk. Nothing here knows MLflow."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from benchmark.cells import metrics
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, State
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.options import default_options
from benchmark.cells.result import Result
from benchmark.grid.axes import show
from benchmark.statistics import Interval, episode_interval
from benchmark.tracking.appearance import Appearance
from methods import registry

Status = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]

# In characters; MLflow cuts a tag at 8000.
_REASON_LENGTH = 500
_TRACEBACK_LENGTH = 5000
_DIGEST_LENGTH = 12  # MLflow takes 36 and prints them in full wherever it names a dataset
_LOG_BYTES = 200_000
_PARAM_LENGTH = 6000  # MLflow refuses more

# MLflow's own names, and ours for what is bookkeeping: its interface shows no tag that begins with "mlflow.".
COMMIT = "mlflow.source.git.commit"
EPISODES = "mlflow.htbench.episodes_sha256"
CELL_STATE = "mlflow.htbench.state"


@dataclass(frozen=True)
class Point:
    """One value of a metric; `step` counts optimiser steps, `time` is in milliseconds since the epoch."""

    name: str
    value: float
    step: int
    time: int


@dataclass(frozen=True)
class DatasetFacts:
    """One split as a run used it.

    Attributes:
        name: dataset and split.
        digest: the beginning of a SHA-256: of all images for training and validation, of the frozen episodes for test.
        context: the split.
        profile: what else is known of it.
    """

    name: str
    digest: str
    context: Literal["train", "validation", "test"]
    profile: dict[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """A run as MLflow should show it.

    Attributes:
        name: as listed in the interface.
        tags: what to filter by, and the summary at the top of the run's page.
        params: every setting.
        status: MLflow's word for the state.
        started: milliseconds since the epoch.
        ended: the same; None while the run is not over.
        curve: values over training, at most one for each name and step.
        final: values of a finished run.
        datasets: what a finished run was trained, chosen and tested on.
        attempt: differs once a cell was started again from nothing; "" before its first record.
        colour: that it is drawn in, as `#0072B2`.
    """

    name: str
    tags: dict[str, str]
    params: dict[str, str]
    status: Status
    started: int
    ended: int | None
    curve: list[Point] = field(default_factory=list)
    final: list[Point] = field(default_factory=list)
    datasets: list[DatasetFacts] = field(default_factory=list)
    attempt: str = ""
    colour: str | None = None


def cell_facts(cell: CellFolder, state: State, appearance: Appearance) -> RunFacts:
    """What there is to say about a cell in this state."""
    config, records = cell.config(), cell.metrics()
    result = cell.result() if state in ("done", "failed") else None
    interval = episode_interval(cell.test_accuracy()[None]) if result and result.test else None
    status = _status(state, records)
    reason = _reason(status, records, result)
    started, ended = time_span(cell)
    tags = {"kind": "cell", "cell.key": config.key, CELL_STATE: state, **setting_tags(config)}
    if reason:
        tags["status.reason"] = reason
    if result and result.test:
        tags[EPISODES] = result.test.sha256
    if result and result.provenance:
        tags["device"] = result.provenance.device
        if result.provenance.commit:
            tags[COMMIT] = result.provenance.commit
    return RunFacts(
        name=appearance.cell_name(config),
        tags=tags | {"mlflow.note.content": _note(config, state, reason, result, interval)},
        params=params(config, result),
        status=status,
        started=started,
        ended=None if status in ("SCHEDULED", "RUNNING") else ended,
        curve=_curve(records, ended),
        final=_final(result, interval, ended),
        datasets=_datasets(config, result),
        attempt=hashlib.sha256(records[0].to_json().encode()).hexdigest()[:12] if records else "",
        colour=appearance.colour(config),
    )


def cell_artifacts(cell: CellFolder) -> dict[str, bytes]:
    """The files to keep with a cell's run, named as in its folder: all a report needs, and the end of the log.

    Metrics are kept as such, weights as a model.
    """
    files = sorted([*cell.folder.glob("*.json"), *cell.folder.glob("*.npy")])
    contents = {path.name: path.read_bytes() for path in files}
    if cell.log_file.exists():
        contents[cell.log_file.name] = cell.log_file.read_bytes()[-_LOG_BYTES:]
    return contents


def setting_tags(config: CellConfig) -> dict[str, str]:
    """Tags that cells of one setting share, whatever their seed."""
    return {
        "method": config.method,
        "dataset": config.data_name,
        "protocol": protocol(config),
    }


def protocol(config: CellConfig) -> str:
    """As papers write it: `5-way 1-shot`, and for sequences `5-way 1-shot, 3 tasks class-incremental`."""
    shape = config.episodes
    sequence = f", {shape.tasks} tasks {shape.scenario}" if shape.tasks > 1 else ""
    return f"{shape.ways}-way {shape.shots}-shot{sequence}"


def params(config: CellConfig, result: Result | None = None) -> dict[str, str]:
    """Every setting that the cell's numbers depend on, defaults included, and what its training made of `auto`.

    Named as axes of a grid are, so that what varies is found by the name that the grid has for it.
    """
    settings = config.settings()
    method = registry.find(config.method)
    options = (default_options(method) if method else {}) | config.model
    train = settings.pop("train")
    for name in ("ways", "shots", "queries"):  # only where they differ from the tested ones
        if train.get(name) is None:
            train.pop(name, None)
    made = result.training if result and result.training and result.training.steps else None
    if train["steps"] is None and made:
        train["steps"] = made.steps
    if train["batch"] == "auto":
        train["batch"] = made.episodes // made.steps if made else None
    sections = {**settings, "model": options, "train": train}
    plain = {"method": config.method, "seed": config.seed}
    dotted = {
        f"{section}.{name}": value
        for section, values in sections.items()
        if isinstance(values, dict)
        for name, value in values.items()
        if value is not None and (section, name) != ("dataset", "path")  # which means nothing elsewhere
    }
    return {name: show(value)[:_PARAM_LENGTH] for name, value in (plain | dotted).items()}


def time_span(cell: CellFolder) -> tuple[int, int]:
    """When the cell was started and last written, in milliseconds since the epoch.

    From the records where they say so, since a copied run directory may have lost the times of its files.
    """
    files = [path.stat().st_mtime for path in cell.folder.iterdir()]
    logged = [line.time for line in cell.metrics() if line.time is not None]
    result = cell.result()
    written = result.provenance if result else None
    begun = cell.folder / "origin.json"  # written once, when training starts; its folder is made when a launch is
    begins = [*logged[:1], *([_seconds(written.started)] if written else [])]
    if not written:
        begins.append(begun.stat().st_mtime if begun.exists() else min(files))
    end = _seconds(written.finished) if written else logged[-1] if logged else max(files)
    return round(min(begins) * 1000), round(end * 1000)


def _seconds(iso: str) -> float:
    return datetime.fromisoformat(iso).timestamp()


def _status(state: State, records: list[MetricsLine]) -> Status:
    if state == "missing":
        return "KILLED" if records else "SCHEDULED"
    statuses: dict[State, Status] = {
        "running": "RUNNING",
        "done": "FINISHED",
        "failed": "FAILED",
        "interrupted": "KILLED",
    }
    return statuses[state]


def _reason(status: Status, records: list[MetricsLine], result: Result | None) -> str:
    if result and result.failure:
        return f"{result.failure.kind}: {result.failure.reason}"[:_REASON_LENGTH]
    if status == "KILLED":
        return f"interrupted after step {records[-1].step if records else 0}; htbench run continues it"
    return ""


def _curve(records: list[MetricsLine], otherwise: int) -> list[Point]:
    """The numbers of all records; of two with the same name and step the first counts, as for a live mirror."""
    points: dict[tuple[str, int], Point] = {}
    for line in records:
        time = otherwise if line.time is None else round(line.time * 1000)
        for name, value in line.values.items():
            points.setdefault((name, line.step), Point(name, _short(value), line.step, time))
    return list(points.values())


def _final(result: Result | None, interval: Interval | None, time: int) -> list[Point]:
    values: dict[str, float] = {}
    step = 0
    if result and result.test and interval:
        values |= {metrics.TEST_ACCURACY: result.test.accuracy}
        values |= {metrics.TEST_ACCURACY_LOW: interval.low, metrics.TEST_ACCURACY_HIGH: interval.high}
        if result.test.seconds_per_task is not None:
            values[metrics.TEST_SECONDS_PER_TASK] = result.test.seconds_per_task
        if result.ensemble:
            values[metrics.ENSEMBLE_ACCURACY] = result.ensemble.accuracy
    if result and result.training and result.training.steps:
        step = result.training.steps
        values[metrics.BEST_VALIDATION_ACCURACY] = result.training.best_validation_accuracy
        values[metrics.TRAIN_SECONDS] = result.training.seconds
        values[metrics.EPISODES_PER_SECOND] = result.training.episodes_per_second
    if result and result.model:
        values[metrics.PARAMETERS] = result.model.parameters
        values[metrics.SOLVER_PARAMETERS] = result.model.solver_parameters
    return [Point(name, rounded(value), step, time) for name, value in values.items()]


def rounded(value: float) -> float:
    """A result to four digits, as the interface shows all there are; whole numbers as they are."""
    return float(value) if float(value).is_integer() else float(f"{value:.4g}")


def _short(value: float) -> float:
    """A value of a curve without digits that are noise; a report made from it is the same."""
    return float(f"{value:.7g}")


def _datasets(config: CellConfig, result: Result | None) -> list[DatasetFacts]:
    if result is None or result.data is None or result.test is None:
        return []
    name, digest = result.data.name, result.data.sha256
    options = {**config.dataset.model_dump(mode="json"), "sha256": digest}
    test = {**options, "episodes": result.test.episodes, "episodes_sha256": result.test.sha256}
    return [
        DatasetFacts(f"{name} train", digest[:_DIGEST_LENGTH], "train", options),
        DatasetFacts(f"{name} validation", digest[:_DIGEST_LENGTH], "validation", options),
        DatasetFacts(f"{name} test", result.test.sha256[:_DIGEST_LENGTH], "test", test),
    ]


def _note(config: CellConfig, state: State, reason: str, result: Result | None, interval: Interval | None) -> str:
    """Markdown for the top of the run's page."""
    lines = [f"**{config.method}** on {config.data_name}, {protocol(config)}, seed {config.seed}: {state}"]
    if interval:
        low, high = f"{interval.low:.2%}", f"{interval.high:.2%}"
        lines.append(
            f"Test accuracy **{interval.mean:.2%}**, 95 % interval over {interval.episodes} episodes {low} to {high}."
        )
    if result and result.training and result.training.steps:
        training = result.training
        best = f"best validation accuracy {training.best_validation_accuracy:.2%} at step {training.best_step}"
        lines.append(f"{training.steps} steps in {training.seconds:.0f} s; {best}.")
    if reason:
        lines.append(reason)
    if result and result.failure and result.failure.traceback:
        lines.append(f"```\n{result.failure.traceback[-_TRACEBACK_LENGTH:]}\n```")
    return "\n\n".join(lines)
