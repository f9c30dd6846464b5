"""What several commands share: their arguments, the terminal, reading a grid."""

import importlib.util
import os
from contextlib import AbstractContextManager, nullcontext
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
    cells = select(grid.cells, only) if only else grid.cells
    return grid, cells, ExperimentFolder(runs / grid.name)


def open_tracking(
    uri: str | None, grid: "Grid", experiment: "ExperimentFolder", track: bool
) -> "AbstractContextManager[FollowingMirror | None]":
    """A mirror of the run in MLflow, or None with `--no-track`."""
    if not track:
        return nullcontext()
    from benchmark.tracking import open_mirror

    return open_mirror(uri, grid, experiment)


def resolve_workers(workers: int, device: str) -> int:
    """How many processes `--workers` means: 0 is one per core, or one on a GPU."""
    return workers or (1 if device.startswith("cuda") else len(os.sched_getaffinity(0)))


def resolve_device(device: str) -> str:
    """The device that `--device` means.

    Raises:
        UserError: no such device here.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    if device != "cpu" and not device.startswith("cuda"):
        raise UserError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    return device
