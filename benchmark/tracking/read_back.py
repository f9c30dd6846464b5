"""Reading a grid back from MLflow alone: what a report needs, without the run directory."""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.names import checked_name
from benchmark.errors import UserError
from benchmark.reporting.record import Record, collect_planned
from benchmark.reporting.report import save_report
from benchmark.reporting.summary import Summary
from benchmark.tracking.cell_run import CELL_STATE
from benchmark.tracking.connection import brief, check_artifact_location, load_client, redacted, tracking_uri
from benchmark.tracking.one_run_per_key import Runs
from benchmark.tracking.writer import GRID_FILE, LAST_STEPS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


_FILES = {"result.json", "test_accuracy.npy", "ensemble_accuracy.npy", "test_matrices.npy"}
"""Of a cell's artifacts those that a report reads; whatever else a server offers is not fetched."""


def report_from_mlflow(uri: str | None, name: str, out: Path, *, overwrite: bool = False) -> Summary:
    """Write the report of a grid, as `benchmark.reporting.write_report` would from the run directory.

    Raises:
        UserError: MLflow is not installed or cannot be read, or has no such grid; see also `write_report`.
    """
    uri = tracking_uri(uri)
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as held:
        experiment = ExperimentFolder(Path(temporary) / "runs")
        try:
            record = _read(load_client()(uri), uri, name, experiment, held)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"MLflow at {redacted(uri)} cannot be read: {brief(error)}") from error
        return save_report(record, experiment, out, overwrite=overwrite)


def _read(
    client: "MlflowClient", uri: str, name: str, experiment: ExperimentFolder, held: contextlib.ExitStack
) -> Record:
    """Fill the run directory `experiment` and read it; cells that are being trained stay locked while `held`."""
    found = client.get_experiment_by_name(name)
    if found is None:
        names = ", ".join(sorted(other.name for other in client.search_experiments()))
        raise UserError(f"MLflow at {redacted(uri)} has no experiment {name!r}; there are {names}")
    check_artifact_location(uri, name, found.artifact_location)
    runs = Runs(client, found.experiment_id)
    launch = next((run for run in runs.find("launch").values() if _has(client, run, GRID_FILE)), None)
    if launch is None:
        raise UserError(f"MLflow at {redacted(uri)} has no resolved grid of {name!r}; write it with htbench sync")
    experiment.folder.mkdir()
    files = {}
    for file in (GRID_FILE, "grid.yaml"):
        path = client.download_artifacts(launch.info.run_id, file, str(experiment.folder))
        files[file] = Path(path).read_text()
    try:
        grid = json.loads(files[GRID_FILE])
        planned = [(CellConfig.model_validate(cell["config"]), cell["axes"]) for cell in grid["cells"]]
        checked_name(grid["name"])
    except (ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"MLflow at {redacted(uri)}: {GRID_FILE} of {name!r} is damaged ({reason})") from error
    cells = runs.find("cell")
    for config, _ in planned:
        if config.key in cells:
            held.enter_context(_restored(client, cells[config.key], experiment.cell(config), config))
    return collect_planned(grid["name"], grid["axes"], planned, files["grid.yaml"], experiment)


@contextlib.contextmanager
def _restored(client: "MlflowClient", run: "Run", cell: CellFolder, config: CellConfig) -> "Iterator[None]":
    """A cell's folder as far as a report reads it; locked if the cell is being trained somewhere."""
    cell.create(config)
    for name in sorted(_FILES & {found.path for found in client.list_artifacts(run.info.run_id) if not found.is_dir}):
        client.download_artifacts(run.info.run_id, name, str(cell.folder))
    found: dict[int, MetricsLine] = {}
    for name in json.loads(run.data.tags.get(LAST_STEPS, "{}")):
        for point in client.get_metric_history(run.info.run_id, name):
            found.setdefault(point.step, MetricsLine(point.step, {})).values[name] = point.value
    cell.write_metrics(found[step] for step in sorted(found))
    state = run.data.tags[CELL_STATE]
    if state == "interrupted":
        cell.last_checkpoint.touch()
    with cell.lock() if state == "running" else contextlib.nullcontext():
        yield


def _has(client: "MlflowClient", run: "Run", file: str) -> bool:
    return file in {found.path for found in client.list_artifacts(run.info.run_id)}
