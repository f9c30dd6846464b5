"""The command line: `htbench plan | run | status | report | sync | ui | data | methods`.

Exit status: 0 all is well, 1 some cell has no result, 2 the input is wrong, 130 interrupted.
"""

import json
import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from benchmark.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.config import CellConfig
    from benchmark.grid import Grid
    from benchmark.plan import PlannedCell
    from benchmark.store import ExperimentStore

app = typer.Typer(
    help="Few-shot learners on identical test episodes: plan, run and report a YAML grid.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
console = Console(soft_wrap=True)

GridArgument = Annotated[Path, typer.Argument(help="The grid, a YAML file such as experiments/smoke/quickstart.yaml")]
RunsOption = Annotated[Path, typer.Option("--runs", help="Folder of run directories")]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option("--only", help="Only cells like this: method=ht-all channels=8,16", metavar="AXIS=VALUE..."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON")]
UriOption = Annotated[str | None, typer.Option("--mlflow", help="MLflow tracking URI [default: sqlite:///mlflow.db]")]
RUNS = Path("runs")
RESULTS = Path("results")


def main() -> None:
    """Entry point of the `htbench` command."""
    from benchmark.runtime import prepare_process

    prepare_process()
    try:
        app(args=expand_only(sys.argv[1:]), prog_name="htbench")
    except UserError as error:
        Console(stderr=True, soft_wrap=True).print(f"error: {error}", style="red", markup=False, highlight=False)
        sys.exit(2)


def expand_only(arguments: list[str]) -> list[str]:
    """Let one `--only` take several filters: `--only a=1 b=2` becomes `--only a=1 --only b=2`."""
    expanded: list[str] = []
    filtering = False
    for argument in arguments:
        if argument == "--only":
            filtering = True
            continue
        filtering = filtering and "=" in argument and not argument.startswith("-")
        expanded += ["--only", argument] if filtering else [argument]
    return expanded


def _open(path: Path, runs: Path, only: list[str] | None) -> "tuple[Grid, Sequence[CellConfig], ExperimentStore]":
    from benchmark.grid import read_grid, select
    from benchmark.store import ExperimentStore

    grid = read_grid(path)
    cells = select(grid.cells, only) if only else grid.cells
    return grid, cells, ExperimentStore(runs / grid.name)


@app.command()
def plan(
    grid: GridArgument,
    runs: RunsOption = RUNS,
    only: OnlyOption = None,
    timing: Annotated[bool, typer.Option(help="Time a few steps of every kind of cell of unknown cost")] = True,
    as_json: JsonOption = False,
) -> None:
    """List the cells with their state, the time they will take and the smallest difference the test can detect."""
    from benchmark import display
    from benchmark.plan import make_plan, measure_speed, preflight, unknown_speeds

    read, cells, experiment = _open(grid, runs, only)
    planned = make_plan(cells, experiment)
    if timing:
        preflight([p.config for p in planned if p.state == "missing"])
        speeds: dict[str, float] = {}
        with console.status("") as status:
            for number, config in enumerate(unknown := unknown_speeds(planned), 1):
                status.update(f"timing {config.method} ({number}/{len(unknown)})")
                speeds |= measure_speed(config)
        planned = make_plan(cells, experiment, speeds)
    detectable = _detectable(planned)
    if as_json:
        print(
            json.dumps(
                {"name": read.name, "cells": [_cell_json(p) for p in planned], "detectable": detectable}, indent=1
            )
        )
        return
    console.print(display.plan_table(planned))
    lefts = [p.remaining_seconds for p in planned]
    total = None if None in lefts else sum(left or 0.0 for left in lefts)
    console.print(f"\n{len(planned)} cells, about {display.duration(total)} of training left (one core, or one GPU).")
    console.print(_detectable_text(detectable))


def _detectable(planned: "list[PlannedCell]") -> dict[str, Any]:
    from benchmark.statistics import minimum_detectable_difference

    seeds = len({p.config.seed for p in planned})
    episodes = min(p.config.test.episodes for p in planned)
    return {"seeds": seeds, "episodes": episodes, "difference": minimum_detectable_difference(seeds, episodes)}


def _detectable_text(detectable: dict[str, Any]) -> str:
    return (
        f"Two methods {detectable['difference']:.1%} apart will be told apart four times in five"
        f" ({detectable['seeds']} seed(s), {detectable['episodes']} shared test episodes, paired, 5 % level)."
    )


def _cell_json(planned: "PlannedCell") -> dict[str, Any]:
    result = planned.store.result() if planned.state in ("done", "failed") else None
    return {
        "cell": planned.store.folder.name,
        "key": planned.config.key,
        "state": planned.state,
        "note": planned.note,
        "remaining_seconds": planned.remaining_seconds,
        "accuracy": result.test.accuracy if result and result.test else None,
        "config": planned.config.model_dump(mode="json"),
    }


@app.command()
def run(
    grid: GridArgument,
    runs: RunsOption = RUNS,
    only: OnlyOption = None,
    workers: Annotated[int, typer.Option(min=0, help="Cells at a time; 0: one per core, or one on a GPU")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: cuda if there is one")] = "auto",
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed cells again")] = False,
    mlflow: UriOption = None,
    track: Annotated[bool, typer.Option(help="Mirror the run to MLflow")] = True,
) -> None:
    """Run every cell that has no result yet, each in its own process; continue those that were interrupted."""
    from benchmark.display import RunDisplay, duration
    from benchmark.execution.local import execute
    from benchmark.plan import make_plan, preflight

    read, cells, experiment = _open(grid, runs, only)
    planned = make_plan(cells, experiment)
    busy = [p.store.folder for p in planned if p.state == "running"]
    if busy:
        raise UserError(f"{busy[0]} is being written by another run; wait for it or choose another --runs")
    todo = [p for p in planned if p.state != "done" and (p.state != "failed" or retry_failed)]
    device = _resolve_device(device)
    preflight([p.config for p in todo])
    for cell in todo:
        cell.store.create(cell.config)
        cell.store.forget_result()
    if todo:
        experiment.write_grid(read.text)
    workers = workers or (1 if device.startswith("cuda") else len(os.sched_getaffinity(0)))
    lefts = [p.remaining_seconds for p in todo]
    total = None if None in lefts else sum(left or 0.0 for left in lefts) / min(workers, max(1, len(todo)))
    console.print(
        f"{read.name}: {len(cells)} cells, {len(todo)} to run with {workers} worker(s) on {device}"
        + ("" if total is None else f", about {duration(total)} of training"),
        highlight=False,
    )
    with _mirror(mlflow, read, experiment, track) as mirror:
        events = execute([p.store for p in todo], workers=workers, device=device)
        try:
            for event in RunDisplay(console, [p.store for p in todo]).follow(events):
                if mirror is not None:
                    mirror.follow(event)
        except KeyboardInterrupt:
            events.close()
            console.print("interrupted; the same command continues where it stopped")
            raise typer.Exit(130) from None
    final = make_plan(cells, experiment)
    unfinished = [p for p in final if p.state != "done"]
    for cell in unfinished:
        console.print(
            f"{cell.state}: {cell.store.folder.name}  {cell.note}", style="red", highlight=False, markup=False
        )
    console.print(f"{len(final) - len(unfinished)} of {len(final)} cells done; htbench report {grid} makes the table")
    if unfinished:
        raise typer.Exit(1)


def _mirror(uri: str | None, grid: "Grid", experiment: "ExperimentStore", track: bool) -> "AbstractContextManager[Any]":
    if not track:
        return nullcontext()
    from benchmark.tracking import open_mirror

    return open_mirror(uri, grid, experiment)


def _resolve_device(device: str) -> str:
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    if device != "cpu" and not device.startswith("cuda"):
        raise UserError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    return device


@app.command()
def status(grid: GridArgument, runs: RunsOption = RUNS, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """What has become of every cell. Exit status 1 while some cell has no result."""
    from benchmark.display import plan_table
    from benchmark.plan import make_plan

    read, cells, experiment = _open(grid, runs, only)
    planned = make_plan(cells, experiment)
    done = sum(p.state == "done" for p in planned)
    if as_json:
        print(json.dumps({"name": read.name, "done": done, "cells": [_cell_json(p) for p in planned]}, indent=1))
    else:
        console.print(plan_table(planned))
        console.print(f"\n{done} of {len(planned)} cells done")
    if done < len(planned):
        raise typer.Exit(1)


@app.command()
def report(
    grid: Annotated[Path, typer.Argument(help="A grid, or a folder under results/ to rebuild from its own data")],
    runs: RunsOption = RUNS,
    out: Annotated[Path | None, typer.Option(help="Where to write [default: results/<name>]")] = None,
) -> None:
    """Write tables, figures and the report of a grid, whatever of it is finished."""
    from benchmark.reporting import print_table, rebuild_report, write_report

    with console.status("writing the report"):
        if grid.is_dir():
            summary, folder = rebuild_report(grid), grid
        else:
            read, _, experiment = _open(grid, runs, None)
            folder = out or RESULTS / read.name
            summary = write_report(read, experiment, folder)
    print_table(summary, console)
    console.print(f"\nwritten to {folder}/: table.md, table.csv, figures, report.html", highlight=False)


@app.command()
def sync(grid: GridArgument, runs: RunsOption = RUNS, mlflow: UriOption = None) -> None:
    """Bring MLflow up to date from the run directory, which is the truth."""
    from benchmark.tracking import sync as mirror_all

    read, _, experiment = _open(grid, runs, None)
    with console.status("writing to MLflow"):
        mirror_all(experiment, read, mlflow)
    console.print("MLflow is up to date; htbench ui opens it")


@app.command()
def ui(
    grid: Annotated[Path | None, typer.Argument(help="Open on this grid's experiment")] = None,
    mlflow: UriOption = None,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1")] = 5000,
) -> None:
    """Serve MLflow's web interface on this machine until interrupted."""
    from benchmark.tracking import serve_ui

    name = None if grid is None else _open(grid, RUNS, None)[0].name
    serve_ui(mlflow, name, port)


@app.command()
def data(grid: GridArgument) -> None:
    """Fetch and prepare a grid's dataset, and say what is in it."""
    from benchmark import data as datasets

    _, cells, _ = _open(grid, RUNS, None)
    for config in {c.dataset.model_dump_json(): c.dataset for c in cells}.values():
        dataset = datasets.load(config)
        console.print(f"{dataset.name}  sha256 {dataset.sha256}", highlight=False)
        for name, images in dataset.splits.items():
            n_images = int(images.first[-1])
            shape = "x".join(map(str, images.image_shape))
            console.print(f"  {name:<10} {images.classes:>5} classes  {n_images:>6} images of {shape}", highlight=False)


@app.command()
def methods(
    plugin: Annotated[list[Path] | None, typer.Option(help="A file of your own with methods")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the methods with their options and defaults."""
    from dataclasses import fields

    from methods import registry

    for path in plugin or []:
        try:
            registry.load_plugin(path)
        except FileNotFoundError as error:
            raise UserError(f"--plugin {path}: no such file") from error
    listing: list[dict[str, Any]] = []
    for name in registry.names():
        registered = registry.get(name)
        defaults = registered.learner.Config(**registered.fixed)
        options = {f.name: getattr(defaults, f.name) for f in fields(defaults) if f.name not in registered.fixed}
        listing.append({"name": name, "summary": registered.summary, "fixed": registered.fixed, "options": options})
    if as_json:
        print(json.dumps(listing, indent=1))
        return
    for method in listing:
        console.print(f"[bold]{method['name']}[/]  {method['summary']}", highlight=False)
        defaults_text = ", ".join(f"{k}={v}" for k, v in method["options"].items())
        console.print(f"    {defaults_text}", style="dim", highlight=False, markup=False)
