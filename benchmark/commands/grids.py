"""Commands on a grid: plan, run, status, report."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.commands.common import (
    RESULTS,
    RUNS,
    DeviceOption,
    GridArgument,
    JsonOption,
    KernelOption,
    OnlyOption,
    RunsOption,
    TrackOption,
    UriOption,
    console,
    open_grid,
    open_tracking,
    resolve_kernel,
)
from benchmark.errors import UserError
from benchmark.machine.device import resolve_device, resolve_workers

if TYPE_CHECKING:
    from benchmark.execution.plan import PlannedCell
    from benchmark.reporting.record import Record


def plan(
    grid: GridArgument,
    runs: RunsOption = RUNS,
    only: OnlyOption = None,
    timing: Annotated[bool, typer.Option(help="Time a few steps of every kind of cell of unknown cost")] = True,
    as_json: JsonOption = False,
) -> None:
    """List the cells with their state, the time they will take and the smallest difference the test can detect."""
    from benchmark.execution import display
    from benchmark.execution.detectable import detectable
    from benchmark.execution.plan import Datasets, make_plan, measure_speed, preflight, unknown_speeds
    from benchmark.machine.duration import duration

    read, cells, experiment = open_grid(grid, runs, only)
    planned = make_plan(cells, experiment)
    if timing:
        preflight([p.config for p in planned if p.state in ("missing", "outdated") or p.tests_to_score()])
        speeds: dict[str, float] = {}
        datasets = Datasets()
        with console.status("") as status:
            for number, config in enumerate(unknown := unknown_speeds(planned), 1):
                status.update(f"timing {config.method} ({number}/{len(unknown)})")
                speeds |= measure_speed(config, datasets)
        planned = make_plan(cells, experiment, speeds)
    found = detectable(planned, RESULTS)
    if as_json:
        print(
            json.dumps(
                {"name": read.name, "cells": [_cell_json(p) for p in planned], "detectable": asdict(found)}, indent=1
            )
        )
        return
    console.print(display.plan_table(planned))
    lefts = [p.remaining_seconds for p in planned]
    total = None if None in lefts else sum(left or 0.0 for left in lefts)
    console.print(f"\n{len(planned)} cells, about {duration(total)} of training left (one core, or one GPU).")
    console.print(found.sentence)


def _cell_json(planned: "PlannedCell") -> dict[str, Any]:
    result = planned.store.result() if planned.state in ("done", "failed") else None
    return {
        "cell": planned.store.folder.name,
        "key": planned.config.key,
        "state": planned.state,
        "note": planned.note,
        "stale": planned.stale,
        "remaining_seconds": planned.remaining_seconds,
        "accuracy": result.test.accuracy if result and result.test else None,
        "tests": [
            {
                "name": one.label,
                "key": one.test.key,
                "state": one.state,
                "note": one.note,
                "accuracy": one.record.score.accuracy if one.record and one.record.score else None,
            }
            for one in planned.tests
        ],
        "config": planned.config.model_dump(mode="json"),
    }


def run(
    grid: GridArgument,
    runs: RunsOption = RUNS,
    only: OnlyOption = None,
    workers: Annotated[int, typer.Option(min=0, help="Cells at a time; 0: one per core, or one on a GPU")] = 0,
    device: DeviceOption = "auto",
    kernel: KernelOption = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Run failed and damaged cells again")] = False,
    stale: Annotated[
        bool, typer.Option("--stale", help="Also run again what was made with other built-in code or data than today's")
    ] = False,
    mlflow: UriOption = None,
    track: TrackOption = True,
) -> None:
    """Run every cell that has no result yet, each in its own process; continue those that were interrupted.

    Results that were made from something else (a plugin since edited, another default) are kept aside and made again.
    """
    from benchmark.execution.display import RunDisplay
    from benchmark.execution.launch import ready_cells
    from benchmark.execution.local import execute
    from benchmark.execution.plan import make_plan
    from benchmark.machine.duration import duration

    read, cells, experiment = open_grid(grid, runs, only)
    planned = make_plan(cells, experiment)
    device = resolve_device(device)
    arithmetic = resolve_kernel(kernel)
    todo, to_test = ready_cells(
        planned,
        retry_failed=retry_failed,
        stale=stale,
        told=lambda line: console.print(line, highlight=False, markup=False),
    )
    if todo or to_test:
        experiment.write_grid(read.text)
    workers = resolve_workers(workers, device)
    lefts = [p.remaining_seconds for p in todo]
    total = None if None in lefts else sum(left or 0.0 for left in lefts) / min(workers, max(1, len(todo)))
    console.print(
        f"{read.name}: {len(cells)} cells, {len(todo)} to run with {workers} worker(s) on {device}"
        + ("" if total is None else f", about {duration(total)} of training"),
        highlight=False,
    )
    if to_test:
        count = sum(len(tests) for _, tests in to_test)
        console.print(f"{count} further tests of {len(to_test)} finished cells to score, without training them again")
    todo += [cell for cell, _ in to_test]
    if todo and device == "cpu":
        console.print(f"kernel: {arithmetic}", highlight=False, markup=False)
    with open_tracking(mlflow, read, experiment, track) as mirror:
        events = execute([p.store for p in todo], workers=workers, device=device)
        try:
            expected = {p.store.folder.name: p.remaining_seconds for p in todo if p.remaining_seconds is not None}
            for event in RunDisplay(console, [p.store for p in todo], expected).follow(events):
                if mirror is not None:
                    mirror.follow(event)
        except KeyboardInterrupt:
            events.close()
            console.print("interrupted; the same command continues where it stopped")
            raise typer.Exit(130) from None
    final = make_plan(cells, experiment)
    unfinished = [p for p in final if not p.complete]
    for cell in unfinished:
        console.print(
            f"{cell.state}: {cell.store.folder.name}  {cell.told}", style="red", highlight=False, markup=False
        )
    console.print(f"{len(final) - len(unfinished)} of {len(final)} cells done; htbench report {grid} makes the table")
    if any(cell.state in ("failed", "damaged") or cell.broken_tests for cell in unfinished):
        console.print("what failed or is damaged runs again with --retry-failed; a cell's log.txt has all it printed")
    if any(cell.stale for cell in final):
        console.print("cells done with other code or data run again with --stale")
    if unfinished:
        raise typer.Exit(1)


def status(grid: GridArgument, runs: RunsOption = RUNS, only: OnlyOption = None, as_json: JsonOption = False) -> None:
    """What has become of every cell. Exit status 1 while some cell has no result."""
    from benchmark.execution.display import plan_table
    from benchmark.execution.plan import make_plan

    read, cells, experiment = open_grid(grid, runs, only)
    planned = make_plan(cells, experiment)
    done = sum(p.complete for p in planned)
    if as_json:
        print(json.dumps({"name": read.name, "done": done, "cells": [_cell_json(p) for p in planned]}, indent=1))
    else:
        console.print(plan_table(planned))
        console.print(f"\n{done} of {len(planned)} cells done")
        if any(cell.stale for cell in planned):
            console.print("cells done with other code or data run again with htbench run --stale")
    if done < len(planned):
        raise typer.Exit(1)


def report(
    grid: Annotated[
        list[Path] | None,
        typer.Argument(help="A grid, or a folder under results/ to rebuild from its own data; two: compare them"),
    ] = None,
    runs: RunsOption = RUNS,
    out: Annotated[Path | None, typer.Option(help="Where to write [default: results/<name>]")] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Rebuild every folder under results/ from its own data, and their index")
    ] = False,
    columns: Annotated[
        str, typer.Option(help="Columns of table.tex, with commas: method,channels,accuracy [default: a paper's]")
    ] = "",
    export_grid: Annotated[
        Path | None,
        typer.Option(help="Write grids with every cell's exact steps, one for each commit, into this folder instead"),
    ] = None,
    from_mlflow: Annotated[
        str | None,
        typer.Option(help="Read this MLflow tracking server instead of a run directory; GRID is the grid's name"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Even if the folder holds another grid, or finished cells not at hand")
    ] = False,
) -> None:
    """Write tables, figures and the report of a grid, whatever of it is finished, or compare two of them."""
    from benchmark.reporting import print_table, rebuild_all, rebuild_report, write_report

    given = grid or []
    if every:
        failed = 0
        for folder, error in rebuild_all(given[0] if given else RESULTS):
            failed += error is not None
            if error is None:
                console.print(f"rebuilt {folder}/", highlight=False)
            else:
                console.print(f"not rebuilt: {error}", style="red", highlight=False, markup=False)
        if failed:
            raise typer.Exit(1)
        return
    if not given or len(given) > 2:
        raise UserError(
            "name a grid or a folder under results/, or two to compare, or give --all for all of these folders"
        )
    if len(given) == 2:
        _compare(given[0], given[1], runs, out)
        return
    (path,) = given
    if export_grid is not None:
        _export(path, runs, export_grid)
        return
    chosen = [name.strip() for name in columns.split(",") if name.strip()]
    with console.status("writing the report"):
        if from_mlflow is not None:
            from benchmark.tracking import report_from_mlflow

            folder = out or RESULTS / path
            summary = report_from_mlflow(from_mlflow, str(path), folder, overwrite=overwrite)
        elif path.is_dir():
            summary, folder = rebuild_report(path, chosen), path
        else:
            read, _, experiment = open_grid(path, runs, None)
            folder = out or RESULTS / read.name
            summary = write_report(read, experiment, folder, chosen, overwrite=overwrite)
    print_table(summary, console)
    console.print(f"\nwritten to {folder}/: table.md, table.csv, figures, report.html", highlight=False)


def _record(path: Path, runs: Path) -> "Record":
    """What a report's folder holds, or what the runs of a grid have left so far."""
    from benchmark.reporting.record import Record, collect

    if path.is_dir():
        return Record.load(path)
    read, _, experiment = open_grid(path, runs, None)
    return collect(read, experiment)


