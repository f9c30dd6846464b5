"""Trained cells in MLflow: as models that its own command serves, and with figures of what a HyperTransformer does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.execution.cell import run
from benchmark.grid import Grid, read_grid
from benchmark.tracking import sync
from benchmark.trained.pictures import read_queries, read_support
from benchmark.trained.prediction import classify
from benchmark.trained.run import load_run
from tests.benchmark.helpers import ROOT, write_grid
from tests.benchmark.tracking.mirrored import curve, run_of, runs
from tests.benchmark.trained_runs import hand_made_folders

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")
from mlflow import MlflowClient

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Grid, ExperimentFolder]:
    """A learner of the user's own, and a HyperTransformer, both trained for a moment."""
    train = {"batch": 2, "steps": 2, "validate_every": 2, "validation_episodes": 4}
    axes = {"method": ["linear-mean", "ht-logits"]}
    grid = read_grid(write_grid(tmp_path, grid=axes, train=train, test={"episodes": 64}))
    experiment = ExperimentFolder(tmp_path / "runs")
    for config in grid.cells:
        cell = experiment.cell(config)
        cell.create(config)
        assert run(cell, "cpu").state == "done"
    return grid, experiment


def test_models_datasets_and_figures(uri: str, trained: tuple[Grid, ExperimentFolder], tmp_path: Path) -> None:
    grid, experiment = trained
    sync(experiment, grid, uri)
    own, hyper = (experiment.cell(config) for config in grid.cells)
    client = MlflowClient(uri)

    result = hyper.result()
    assert result is not None and result.data is not None and result.test is not None
    mlflow_run = run_of(uri, hyper)
    assert mlflow_run.inputs is not None and mlflow_run.outputs is not None
    used = {one.tags[0].value: one.dataset for one in mlflow_run.inputs.dataset_inputs}
    assert used.keys() == {"train", "validation", "test"}
    assert result.data.sha256.startswith(used["train"].digest) and len(used["train"].digest) >= 8
    assert result.test.sha256.startswith(used["test"].digest)
    assert used["test"].digest != used["train"].digest
    assert json.loads(used["test"].profile or "")["episodes"] == 64

    drawn = {file.path for file in client.list_artifacts(mlflow_run.info.run_id, "inspect")}
    assert {"inspect/attention.png", "inspect/weights.svg", "inspect/variation.png"} <= drawn
    assert not client.list_artifacts(run_of(uri, own).info.run_id, "inspect")

    support, query = hand_made_folders(tmp_path / "hand", classes=3, queries=2)
    # Served by MLflow's own command, in a process that knows neither the grid nor the run directory.
    model_id = mlflow_run.outputs.model_outputs[0].model_id
    model = client.get_logged_model(model_id)
    assert model.status.value == "READY"
    assert {metric.key: metric.value for metric in model.metrics or []}["test/accuracy"] == round(
        result.test.accuracy, 4
    )
    measured_on = {metric.key: (metric.dataset_name, metric.dataset_digest) for metric in model.metrics or []}
    assert measured_on["test/accuracy"] == (used["test"].name, used["test"].digest)
    assert measured_on["val/best_accuracy"] == (used["validation"].name, used["validation"].digest)
    for name in ("test/accuracy", "val/best_accuracy"):  # the model's numbers are no further points of the run
        assert [step for step, _ in curve(uri, mlflow_run, name)] == [2]
    assert mlflow_run.data.metrics["system/memory_usage_megabytes"] > 50
    (tmp_path / "task.json").write_text(json.dumps({"inputs": task(hyper, support, query)}))
    expected = [p.probabilities for p in classify(load_run(hyper.folder), support, query).predictions]
    (tmp_path / "elsewhere").mkdir()
    command = [sys.executable, "-m", "mlflow", "models", "predict", "-m", f"models:/{model_id}"]
    command += ["-i", str(tmp_path / "task.json"), "-o", str(tmp_path / "out.json")]
    command += ["-t", "json", "--env-manager", "local"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MLFLOW_TRACKING_URI": uri}
    done = subprocess.run(command, cwd=tmp_path / "elsewhere", env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    logits = np.array(json.loads((tmp_path / "out.json").read_text())["predictions"])
    np.testing.assert_allclose(softmax(logits, axis=1), [list(p.values()) for p in expected], atol=1e-5)

    # Twice the same: no second model, no second run.
    before = {run.info.run_id: run.to_dictionary() for run in runs(uri)}
    sync(experiment, grid, uri)
    assert {run.info.run_id: run.to_dictionary() for run in runs(uri)} == before
    assert len(client.search_logged_models([mlflow_run.info.experiment_id])) == 2


def test_model_brings_its_plugin(trained: tuple[Grid, ExperimentFolder], tmp_path: Path) -> None:
    """The user's file is in the model: where it is loaded, the grid's folder may be gone."""
    from benchmark.tracking.models import write_model

    grid, experiment = trained
    own = experiment.cell(grid.cells[0])
    write_model(own, tmp_path / "model")
    support, query = hand_made_folders(tmp_path / "hand", classes=3, queries=1)
    inputs = task(own, support, query)
    expected = [list(p.probabilities.values()) for p in classify(load_run(own.folder), support, query).predictions]
    (tmp_path / "my_methods.py").unlink()
    (tmp_path / "task.json").write_text(json.dumps(inputs))
    code = """
import json, sys
import numpy as np
from mlflow import pyfunc
inputs = {name: np.array(values) for name, values in json.load(open(sys.argv[2])).items()}
types = {"support_images": "float32", "query_images": "float32", "support_labels": "int64"}
model = pyfunc.load_model(sys.argv[1])
print(json.dumps(model.predict({n: v.astype(types[n]) for n, v in inputs.items()}).tolist()))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "model", tmp_path / "task.json"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(softmax(json.loads(done.stdout), axis=1), expected, atol=1e-5)


def task(cell: CellFolder, support: Path, query: Path) -> dict[str, object]:
    """One task as the model's signature has it."""
    trained = load_run(cell.folder)
    shown, asked = read_support(trained, support, "auto"), read_queries(trained, query, "auto")
    return {
        "support_images": shown.images.tolist(),
        "support_labels": shown.labels.tolist(),
        "query_images": asked.images.tolist(),
    }
