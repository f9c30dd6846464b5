"""Trials in MLflow: one run each under the run of the launch, as they are proposed."""

from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.grid import Grid
from benchmark.tracking import FollowingMirror
from benchmark.tuning import trials
from benchmark.tuning.search import Search
from tests.benchmark.tracking.mirrored import failing
from tests.benchmark.tuning.in_this_process import InThisProcess

pytest.importorskip("optuna", reason="pip install 'htbench[tune]'")
pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")
from mlflow import MlflowClient

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")


@pytest.mark.parametrize("mirrored", ["while they run", "when all is done"])
def test_every_trial_is_a_run(
    uri: str, grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirrored: str
) -> None:
    monkeypatch.setattr(trials, "execute", InThisProcess())
    experiment = ExperimentFolder(tmp_path / "runs" / "small-tuning")
    settings = grid.tune.model_copy(update={"trials": 5, "steps": 2})

    def tuned(mirror: FollowingMirror | None) -> Search:
        [search] = searches = trials.searches_of(grid, settings)
        trials.Tuning(grid, searches, experiment, lambda search, trial: None).run(
            workers=1, device="cpu", mirror=mirror
        )
        return search

    if mirrored == "when all is done":
        tuned(None)
    mirror = FollowingMirror(uri, grid, experiment, warn=failing)
    search = tuned(mirror)
    mirror.finish()
    mirror.enrich()

    client = MlflowClient(uri)
    found = client.get_experiment_by_name("small-tuning")
    assert found is not None
    runs = client.search_runs([found.experiment_id])
    [launch] = [run for run in runs if run.data.tags["kind"] == "launch"]
    cells = {run.data.tags["cell.key"]: run for run in runs if run.data.tags["kind"] == "cell"}
    assert len(runs) == 6 and len(search.trials) == 5
    for trial in search.trials:
        run = cells[trial.config.key]
        assert run.data.tags["mlflow.parentRunId"] == launch.info.run_id
        assert run.data.metrics["val/best_accuracy"] == pytest.approx(trial.accuracy)
        assert "test/accuracy" not in run.data.metrics
        assert float(run.data.params["train.learning_rate"]) == trial.point["train.learning_rate"]
        assert run.info.status == "FINISHED"
        assert {file.path for file in client.list_artifacts(run.info.run_id)} <= {
            "cell.json",
            "origin.json",
            "result.json",
        }
    assert launch.info.status == "FINISHED"
