"""The command that tests a trained run once more, on other tasks or with other weights."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from benchmark.commands.common import DeviceOption, JsonOption, console
from benchmark.errors import UserError
from benchmark.machine.device import resolve_device

RunArgument = Annotated[Path, typer.Argument(help="A cell's run directory, such as runs/quickstart/ht-all-8ch-seed0-…")]


def evaluate(
    run: RunArgument,
    ways: Annotated[int | None, typer.Option(help="Classes of a task [default: as the run's own test]")] = None,
    shots: Annotated[int | None, typer.Option(help="Labelled images of each class")] = None,
    queries: Annotated[int | None, typer.Option(help="Images to classify of each class")] = None,
    unlabelled: Annotated[int | None, typer.Option(help="Unlabelled images of each class")] = None,
    tasks: Annotated[int | None, typer.Option(help="Tasks of a sequence, for continual methods")] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="Another data set: its name, or options as in a grid: '{name: omniglot, split: lake}'"),
    ] = None,
    domain: Annotated[str | None, typer.Option(help="One domain of the data set")] = None,
    checkpoint: Annotated[str, typer.Option(help="Which weights: best, last, or the number of a step kept")] = "best",
    episodes: Annotated[int | None, typer.Option(help="Test episodes")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the test episodes")] = None,
    name: Annotated[str | None, typer.Option(help="What tables call the test [default: how it differs]")] = None,
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Test a run's weights on other tasks, while it trains or after; the report shows the result in a row of its own.

    What is not said is as in the run's own test. The result is kept with the run, and looked up the next time.
    """
    from benchmark.cells.folder import CellFolder
    from benchmark.execution.evaluate import evaluate as score
    from benchmark.statistics import episode_interval

    given = {
        "name": name,
        "dataset": _dataset(dataset),
        "domain": domain,
        "ways": ways,
        "shots": shots,
        "queries": queries,
        "unlabelled": unlabelled,
        "tasks": tasks,
        "episodes": episodes,
        "seed": seed,
    }
    entry = _entry(given)
    which = _which(checkpoint)
    with console.status("testing"):
        found = score(CellFolder(run), entry, which, resolve_device(device))
    interval = episode_interval(found.accuracy[None]).within(0, 1)
    if as_json:
        print(
            json.dumps(
                {
                    "run": str(run),
                    "test": found.test.name,
                    "key": found.test.key,
                    "setting": found.test.model_dump(mode="json", exclude={"name"}),
                    "step": found.step,
                    "accuracy": found.score.accuracy,
                    "interval": [interval.low, interval.high],
                    "episodes": found.score.episodes,
                    "episodes_sha256": found.score.sha256,
                    "seconds_per_task": found.score.seconds_per_task,
                    "origin": found.origin,
                    "note": found.note,
                },
                indent=1,
            )
        )
        return
    told = {
        "own": "the run's own test, as its grid has it",
        "recorded": "scored before with these weights",
        "scored": "kept with the run; htbench report shows it in a row of its own",
    }
    after = f" after {found.step:,} steps" if found.step else ""
    half = 100 * interval.half_width
    console.print(
        f"{found.test.name}: accuracy {100 * found.score.accuracy:.2f} ± {half:.2f} %{after}"
        f" ({found.score.episodes:,} episodes; ± over these alone)",
        highlight=False,
        markup=False,
    )
    note = f"; {found.note}" if found.note else ""
    console.print(f"{told[found.origin]}{note}; test episodes sha256 {found.score.sha256[:16]}", highlight=False)


def _dataset(text: str | None) -> Any:
    """The name of a dataset, or its options."""
    from benchmark.data.files.places import expanded_text
    from benchmark.grid.source import parse_value

    found = None if text is None else parse_value(text)
    if isinstance(found, dict) and isinstance(found.get("path"), str):
        found["path"] = expanded_text(found["path"])
    return found


def _entry(given: dict[str, Any]) -> Any:
    """What was asked for, checked.

    Raises:
        UserError: naming the option that is wrong.
    """
    from pydantic import ValidationError

    from benchmark.cells.further import TestEntry
    from benchmark.grid.axes import section_keys
    from benchmark.grid.messages import explain, unknown

    known = {key: value for key, value in given.items() if value is not None}
    try:
        return TestEntry.model_validate_json(json.dumps(known), strict=True)
    except ValidationError as error:
        said = []
        for detail in error.errors():
            place = detail["loc"]
            option = ".".join(map(str, (place[0], *place[2:]) if place[0] == "dataset" else place))
            if detail["type"] == "extra_forbidden":
                dataset = known["dataset"].get("name") if isinstance(known["dataset"], dict) else None
                said.append(
                    f"--dataset: {unknown(f'key {place[-1]!r}', str(place[-1]), section_keys('dataset', dataset))}"
                )
            else:
                said.append(f"--{explain([detail], option)}")
        raise UserError("\n".join(said)) from error


def _which(checkpoint: str) -> Any:
    """The weights that `--checkpoint` means."""
    if checkpoint in ("best", "last"):
        return checkpoint
    digits = checkpoint.replace(",", "").replace("_", "")
    if not digits.isdecimal():
        raise UserError(f"--checkpoint should be best, last or the number of a step, found {checkpoint!r}")
    return int(digits)