def _export(path: Path, runs: Path, folder: Path) -> None:
    """Write the grids that make the same numbers again, and say what to type."""
    from benchmark.reporting.reproduce import commands, export_grids

    made = export_grids(_record(path, runs), folder)
    for one in made:
        if one.changed:
            console.print(f"{one.file}: made with uncommitted changes, so the commit may not be all", style="yellow")
    console.print("\n".join(commands(made, str(folder))), highlight=False, markup=False)


def _compare(first: Path, second: Path, runs: Path, out: Path | None) -> None:
    """Print two reports in one table, and write it where `out` says."""
    from benchmark.reporting.compare import comparison_table, write_comparison
    from benchmark.reporting.terminal import print_rows

    table = comparison_table(_record(first, runs), _record(second, runs))
    print_rows(table, console)
    if out is not None:
        write_comparison(table, out)
        console.print(f"\nwritten to {out}/: comparison.md, comparison.csv, comparison.tex", highlight=False)


def adopt(
    results: Annotated[Path, typer.Argument(help="A folder that htbench report wrote", exists=True, file_okay=False)],
    runs: RunsOption = RUNS,
) -> None:
    """Count the finished cells of a report as run, to go on with its grid on another machine."""
    from benchmark.cells.folder import ExperimentFolder
    from benchmark.reporting.adopt import adopt as take_over
    from benchmark.reporting.record import Record

    record = Record.load(results)
    adopted = take_over(record, ExperimentFolder(runs / record.name))
    console.print(f"adopted {len(adopted)} of {len(record.cells)} cells into {runs / record.name}/", highlight=False)
