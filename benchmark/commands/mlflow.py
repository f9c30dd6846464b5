"""Commands on MLflow: sync, ui."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.commands.common import RESULTS, RUNS, GridArgument, RunsOption, UriOption, console, open_grid


def sync(grid: GridArgument, runs: RunsOption = RUNS, mlflow: UriOption = None) -> None:
    """Bring MLflow up to date from the run directory, which is the truth, and from the grid's report, if any."""
    from benchmark.tracking import sync as mirror_all

    read, _, experiment = open_grid(grid, runs, None)
    folder = RESULTS / read.name
    with console.status("writing to MLflow"):
        notes = mirror_all(experiment, read, mlflow, folder if folder.is_dir() else None)
    for note in notes:
        console.print(note.text, style="red", highlight=False, markup=False)
    if any(note.cell for note in notes):
        raise typer.Exit(1)
    console.print("MLflow is up to date; htbench ui opens it")


def ui(
    grid: Annotated[Path | None, typer.Argument(help="Open on this grid's experiment")] = None,
    mlflow: UriOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1")] = 5000,
) -> None:
    """Serve MLflow's web interface on this machine until interrupted."""
    from benchmark.tracking import serve_ui

    name = None if grid is None else open_grid(grid, RUNS, None)[0].name
    serve_ui(mlflow, name, port)
