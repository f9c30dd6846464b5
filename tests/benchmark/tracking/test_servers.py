"""MLflow's server on SQLite and on PostgreSQL, with several processes that mirror grids through it at once."""

import filecmp
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.result import Failure
from benchmark.grid import Grid, read_grid
from benchmark.reporting import write_report
from tests.benchmark.helpers import ROOT, write_grid
from tests.benchmark.tracking.mirrored import cells_of, content, result_of, runs, score, train
from tests.benchmark.tracking.servers import mlflow_server, postgres

pytest.importorskip("mlflow", reason="pip install 'htbench[mlflow]'")

# MLflow itself uses what SQLAlchemy is about to remove.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow.*")

AXES = {"method": ["linear-mean"], "channels": [4, 8], "seed": [0, 1]}
SYNC = """
import sys
from pathlib import Path
from benchmark.grid import read_grid
from benchmark.cells.folder import ExperimentFolder
from benchmark.tracking.connection import load_client
from benchmark.tracking import sync
load_client()
grid = read_grid(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for _ in range(2):
    sync(ExperimentFolder(Path(sys.argv[2])), grid, sys.argv[3])
"""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def address(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, empty_store: Path
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "sqlite":
        shutil.copy(empty_store, folder / "mlflow.db")
        with mlflow_server(f"sqlite:///{folder / 'mlflow.db'}", folder) as server:
            yield server
    else:
        with postgres(folder) as database, mlflow_server(database, folder) as server:
            yield server


def half_finished(experiment: ExperimentFolder, grid: Grid) -> None:
    """Of four cells two are done, one has failed, one was interrupted."""
    cells = cells_of(grid, experiment)
    for config, cell in zip(grid.cells, cells, strict=True):
        cell.create(config)
        train(cell, range(1, 30))
    for cell in cells[:2]:
        score(cell, steps=29)
    cells[2].write_result(result_of(cells[2], failure=Failure(kind="crashed", reason="OSError: no")))


def test_grids_written_at_once(address: str, tmp_path: Path) -> None:
    """Two processes with one grid and one with another: every cell is one run with every number, and stays so."""
    started: list[subprocess.Popen[str]] = []
    experiments = {}
    for name in ("small", "other"):
        (tmp_path / name).mkdir()
        grid = read_grid(write_grid(tmp_path / name, name=name, grid=AXES))
        experiments[name] = (grid, ExperimentFolder(tmp_path / name / "runs"))
        half_finished(experiments[name][1], grid)
    for name in ("small", "small", "other"):
        grid, experiment = experiments[name]
        command = [sys.executable, "-c", SYNC, str(grid.source), str(experiment.folder), address]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe))
    for process in started:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=240)[1] for process in started]
    assert [process.returncode for process in started] == [0, 0, 0], errors

    small, other = content(address, "small"), content(address, "other")
    assert len(small) == len(other) == 4 + 1
    for name in ("small", "other"):
        keys = Counter(run.data.tags["cell.key"] for run in runs(address, name=name))
        assert keys == Counter(config.key for config in experiments[name][0].cells)
        assert len(runs(address, "launch", name)) == 1
        assert {run.data.tags["mlflow.parentRunId"] for run in runs(address, name=name)} == {
            runs(address, "launch", name)[0].info.run_id
        }
    for status, _, _, _, histories, *_ in small.values():
        assert status == "FINISHED" or len(histories["train/loss"]) == 29
    assert small == other  # whether two processes wrote it or one


def test_report_from_the_server_alone(address: str, tmp_path: Path) -> None:
    """The same bytes as from the run directory, with cells that are done, failed, interrupted and missing."""
    from benchmark.tracking import report_from_mlflow, sync

    grid = read_grid(write_grid(tmp_path, name="alone", grid=AXES))
    experiment = ExperimentFolder(tmp_path / "runs")
    half_finished(experiment, grid)
    shutil.rmtree(cells_of(grid, experiment)[1].folder)
    sync(experiment, grid, address)
    write_report(grid, experiment, tmp_path / "local")
    shutil.rmtree(experiment.folder)
    grid.source.unlink()
    report_from_mlflow(address, grid.name, tmp_path / "remote")
    local, remote = (
        {path.relative_to(folder): path for path in sorted(folder.rglob("*")) if path.is_file()}
        for folder in (tmp_path / "local", tmp_path / "remote")
    )
    assert len(local) > 8
    assert local.keys() == remote.keys()
    assert [name for name in local if not filecmp.cmp(local[name], remote[name], shallow=False)] == []
