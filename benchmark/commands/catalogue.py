"""Commands on what there is: data, methods, cite."""

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.commands.common import RUNS, GridArgument, JsonOption, console, open_grid
from benchmark.errors import UserError
from benchmark.machine.faults import blamed

if TYPE_CHECKING:
    from benchmark.data.configs import TestDataConfig
    from benchmark.data.dataset import Dataset
    from benchmark.data.official import OfficialRuns


def data(
    grid: GridArgument,
    trust: Annotated[
        bool,
        typer.Option(
            "--trust", help="From now on accept archives that are not the published ones, and pictures in two splits"
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Fetch and prepare what a grid uses, and say what is in it: what is used, ignored, suspicious or refused."""
    from benchmark import data as datasets
    from benchmark.data.files.class_folders import account
    from benchmark.data.files.trust import trusting

    _, cells, _ = open_grid(grid, RUNS, None)
    facts: list[dict[str, Any]] = []
    wanted: list[TestDataConfig] = [config.dataset for config in cells]
    wanted += [test.dataset for config in cells for test in config.tests]
    for config in {one.model_dump_json(): one for one in wanted}.values():
        folders = datasets.account(config)
        facts.append({**config.model_dump(mode="json"), "folders": {s: f.facts() for s, f in folders.items()}})
        if not as_json:
            for line in account(folders):
                console.print(line, highlight=False, markup=False)
        try:
            with trusting() if trust else contextlib.nullcontext():
                dataset = datasets.load_test(config)
        except UserError:
            if as_json:  # what is refused, and why, is in it
                print(json.dumps(facts, indent=1))
            raise
        facts[-1] |= dataset.facts()
        found = datasets.account_of_files(dataset)
        if found is not None:
            facts[-1]["folders"] = {"all": found.facts()}
        if not as_json:
            for line in found.lines() if found is not None else ():
                console.print(line, highlight=False, markup=False)
            _show(dataset)
    if as_json:
        print(json.dumps(facts, indent=1))


def _show(dataset: "Dataset | OfficialRuns") -> None:
    from benchmark.data.official import OfficialRuns

    console.print(f"{dataset.name}  sha256 {dataset.sha256}", highlight=False)
    if isinstance(dataset, OfficialRuns):
        tasks, ways, *size = dataset.support.shape
        console.print(f"  {tasks} tasks of {ways} classes, images of {'x'.join(map(str, size))}", highlight=False)
        return
    if dataset.files_sha256:
        console.print(f"  files sha256 {dataset.files_sha256}", highlight=False)
    console.print(f"  class split sha256 {dataset.split_sha256}", highlight=False)
    for name, images in dataset.splits.items():
        n_images = int(images.first[-1])
        shape = "x".join(map(str, images.image_shape))
        console.print(f"  {name:<10} {images.classes:>5} classes  {n_images:>6} images of {shape}", highlight=False)
        for domain in images.domains:
            times = f", {domain.weight} times as often" if domain.weight > 1 else ""
            console.print(
                f"    {domain.name}: {images.domain_classes(domain)} classes{times}", highlight=False, markup=False
            )
    for remark in dataset.remarks:
        console.print(f"  suspicious {remark}", highlight=False, markup=False)


def methods(
    plugin: Annotated[list[Path] | None, typer.Option(help="A file of your own with methods")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the methods with their options and defaults."""
    from benchmark.cells.options import default_options, option_names
    from methods import registry

    for path in plugin or []:
        try:
            registry.load_plugin(path)
        except FileNotFoundError as error:
            raise UserError(f"--plugin {path}: no such file") from error
        except (Exception, SystemExit) as error:
            place, text = blamed(error, [path.resolve()])
            raise UserError(f"--plugin {place or path} cannot be imported: {text}") from error
    listing: list[dict[str, Any]] = []
    for name in registry.names():
        registered = registry.get(name)
        defaults = default_options(registered)
        free = [option for option in option_names(registered) if option not in registered.fixed]
        options = {option: defaults.get(option, "required") for option in free}
        listing.append({"name": name, "summary": registered.summary, "fixed": registered.fixed, "options": options})
    if as_json:
        print(json.dumps(listing, indent=1))
        return
    for method in listing:
        console.print(f"[bold]{method['name']}[/]  {method['summary']}", highlight=False)
        defaults_text = ", ".join(f"{k}={v}" for k, v in method["options"].items())
        console.print(f"    {defaults_text}", style="dim", highlight=False, markup=False)


def cite(
    grid: Annotated[Path, typer.Argument(help="A grid, or a folder under results/")],
) -> None:
    """Print BibTeX of what a paper should cite that uses a grid: htbench, its methods and its datasets."""
    from benchmark.reporting.citations import bibtex
    from benchmark.reporting.record import Record

    cells = [cell.config for cell in Record.load(grid).cells] if grid.is_dir() else open_grid(grid, RUNS, None)[1]
    print(bibtex(cells), end="")
