"""The MLflow mirror against real SQLite stores and run directories with made-up numbers."""

import getpass
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.result import Failure
from benchmark.figure_style import colour_and_marker
from benchmark.grid import Grid, read_grid
from benchmark.statistics import two_way_interval
from benchmark.tracking import Mirror, mirror, open_mirror, sync
from benchmark.tracking.appearance import Appearance
from tests.benchmark.helpers import write_grid
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
    assert run.info.run_name == "linear-mean 8 ch · seed 1"
    resolved = {"method": "linear-mean", "model.channels": "8", "seed": "1", "train.learning_rate": "0.001"}
    resolved |= {"episodes.ways": "3", "episodes.shots": "1", "train.batch": "4", "train.steps": "10"}
    assert resolved.items() <= run.data.params.items()
    tags = {"method": "linear-mean", "dataset": "glyphs", "protocol": "3-way 1-shot", "device": "cpu"}
    seen = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
    assert seen == {**tags, "kind": "cell", "cell.key": cell.config().key}  # no bookkeeping
    assert run.data.tags["mlflow.source.name"] == "grid.yaml"
    assert run.data.tags["mlflow.user"] == run.info.user_id == getpass.getuser()
    assert run.data.tags["mlflow.source.git.commit"] == "c" * 40
    assert run.data.tags["mlflow.runColor"] == colour_and_marker("linear-mean")[0]
    # 2.0452: the 97.5 % point of Student's t with 29 degrees of freedom.
    mean, half = accuracy.mean(dtype="float64"), 2.0452 * accuracy.std(ddof=1, dtype="float64") / np.sqrt(30)
    assert run.data.metrics["test/accuracy"] == round(mean, 4)
    assert run.data.metrics["test/accuracy_ci_low"] == pytest.approx(mean - half, abs=6e-5)
    assert run.data.metrics["test/accuracy_ci_high"] == pytest.approx(mean + half, abs=6e-5)
    assert run.data.metrics["model/parameters"] == 1234
    assert curve(uri, run, "train/loss") == [(step, round(1 / step, 7)) for step in range(1, 6)]
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
    assert curve(uri, run, "train/loss") == [(step, round(1 / step, 7)) for step in range(1, 10)]
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
    assert curve(uri, run_of(uri, cell), "train/loss") == [(2, 0.5), (3, 0.3333333)]


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
    assert narrow.info.run_name == "linear-mean 4 ch · mean of 2 seeds"
    assert narrow.data.params["model.channels"] == "4" and "seed" not in narrow.data.params
    expected = two_way_interval(np.stack(accuracies))
    assert narrow.data.metrics["seeds"] == 2
    assert narrow.data.metrics["test/accuracy"] == round(float(np.mean(accuracies)), 4)
    assert narrow.data.metrics["test/accuracy_ci_low"] == pytest.approx(max(0, expected.low), abs=6e-5)
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


def test_another_seed_makes_another_mean(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    """Seen while cells still run; what the mean of fewer seeds was is no earlier point of its history."""
    first, second, *_ = cells_of(grid, experiment)
    live = Mirror(uri, grid, experiment, warn=failing)
    for cell, name in ((first, "linear-mean 4 ch · 1 seed"), (second, "linear-mean 4 ch · mean of 2 seeds")):
        train(cell, range(1, 6))
        score(cell, steps=5)
        live.update()
        [mean] = runs(uri, "aggregate")
        assert mean.info.run_name == name
        assert len(curve(uri, mean, "test/accuracy")) == 1


def test_a_running_cell_is_followed_however_long_the_first_update_took(
    uri: str, grid: Grid, experiment: ExperimentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mirror, "_SHARE", 1e-9)  # as if an update had taken for ever
    cell = cells_of(grid, experiment)[0]
    live = Mirror(uri, grid, experiment, warn=failing)
    with cell.lock():
        live.update()
        assert live.due <= time.monotonic() + 30
        train(cell, range(1, 3))
        live.update()
        assert curve(uri, run_of(uri, cell), "val/accuracy") == [(1, 0.0), (2, 0.5)]


def test_the_saved_views_are_there_from_the_start(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    """Whoever opens the interface while the first cell trains finds the page that was promised."""
    with cells_of(grid, experiment)[0].lock():
        Mirror(uri, grid, experiment, warn=failing).update()
    found = MlflowClient(uri).get_experiment_by_name("small")
    assert found is not None
    views = {name: json.loads(text) for name, text in found.tags.items() if name.startswith("mlflow.sharedViewState.")}
    assert {name.rpartition(".")[2] for name in views} == {"htbench-cells", "htbench-means", "htbench-charts"}
    assert views["mlflow.sharedViewState.htbench-charts"]["groupBy"]["groupByKeys"][0]["groupByData"] == "method"


def test_a_cell_begins_when_its_training_does(uri: str, grid: Grid, experiment: ExperimentFolder) -> None:
    """And not when its folder was made, which is when the grid was started."""
    cell = cells_of(grid, experiment)[0]
    live = Mirror(uri, grid, experiment, warn=failing)
    live.update()
    assert run_of(uri, cell).info.status == "SCHEDULED"
    train(cell, range(1, 6))
    score(cell, steps=5)
    live.update()
    assert run_of(uri, cell).info.start_time == 1_789_999_980_000  # 2026-09-21T14:13Z


def test_names_say_what_varies(tmp_path: Path) -> None:
    axes = {"method": ["ht-logits", "maml"], "channels": [4, 8], "episodes.shots": [1, 5], "seed": [0]}
    axes |= {"train.learning_rate": [0.1, 0.01]}
    grid = read_grid(write_grid(tmp_path, grid=axes))
    appearance = Appearance(grid)
    names = {appearance.cell_name(config): config for config in grid.cells}
    assert len(names) == 16
    first = names["ht-logits 4 ch 1-shot (learning rate 0.1) · seed 0"]
    assert appearance.mean_name(first, 3) == "ht-logits 4 ch 1-shot (learning rate 0.1) · mean of 3 seeds"
    assert appearance.colour(first) == colour_and_marker("ht-logits")[0]
    other = names["maml 4 ch 1-shot (learning rate 0.1) · seed 0"]
    assert appearance.colour(other) == colour_and_marker("maml")[0]
