"""Commands on what there is: data, methods."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.commands.common import RUNS, GridArgument, JsonOption, console, open_grid
from benchmark.errors import UserError


def data(grid: GridArgument) -> None:
    """Fetch and prepare a grid's dataset, and say what is in it."""
    from benchmark import data as datasets

    _, cells, _ = open_grid(grid, RUNS, None)
    for config in {c.dataset.model_dump_json(): c.dataset for c in cells}.values():
        for line in datasets.account(config):
            console.print(line, highlight=False, markup=False)
        dataset = datasets.load(config)
        console.print(f"{dataset.name}  sha256 {dataset.sha256}", highlight=False)
        console.print(f"  class split sha256 {dataset.split_sha256}", highlight=False)
        for name, images in dataset.splits.items():
            n_images = int(images.first[-1])
            shape = "x".join(map(str, images.image_shape))
            console.print(f"  {name:<10} {images.classes:>5} classes  {n_images:>6} images of {shape}", highlight=False)
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
        except Exception as error:
            raise UserError(f"--plugin {path} cannot be imported: {type(error).__name__}: {error}") from error
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
