"""The command tune."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.commands.common import (
    RUNS,
    DeviceOption,
    GridArgument,
    JsonOption,
    KernelOption,
    RunsOption,
    TrackOption,
    UriOption,
    console,
    open_grid,
    open_tracking,
    require,
    resolve_kernel,
)
from benchmark.machine.device import resolve_device, resolve_workers

if TYPE_CHECKING:
    from benchmark.tuning.search import Search


def tune(
    grid: GridArgument,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials per method [default: the grid's, or 12]")] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.001, help="Minutes of training per trial [default: the grid's]")
    ] = None,
    runs: RunsOption = RUNS,
    workers: Annotated[int, typer.Option(min=0, help="Trials at a time; 0: one per core, or one on a GPU")] = 0,
    device: DeviceOption = "auto",
    kernel: KernelOption = None,
    mlflow: UriOption = None,
    track: TrackOption = True,
    as_json: JsonOption = False,
) -> None:
    """Give every method of a grid the same number of validation trials, and write GRID-tuned.yaml with the best.

    Searched are the learning rate and the options that a method's Config marks with `searched`, but for axes of the
    grid; at the first value of every axis. Trials are kept under runs/NAME-tuning and continued if interrupted.
    """
    require("optuna", "tune", "tune")
    from rich.console import Console

    from benchmark.cells.folder import ExperimentFolder
    from benchmark.execution.plan import preflight
    from benchmark.tuning.display import TuningDisplay, tuning_table
    from benchmark.tuning.trials import Tuning, searches_of
    from benchmark.tuning.tuned_grid import effort, write_tuned_grid

    read, _, experiment = open_grid(grid, runs, None)
    changes: dict[str, Any] = {} if trials is None else {"trials": trials}
    changes |= {} if minutes is None else {"minutes": minutes, "steps": None}
    settings = read.tune.model_copy(update=changes)
    experiment = ExperimentFolder(experiment.folder.with_name(f"{read.name}-tuning"))
    device = resolve_device(device)
    resolve_kernel(kernel)
    searches = searches_of(read, settings)
    preflight([search.base.model_copy(update={"tuning": True, "tests": ()}) for search in searches])
    workers = resolve_workers(workers, device)
    shown = Console(quiet=True) if as_json else console
    with TuningDisplay(shown, searches, settings.trials) as display:
        tuning = Tuning(read, searches, experiment, display.ended)
        with open_tracking(mlflow, tuning.grid(), experiment, track) as mirror:
            try:
                tuning.run(workers=workers, device=device, mirror=mirror)
            except KeyboardInterrupt:
                shown.print("interrupted; the same command continues where it stopped")
                raise typer.Exit(130) from None
    if not all(search.complete for search in searches):
        console.print("some trials were killed; the same command continues them", style="red")
        raise typer.Exit(1)
    path = write_tuned_grid(read, searches, settings)
    if as_json:
        print(json.dumps({"grid": str(path), "methods": [_search_json(search) for search in searches]}, indent=1))
    else:
        console.print(tuning_table(searches))
        console.print(f"\n{effort(searches, settings)}\nwritten to {path}; htbench run {path} runs it", highlight=False)
    if any(search.best is None for search in searches):
        raise typer.Exit(1)


def _search_json(search: "Search") -> dict[str, Any]:
    best = search.best
    return {
        "method": search.method,
        "chosen": best and best.point,
        "validation_accuracy": best and best.accuracy,
        "trials": [
            {"key": t.config.key, "setting": t.point, "validation_accuracy": t.accuracy, "failure": t.failure}
            for t in search.trials
        ],
    }
