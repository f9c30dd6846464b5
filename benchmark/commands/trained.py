"""Commands on one trained cell: inspect, generate, predict."""

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.markup import escape
from rich.table import Table

from benchmark.commands.common import JsonOption, console, require
from benchmark.machine.terminal import Terminal

if TYPE_CHECKING:
    from benchmark.scoring.swap_test import SwapTest

RunArgument = Annotated[Path, typer.Argument(help="A cell's run directory, such as runs/quickstart/ht-all-8ch-seed0-…")]
SupportOption = Annotated[Path, typer.Option(help="Folder with a folder of pictures per class")]
UnlabelledOption = Annotated[
    Path | None, typer.Option(help="Folder of pictures of unknown class, for a run with episodes.unlabelled")
]
InvertOption = Annotated[
    Literal["auto", "yes", "no"],
    typer.Option(help="Swap bright and dark; auto: pictures of dark ink on light paper, if the run knows bright ink"),
]


def inspect(
    run: RunArgument,
    episode: Annotated[int, typer.Option(min=0, help="Which of the frozen test episodes")] = 0,
    out: Annotated[Path | None, typer.Option(help="Where to write [default: <run>/inspect]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw what a HyperTransformer attends to and the weights it writes, and how much they depend on the task."""
    require("matplotlib", "inspect", "report")
    from benchmark.inspection import inspect_run
    from benchmark.trained.run import load_run

    with console.status("looking inside"):
        seen = inspect_run(load_run(run), episode, out or run / "inspect")
    if as_json:
        print(json.dumps(seen.as_json(), indent=1))
        return
    _say(f"test episode {episode}: accuracy {seen.accuracy:.1%}, classes {', '.join(seen.class_names)}")
    table = Table("weights", "share of variance between tasks", "between domains", "change between two tasks",
                  "attention to support images", box=None)  # fmt: skip
    for name, share in seen.variation_share.items():
        attention = seen.support_attention.get(name.partition(".")[0])
        domains = f"{seen.domain_share[name]:.2g}" if name in seen.domain_share else ""
        change = f"{math.sqrt(2 * share):.1%}"  # of two independent tasks, relative to the spread of the weights
        table.add_row(name, f"{share:.2g}", domains, change, "" if attention is None else f"{attention:.0%}")
    console.print(table)
    if seen.swap is not None:
        _say("\naccuracy with the convolutions written for " + _swapped(seen.swap))
    _say(f"\nwritten to {seen.folder}: {', '.join(seen.figures)}, each .png and .svg")


def generate(
    run: RunArgument,
    support: SupportOption,
    out: Annotated[Path, typer.Option(help="File to write: .onnx or .safetensors")],
    unlabelled: UnlabelledOption = None,
    invert: InvertOption = "auto",
) -> None:
    """Write one small network that tells your own classes apart, to run without htbench."""
    from benchmark.machine.files import make_folder
    from benchmark.trained.export import specialise, writer
    from benchmark.trained.pictures import read_support
    from benchmark.trained.run import load_run

    write = writer(out)
    require(out.suffix[1:], "generate", "export")
    make_folder(out.parent)
    trained = load_run(run)
    pictures = read_support(trained, support, invert, unlabelled)
    network = specialise(trained, pictures)
    write(network, out)
    _say(pictures.note)
    if network.metadata["normalisation"] == "support":
        _say(
            "this method normalises queries with the statistics of the query batch; a network alone has none, so this"
            " one uses those of the support pictures and may answer differently from htbench predict"
        )
    size = out.stat().st_size / 1024
    names = ", ".join(pictures.class_names)
    _say(f"written to {out}: {network.parameters} numbers, {size:.0f} KiB; classes: {names}")


def predict(
    run: RunArgument,
    support: SupportOption,
    query: Annotated[Path, typer.Option(help="Folder with the pictures to classify")],
    unlabelled: UnlabelledOption = None,
    invert: InvertOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Classify your own pictures. Exit status 1 if some of them cannot be read."""
    from benchmark.trained.prediction import classify
    from benchmark.trained.run import load_run

    answer = classify(load_run(run), support, query, invert, unlabelled)
    if as_json:
        rows: list[dict[str, Any]] = [
            {"file": str(p.file), "label": p.label, "probability": p.probability, "probabilities": p.probabilities}
            for p in answer.predictions
        ]
        print(json.dumps({"predictions": rows, "unreadable": answer.unreadable, "notes": answer.notes}, indent=1))
    else:
        table = Table("picture", "class", "probability", box=None)
        for p in answer.predictions:
            table.add_row(escape(str(p.file.relative_to(query))), escape(p.label), f"{p.probability:.1%}")
        console.print(table)
        for note in answer.notes:
            _say(note)
    for problem in answer.unreadable:
        Terminal(stderr=True, soft_wrap=True).print(problem, style="red", highlight=False, markup=False)
    if answer.unreadable:
        raise typer.Exit(1)


def _swapped(swap: "SwapTest") -> str:
    others = {"another task of its domain": swap.same_domain, "a task of another domain": swap.other_domain}
    known = [f"{whose} {value:.1%}" for whose, value in others.items() if value is not None]
    return ", ".join([f"the task itself {swap.own:.1%}", *known])


def _say(text: str) -> None:
    """Print a text that is no markup."""
    console.print(text, highlight=False, markup=False)
