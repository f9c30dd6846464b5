"""The MLflow mirror where something is in the way, and a real server."""

import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.grid import Grid
from benchmark.tracking import Mirror, serve_ui, sync
from benchmark.tracking.connection import open_experiment
from benchmark.tracking.one_run_per_key import Runs
from benchmark.tracking.ui import experiment_page
from tests.benchmark.helpers import ROOT
from tests.benchmark.tracking.mirrored import cells_of, content, curve, run_of, runs, score, train
from tests.benchmark.tracking.servers import ui_server

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.exceptions import MlflowException

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")


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
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0, 0], outputs
    assert outputs == ["", ""]  # MLflow's own account of its migrations is not for our users
    names = {found.name for found in MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_experiments()}
    assert {"small", "other"} <= names
    assert not (tmp_path / "mlruns").exists()


def test_without_mlflow_a_mirror_is_one_warning(grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    """In a process of its own, where importing MLflow fails as if it were not installed."""
    train(cells_of(grid, experiment)[0], range(1, 3))
    code = f"""
import sys
sys.modules["mlflow"] = None
from pathlib import Path
from benchmark.errors import UserError
from benchmark.execution.engine import Event
from benchmark.grid import read_grid
from benchmark.cells.folder import ExperimentFolder
from benchmark.tracking import open_mirror, sync
grid = read_grid(Path({str(grid.source)!r}))
experiment = ExperimentFolder(Path({str(experiment.folder)!r}))
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
    grid: Grid, experiment: ExperimentFolder, tmp_path: Path
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


def test_something_else_in_the_database_file(grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database " * 100)
    with pytest.raises(UserError, match="not a database"):
        sync(experiment, grid, f"sqlite:///{tmp_path / 'mlflow.db'}")


def test_mirror_recovers_after_a_failure(uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
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


def test_server(uri: str, grid: Grid, experiment: ExperimentFolder, tmp_path: Path) -> None:
    """What `htbench ui` starts answers; a mirror written through it holds the same as one written to the file."""
    cell = cells_of(grid, experiment)[0]
    train(cell, range(1, 6))
    score(cell, steps=5)
    with ui_server(uri, tmp_path) as (address, server):
        assert server.stdout is not None
        # When it started there was no experiment to open.
        assert server.stdout.readline().startswith(f"{address}/#/experiments?")
        sync(experiment, grid, address)
        through_server = content(address)
        page = experiment_page(address, address, "small")
        with urllib.request.urlopen(page, timeout=30) as response:
            assert b"MLflow" in response.read()
        assert f"/#/experiments/{runs(uri)[0].info.experiment_id}/runs" in page
    with pytest.raises(urllib.error.URLError), urllib.request.urlopen(address, timeout=5):
        pass
    assert through_server == content(uri)
    sync(experiment, grid, uri)
    assert content(uri) == through_server


def test_a_row_written_by_another_process_meanwhile(uri: str) -> None:
    """What the database refuses is compared with the run as it is now; what it keeps refusing is an error."""
    client, experiment_id = open_experiment(uri, "small")
    known = Runs(client, experiment_id)
    stale = known.create("cell", "key", "name", 0)
    MlflowClient(uri).log_param(stale.info.run_id, "width", "4")
    tries = []

    def fill(run: Run) -> None:
        tries.append(run.info.run_id)
        if "width" not in run.data.params:
            client.log_param(run.info.run_id, "width", "8")  # refused: it has a value
        client.log_param(run.info.run_id, "ways", "20")

    known.write(stale, lambda: stale, fill)
    assert tries == [stale.info.run_id] * 2
    assert client.get_run(stale.info.run_id).data.params == {"width": "4", "ways": "20"}
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        known.write(stale, lambda: stale, lambda run: client.log_param(run.info.run_id, "width", "8"))
