"""Run directories with made-up numbers, and what MLflow holds of them."""

import json
from typing import Any

import numpy as np
import pytest

from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.result import Data, Model, Provenance, Result, TestScore, Training
from benchmark.grid import Grid

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")
from mlflow import MlflowClient
from mlflow.entities import Run

START = 1_790_000_000.0


def cells_of(grid: Grid, experiment: ExperimentFolder) -> list[CellFolder]:
    return [experiment.cell(config) for config in grid.cells]


def train(cell: CellFolder, steps: range, start: float = START) -> None:
    """Records as training writes them, and a checkpoint."""
    with cell.metrics_file.open("a") as file:
        for step in steps:
            numbers = {"train/loss": 1 / step, "val/accuracy": 1 - 1 / step, "time/train_s": step / 7}
            file.write(json.dumps({"step": step, **numbers, "time": start + step}) + "\n")
    cell.last_checkpoint.write_bytes(b"state")


def result_of(cell: CellFolder, **parts: Any) -> Result:
    config = cell.config()
    return Result(key=config.key, config=config.model_dump(mode="json"), **parts)


def score(cell: CellFolder, steps: int) -> np.ndarray:
    """A finished cell's record; returns the accuracies (30,) of its test episodes."""
    accuracy = np.random.default_rng(cell.config().seed).integers(0, 13, 30).astype(np.float32) / 12
    result = result_of(
        cell,
        test=TestScore(accuracy=float(accuracy.mean(dtype="float64")), episodes=30, sha256="e" * 64),
        training=Training(
            steps=steps,
            episodes=4 * steps,
            seconds=steps / 7,
            wall_seconds=steps / 6,
            episodes_per_second=28.0,
            best_step=steps,
            best_validation_accuracy=1 - 1 / steps,
        ),
        data=Data(name="glyphs", sha256="d" * 64),
        model=Model(parameters=1234, solver_parameters=56, transductive=False),
        provenance=Provenance(
            commit="c" * 40,
            uncommitted_changes=False,
            versions={},
            hardware={},
            device="cpu",
            started="2026-09-21T14:13:00+00:00",
            finished="2026-09-21T15:00:00+00:00",
        ),
    )
    cell.write_result(result, accuracy)
    return accuracy


def runs(uri: str, kind: str = "cell", name: str = "small") -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


def run_of(uri: str, cell: CellFolder) -> Run:
    [run] = [run for run in runs(uri) if run.data.tags["cell.key"] == cell.config().key]
    return run


def curve(uri: str, run: Run, name: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in MlflowClient(uri).get_metric_history(run.info.run_id, name))


def content(uri: str, name: str = "small") -> dict[str, Any]:
    """All MLflow holds on cells and means, without its own identifiers and without which launch is the parent."""
    client = MlflowClient(uri)
    found = {}
    for run in runs(uri, name=name) + runs(uri, "aggregate", name):
        tags = {tag: value for tag, value in run.data.tags.items() if tag != "mlflow.parentRunId"}
        histories = {
            metric: sorted((m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, metric))
            for metric in run.data.metrics
        }
        artifacts = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        assert run.inputs is not None
        used = sorted((one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs)
        shown = (run.info.status, run.info.end_time, run.data.params, tags, histories, artifacts, used)
        found[run.info.run_name] = shown
    return found


def failing(message: str) -> None:
    raise AssertionError(f"unexpected warning: {message}")
