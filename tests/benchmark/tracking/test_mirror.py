"""The MLflow mirror against real SQLite stores and run directories with made-up numbers."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.result import Failure
from benchmark.grid import Grid
from benchmark.statistics import two_way_interval
from benchmark.tracking import Mirror, open_mirror, sync
from tests.benchmark.tracking.mirrored import (
    START,
    cells_of,
    content,
    curve,
    failing,
    result_of,
    run_of,
    runs,
    score,
    train,
)

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")
from mlflow import MlflowClient

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")


def test_cell_is_shown_with_its_numbers(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    cell = cells_of(grid, experiment)[3]
    train(cell, range(1, 6))
    accuracy = score(cell, steps=5)
    cell.log_file.write_text("step 5\n")
    sync(experiment, grid, uri)

    run = run_of(uri, cell)
    assert run.info.status == "FINISHED"
    assert run.data.params == {"model.channels": "8", "seed": "1"}  # what varies, and nothing else
    tags = {"method": "linear-mean", "dataset": "glyphs", "protocol": "3-way 1-shot", "episodes.sha256": "e" * 64}
    assert tags.items() <= run.data.tags.items()
    # 2.0452: the 97.5 % point of Student's t with 29 degrees of freedom.
    mean, half = accuracy.mean(dtype="float64"), 2.0452 * accuracy.std(ddof=1, dtype="float64") / np.sqrt(30)
    assert run.data.metrics["test/accuracy"] == pytest.approx(mean)
    assert run.data.metrics["test/accuracy_ci_low"] == pytest.approx(mean - half, abs=1e-5)
    assert run.data.metrics["test/accuracy_ci_high"] == pytest.approx(mean + half, abs=1e-5)
    assert run.data.metrics["model/parameters"] == 1234
    assert curve(uri, run, "train/loss") == [(step, 1 / step) for step in range(1, 6)]
    assert run.info.end_time == 1_790_002_800_000  # 2026-09-21T15:00Z
    texts = {file.path for file in MlflowClient(uri).list_artifacts(run.info.run_id)}
    assert texts == {"cell.json", "result.json", "test_accuracy.npy", "log.txt"}
    assert not (Path.cwd() / "mlruns").exists()


def test_states(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    queued, interrupted, failed, running = cells_of(grid, experiment)
    for cell in (interrupted, failed, running):
        train(cell, range(1, 4))
    reason = Failure(kind="diverged", reason="loss is nan at step 4", traceback="Traceback: here")
    failed.write_result(result_of(failed, failure=reason))
    with running.lock():
        sync(experiment, grid, uri)
        assert run_of(uri, running).info.status == "RUNNING"
        [launch] = runs(uri, "launch")
        assert launch.info.status == "RUNNING"
    assert run_of(uri, queued).info.status == "SCHEDULED"
    assert run_of(uri, interrupted).info.status == "KILLED"
    assert "step 3" in run_of(uri, interrupted).data.tags["status.reason"]
    run = run_of(uri, failed)
    assert run.info.status == "FAILED"
    assert run.data.tags["status.reason"] == "diverged: loss is nan at step 4"
    assert "Traceback: here" in run.data.tags["mlflow.note.content"]
    assert run.data.tags["mlflow.parentRunId"] == launch.info.run_id

    failed.forget_result()
    train(failed, range(4, 6))
    score(failed, steps=5)
    sync(experiment, grid, uri)
    run = run_of(uri, failed)
    assert run.info.status == "FINISHED"
    assert "status.reason" not in run.data.tags
    assert runs(uri, "launch")[0].info.status == "KILLED"  # some cells are not done, and nothing runs


def test_resumed_cell_stays_one_run_without_duplicates(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    cell = cells_of(grid, experiment)[0]
    first = Mirror(uri, grid, experiment, warn=failing)
    train(cell, range(1, 8))
    first.update()
    before = run_of(uri, cell)
    # The process was killed, htbench too; training continues from the checkpoint at step 5 and logs 6 and 7 again.
    cell.drop_metrics_after(5)
    second = Mirror(uri, grid, experiment, warn=failing)
    second.update()
    train(cell, range(6, 10), start=START + 100)
    second.update()
    score(cell, steps=9)
    second.finish()
    second.finish()

    run = run_of(uri, cell)
    assert run.info.run_id == before.info.run_id
    assert curve(uri, run, "train/loss") == [(step, 1 / step) for step in range(1, 10)]
    assert len(curve(uri, run, "test/accuracy")) == 1
    newest, oldest = runs(uri, "launch")
    assert run.data.tags["mlflow.parentRunId"] == newest.info.run_id != before.data.tags["mlflow.parentRunId"]
    assert oldest.info.status == "KILLED"


def test_cell_started_again_from_nothing_loses_its_old_curve(
    uri: str, grid: Grid, experiment: ExperimentFolder
) -> None:
    cell = cells_of(grid, experiment)[0]
    train(cell, range(1, 8))
    sync(experiment, grid, uri)
    shutil.rmtree(cell.folder)
    cell.create(grid.cells[0])
    sync(experiment, grid, uri)
    train(cell, range(2, 4), start=START + 1000)
    sync(experiment, grid, uri)
    assert curve(uri, run_of(uri, cell), "train/loss") == [(2, 1 / 2), (3, 1 / 3)]


def test_rebuilt_from_disk_equals_live(
    uri: str, grid: Grid, experiment: ExperimentFolder, empty_store: Path, tmp_path: Path
) -> None:
    done, other, failed, interrupted = cells_of(grid, experiment)
    with open_mirror(uri, grid, experiment) as mirror:
        for steps in (range(1, 3), range(3, 350)):  # the second is 1041 values, more than one batch
            for cell in (done, other, failed, interrupted):
                train(cell, steps)
                mirror.update()
        failed.write_result(result_of(failed, failure=Failure(kind="crashed", reason="OSError: no")))
        score(done, steps=349)
        mirror.update()
        score(other, steps=349)
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(empty_store, tmp_path / "elsewhere" / "mlflow.db")
    rebuilt = f"sqlite:///{tmp_path / 'elsewhere' / 'mlflow.db'}"
    sync(experiment, grid, rebuilt)
    live = content(uri)
    assert len(live) == 4 + 1
    assert content(rebuilt) == live

    launches = [run.to_dictionary() for run in runs(rebuilt, "launch")]
    sync(experiment, grid, rebuilt)
    sync(experiment, grid, uri)
    assert content(rebuilt) == live
    assert content(uri) == live
    assert [run.to_dictionary() for run in runs(rebuilt, "launch")] == launches


def test_means_over_seeds(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    cells = cells_of(grid, experiment)
    for cell in cells[:3]:
        train(cell, range(1, 6))
    accuracies = [score(cell, steps=5) for cell in cells[:2]]
    sync(experiment, grid, uri)
    [narrow] = runs(uri, "aggregate")
    assert narrow.data.params == {"model.channels": "4"}
    expected = two_way_interval(np.stack(accuracies))
    assert narrow.data.metrics["seeds"] == 2
    assert narrow.data.metrics["test/accuracy"] == pytest.approx(np.mean(accuracies))
    assert narrow.data.metrics["test/accuracy_ci_low"] == pytest.approx(max(0, expected.low))
    score(cells[2], steps=5)
    sync(experiment, grid, uri)
    assert {run.data.params["model.channels"]: run.data.metrics["seeds"] for run in runs(uri, "aggregate")} == {
        "4": 2,
        "8": 1,
    }


def test_launch_keeps_grid_plan_and_report(uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    report = tmp_path / "report"
    (report / "figures").mkdir(parents=True)
    (report / "table.md").write_text("| method |")
    (report / "figures" / "curve.svg").write_text("<svg/>")
    sync(experiment, grid, uri, report)
    [launch] = runs(uri, "launch")
    client = MlflowClient(uri)
    kept = Path(client.download_artifacts(launch.info.run_id, "", str(tmp_path)))
    assert (kept / "grid.yaml").read_text() == grid.text
    assert all(cell.folder.name in (kept / "plan.csv").read_text() for cell in cells_of(grid, experiment))
    assert (kept / "report" / "figures" / "curve.svg").read_text() == "<svg/>"
    assert Path(launch.info.artifact_uri.removeprefix("file://")).is_relative_to(tmp_path / "mlartifacts")
