"""The MLflow mirror against real SQLite stores, a real server, and run directories with made-up numbers."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.errors import UserError
from benchmark.grid import Grid, read_grid
from benchmark.result import Failure, Model, Provenance, Result, TestScore, Training
from benchmark.statistics import two_way_interval
from benchmark.store import CellStore, ExperimentStore
from benchmark.tracking import Mirror, open_mirror, serve_ui, sync
from benchmark.tracking.ui import experiment_page
from tests.benchmark.helpers import ROOT, write_grid

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")
from mlflow import MlflowClient
from mlflow.entities import Run

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")

START = 1_790_000_000.0


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with MLflow's tables and nothing in them, which takes seconds to make."""
    from benchmark.tracking.connection import exclusive, load_client

    database = tmp_path_factory.mktemp("template") / "mlflow.db"
    with exclusive(f"sqlite:///{database}"):
        load_client()(f"sqlite:///{database}").search_experiments()
    return database


@pytest.fixture
def uri(tmp_path: Path, empty_store: Path) -> str:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    """Two widths times two seeds."""
    axes = {"method": ["linear-mean"], "channels": [4, 8], "seed": [0, 1]}
    return read_grid(write_grid(tmp_path, grid=axes))


@pytest.fixture
def experiment(tmp_path: Path, grid: Grid) -> ExperimentStore:
    store = ExperimentStore(tmp_path / "runs" / grid.name)
    for config in grid.cells:
        store.cell(config).create(config)
    return store


def cells_of(grid: Grid, experiment: ExperimentStore) -> list[CellStore]:
    return [experiment.cell(config) for config in grid.cells]


def train(cell: CellStore, steps: range, start: float = START) -> None:
    """Records as training writes them, and a checkpoint."""
    with cell.metrics_file.open("a") as file:
        for step in steps:
            numbers = {"train/loss": 1 / step, "val/accuracy": 1 - 1 / step, "time/train_s": step / 7}
            file.write(json.dumps({"step": step, **numbers, "time": start + step}) + "\n")
    cell.last_checkpoint.write_bytes(b"state")


def result_of(cell: CellStore, **parts: Any) -> Result:
    config = cell.config()
    return Result(key=config.key, config=config.model_dump(mode="json"), **parts)


def score(cell: CellStore, steps: int) -> np.ndarray:
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


def runs(uri: str, kind: str = "cell") -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.kind = '{kind}'"))


def run_of(uri: str, cell: CellStore) -> Run:
    [run] = [run for run in runs(uri) if run.data.tags["cell.key"] == cell.config().key]
    return run


def curve(uri: str, run: Run, name: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in MlflowClient(uri).get_metric_history(run.info.run_id, name))


