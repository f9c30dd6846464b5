"""Reading and running a grid from Python, as `htbench plan` and `htbench run` do. See docs/python.md."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.api.results import Results, load_results
from benchmark.cells.folder import ExperimentFolder
from benchmark.execution.display import RunDisplay
from benchmark.execution.launch import ready_cells
from benchmark.execution.local import execute
from benchmark.execution.plan import make_plan
from benchmark.grid import Grid, select
from benchmark.grid import read_grid as read_file
from benchmark.machine.device import resolve_device, resolve_workers
from benchmark.machine.terminal import Terminal


def read_grid(path: str | Path) -> Grid:
    """Read and resolve a grid file; importing its plugins registers the user's methods.

    Raises:
        UserError: everything that is wrong with the file, one `file:line: message` per line.
    """
    return read_file(Path(path))


def run(
    grid: str | Path | Grid,
    *,
    runs: str | Path = "runs",
    only: Sequence[str] = (),
    workers: int = 0,
    device: str = "auto",
    retry_failed: bool = False,
    mlflow: str | bool = False,
    progress: bool = True,
) -> Results:
    """Run every cell of a grid that has no result yet, each in its own process, as `htbench run` does.

    Interrupting it, or Python, stops the processes; the same call, or `htbench run`, goes on where it stopped.

    Args:
        grid: a grid or its file.
        runs: the folder of run directories.
        only: only cells like this: `["method=ht-all", "channels=8,16"]`.
        workers: cells at a time; 0 is one per core, or one on a GPU.
        device: "cpu", "cuda", or "auto": a GPU if there is one.
        retry_failed: run failed and damaged cells again.
        mlflow: a tracking URI to mirror the run to, or True for the default one.
        progress: whether to print how far it is.

    Returns:
        What has come of all cells of the grid. A cell that failed is a row with its reason, and no error.

    Raises:
        UserError: something is wrong with the grid, or another run is writing its cells.
    """
    read = read_grid(grid) if isinstance(grid, str | Path) else grid
    experiment = ExperimentFolder(Path(runs) / read.name)
    read = replace(read, cells=experiment.recalled(read.cells))
    device = resolve_device(device)
    chosen = select(read.cells, only) if only else read.cells
    to_train, to_test = ready_cells(make_plan(chosen, experiment), retry_failed=retry_failed)
    todo = [cell.store for cell in [*to_train, *(cell for cell, _ in to_test)]]
    if todo:
        experiment.write_grid(read.text)
        mirroring: Any = nullcontext()
        if mlflow:
            from benchmark.tracking import open_mirror

            mirroring = open_mirror(None if mlflow is True else str(mlflow), read, experiment)
        with mirroring as mirror:
            events = execute(todo, workers=resolve_workers(workers, device), device=device)
            try:
                for event in RunDisplay(Terminal(quiet=not progress, soft_wrap=True), todo).follow(events):
                    if mirror is not None:
                        mirror.follow(event)
            finally:
                events.close()
    return load_results(read, runs)
