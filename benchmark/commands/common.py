"""What several commands share: their arguments, the terminal, reading a grid."""

import importlib.util
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from benchmark.errors import UserError
from benchmark.machine.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.cells.config import CellConfig
    from benchmark.cells.folder import ExperimentFolder
    from benchmark.grid import Grid
    from benchmark.tracking.mirror import FollowingMirror

console = Terminal(soft_wrap=True)

GridArgument = Annotated[Path, typer.Argument(help="The grid, a YAML file such as experiments/smoke/quickstart.yaml")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of run directories")]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only cells like this: method=ht-all channels=8,16", metavar="AXIS=VALUE..."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON")]
UriOption = Annotated[
    str | None,
    typer.Option("--mlflow", help="MLflow tracking URI [default: $MLFLOW_TRACKING_URI, else sqlite:///mlflow.db]"),
]
DeviceOption = Annotated[str, typer.Option("--device", help="cpu, cuda, or auto: cuda if there is one")]
KernelOption = Annotated[
    str | None,
    typer.Option(
        "--kernel",
        help="Arithmetic on a CPU: torch, compiled (methods/compiled), or auto: compiled where there is a C++ compiler,"
        " and interrupted cells as they began [default: $HTBENCH_KERNEL, else auto]",
    ),
]
TrackOption = Annotated[bool, typer.Option("--track/--no-track", help="Mirror the run to MLflow")]
RUNS = Path("runs")
RESULTS = Path("results")


def require(library: str, command: str, extra: str) -> None:
    """Refuse a command early whose library is not installed."""
    if importlib.util.find_spec(library) is None:
        raise UserError(f"htbench {command} needs {library}, which is not installed; pip install 'htbench[{extra}]'")


def open_grid(path: Path, runs: Path, only: list[str] | None) -> "tuple[Grid, Sequence[CellConfig], ExperimentFolder]":
    """A grid, those of its cells that `--only` leaves, and where they are kept."""
    from benchmark.cells.folder import ExperimentFolder
    from benchmark.grid import read_grid, select

    grid = read_grid(path)
    for note in grid.notes:
        Terminal(stderr=True, soft_wrap=True).print(f"note: {note}", style="yellow", markup=False, highlight=False)
    experiment = ExperimentFolder(runs / grid.name)
    grid = replace(grid, cells=experiment.recalled(grid.cells))
    cells = select(grid.cells, only) if only else grid.cells
    return grid, cells, experiment


def open_tracking(
    uri: str | None, grid: "Grid", experiment: "ExperimentFolder", track: bool
) -> "AbstractContextManager[FollowingMirror | None]":
    """A mirror of the run in MLflow, or None with `--no-track`."""
    if not track:
        return nullcontext()
    from benchmark.tracking import open_mirror

    return open_mirror(uri, grid, experiment)


def resolve_kernel(kernel: str | None) -> str:
    """What `--kernel` comes to, in words; processes that are started from now on take it.

    Raises:
        UserError: there is no such kernel, or it cannot be compiled here.
    """
    from methods.compiled import library

    if kernel is not None:
        os.environ[library.VARIABLE] = kernel
    try:
        return library.describe()
    except library.UnavailableError as error:
        raise UserError(str(error)) from error