def content(uri: str) -> dict[str, Any]:
    """All MLflow holds on cells and means, without its own identifiers and without which launch is the parent."""
    client = MlflowClient(uri)
    found = {}
    for run in runs(uri) + runs(uri, "aggregate"):
        tags = {name: value for name, value in run.data.tags.items() if name != "mlflow.parentRunId"}
        histories = {
            name: sorted((m.step, m.value, m.timestamp) for m in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        artifacts = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        found[run.info.run_name] = (run.info.status, run.info.end_time, run.data.params, tags, histories, artifacts)
    return found


def failing(message: str) -> None:
    raise AssertionError(f"unexpected warning: {message}")


def test_cell_is_shown_with_its_numbers(uri: str, grid: Grid, experiment: ExperimentStore) -> None:
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
    assert texts == {"config.json", "result.json", "log.txt"}
    assert not (Path.cwd() / "mlruns").exists()


def test_states(uri: str, grid: Grid, experiment: ExperimentStore) -> None:
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


def test_resumed_cell_stays_one_run_without_duplicates(uri: str, grid: Grid, experiment: ExperimentStore) -> None:
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


def test_cell_started_again_from_nothing_loses_its_old_curve(uri: str, grid: Grid, experiment: ExperimentStore) -> None:
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
    uri: str, grid: Grid, experiment: ExperimentStore, empty_store: Path, tmp_path: Path
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


def test_means_over_seeds(uri: str, grid: Grid, experiment: ExperimentStore) -> None:
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
    assert narrow.data.metrics["test/accuracy_ci_low"] == pytest.approx(expected.low)
    score(cells[2], steps=5)
    sync(experiment, grid, uri)
    assert {run.data.params["model.channels"]: run.data.metrics["seeds"] for run in runs(uri, "aggregate")} == {
        "4": 2,
        "8": 1,
    }


def test_launch_keeps_grid_plan_and_report(uri: str, grid: Grid, experiment: ExperimentStore, tmp_path: Path) -> None:
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


def test_two_processes_on_a_fresh_database(tmp_path: Path) -> None:
    """Without the lock most of such processes fail: table already exists."""
    code = """
import sys
from benchmark.tracking.connection import open_experiment, tracking_uri
open_experiment(tracking_uri(None), sys.argv[1])
"""
    environment = {name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, name],
            cwd=tmp_path,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("small", "other")
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert outputs == ["", ""]  # MLflow's own account of its migrations is not for our users
    names = {found.name for found in MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()}
    assert {"small", "other"} <= names
    assert not (tmp_path / "mlruns").exists()


def test_without_mlflow_a_mirror_is_one_warning(grid: Grid, experiment: ExperimentStore, tmp_path: Path) -> None:
    """In a process of its own, where importing MLflow fails as if it were not installed."""
    train(cells_of(grid, experiment)[0], range(1, 3))
    code = f"""
import sys
sys.modules["mlflow"] = None
from pathlib import Path
from benchmark.errors import UserError
from benchmark.execution.local import Event
from benchmark.grid import read_grid
from benchmark.store import ExperimentStore
from benchmark.tracking import open_mirror, sync
grid = read_grid(Path({str(grid.source)!r}))
experiment = ExperimentStore(Path({str(experiment.folder)!r}))
with open_mirror(None, grid, experiment) as mirror:
    mirror.follow(Event("tick"))
    mirror.update()
try:
    sync(experiment, grid, None)
except UserError as error:
    print("sync:", error)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.count("\n") == 1
    assert "htbench sync" in done.stderr
    assert not (tmp_path / "mlartifacts").exists()
    assert done.stdout == "sync: MLflow is not installed (pip install 'htbench[mlflow]')\n"


def test_unwritable_store_is_one_warning_and_an_error_for_sync(
    grid: Grid, experiment: ExperimentStore, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("not a folder")
    uri = f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}"
    warnings: list[str] = []
    mirror = Mirror(uri, grid, experiment, warn=warnings.append)
    mirror.update()
    mirror.finish()
    [warning] = warnings
    assert "htbench sync" in warning
    with pytest.raises(UserError, match="cannot be written"):
        sync(experiment, grid, uri)


def test_something_else_in_the_database_file(grid: Grid, experiment: ExperimentStore, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database " * 100)
    with pytest.raises(UserError, match="not a database"):
        sync(experiment, grid, f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_mirror_recovers_after_a_failure(uri: str, grid: Grid, experiment: ExperimentStore, tmp_path: Path) -> None:
    """A database that is away for a while: a warning, and everything is there at the end."""
    cell = cells_of(grid, experiment)[0]
    warnings: list[str] = []
    mirror = Mirror(uri, grid, experiment, warn=warnings.append)
    train(cell, range(1, 4))
    mirror.update()
    artifacts = tmp_path / "mlartifacts"
    artifacts.rename(tmp_path / "away")
    artifacts.write_text("in the way")
    train(cell, range(4, 6))
    mirror.update()
    assert len(warnings) == 1
    artifacts.unlink()
    (tmp_path / "away").rename(artifacts)
    mirror.finish()
    assert len(warnings) == 1
    assert [step for step, _ in curve(uri, run_of(uri, cell), "train/loss")] == [1, 2, 3, 4, 5]


def test_ui_refuses_what_it_cannot_show(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="htbench run or htbench sync"):
        serve_ui(f"sqlite:///{tmp_path / 'none.db'}", None, 5000)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(UserError, match="is taken; choose another with --port"):
            serve_ui(uri, "small", taken.getsockname()[1])


def test_server(uri: str, grid: Grid, experiment: ExperimentStore, tmp_path: Path) -> None:
    """What `htbench ui` starts answers; a mirror written through it holds the same as one written to the file."""
    cell = cells_of(grid, experiment)[0]
    train(cell, range(1, 6))
    score(cell, steps=5)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    code = "import sys; from benchmark.tracking import serve_ui; serve_ui(sys.argv[1], 'small', int(sys.argv[2]))"
    server = subprocess.Popen(
        [sys.executable, "-c", code, uri, str(port)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        wait_for(f"{address}/health", server)
        sync(experiment, grid, address)
        through_server = content(address)
        page = experiment_page(address, address, "small")
        with urllib.request.urlopen(page, timeout=30) as response:
            assert b"MLflow" in response.read()
        assert f"/#/experiments/{runs(uri)[0].info.experiment_id}/runs" in page
    finally:
        server.terminate()
        printed, _ = server.communicate(timeout=60)
    assert printed.startswith(f"{address}/#/experiments?")  # when it started there was no experiment to open
    with pytest.raises(urllib.error.URLError), urllib.request.urlopen(address, timeout=5):
        pass
    assert through_server == content(uri)
    sync(experiment, grid, uri)
    assert content(uri) == through_server


def wait_for(address: str, server: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            assert server.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.2)
