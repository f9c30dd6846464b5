"""Files of a finished or interrupted run, damaged in every way: what do `status`, `report` and `run` show?"""

import csv
import json
import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.cells.folder import CellFolder
from tests.campaigns import forked
from tests.campaigns.subject import Subject
from tests.campaigns.tally import Tally

Damage = Callable[[Path, random.Random], None]


def _flip(path: Path, chance: random.Random) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


def _cut(path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data) or 1)])


def _zeros(path: Path, chance: random.Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _empty(path: Path, chance: random.Random) -> None:
    path.write_bytes(b"")


def _gone(path: Path, chance: random.Random) -> None:
    path.unlink()


def _folder(path: Path, chance: random.Random) -> None:
    path.unlink()
    path.mkdir()


def _neighbour(path: Path, chance: random.Random) -> None:
    """The other cell's file of the same name."""
    [other] = [one for one in path.parent.parent.iterdir() if one.is_dir() and one != path.parent]
    shutil.copy(other / path.name, path)


def _edited(path: Path, chance: random.Random) -> None:
    """Something else that is well formed: a number, a key or a value."""
    if path.suffix == ".npy":
        values = np.load(path)
        np.save(path, chance.choice([values[:-1], values * 0.5, np.full_like(values, np.nan), values.astype(str)]))
    elif path.suffix == ".json":
        content = json.loads(path.read_text())
        places = list(_places(content))
        holder, key = chance.choice(places)
        holder[key] = chance.choice([0.999, -1, "x", None, True, [], {}, 1e308, float("nan"), "../x"])
        path.write_text(json.dumps(content))
    else:
        path.write_bytes(chance.randbytes(200))


def _places(content: object) -> Iterator[tuple[Any, Any]]:
    if isinstance(content, dict | list):
        for key, value in list(content.items()) if isinstance(content, dict) else list(enumerate(content)):
            yield content, key
            yield from _places(value)


DAMAGES: dict[str, Damage] = {
    "a flipped bit": _flip,
    "cut": _cut,
    "zeros": _zeros,
    "empty": _empty,
    "missing": _gone,
    "a folder": _folder,
    "another cell's": _neighbour,
    "edited": _edited,
}


def damaged_records(subject: Subject, tally: Tally, seconds: float, chance: random.Random) -> None:
    """One file of one cell of a finished run; the other cell's number must be shown, and no wrong one."""
    runs, end = subject.folder / "damaged", time.monotonic() + seconds
    names = ["result.json", "test_accuracy.npy", "ensemble_accuracy.npy", "metrics.jsonl", "cell.json", "best.pt"]
    todo = [(name, damage) for name in names for damage in DAMAGES]
    while time.monotonic() < end:
        name, damage = todo.pop(0) if todo else (chance.choice(names), chance.choice(list(DAMAGES)))
        experiment = subject.copy(runs)
        hurt, sound = experiment.cells()
        DAMAGES[damage](hurt.folder / name, chance)
        _look(subject, runs, sound, tally, f"{name} {damage}")


def _look(subject: Subject, runs: Path, sound: CellFolder, tally: Tally, what: str) -> None:
    """What `status` and `report` make of a run directory of which one cell is damaged."""
    log, out = subject.folder / "log", subject.folder / "report"
    true = subject.accuracy
    status = forked.cli(["status", subject.grid, "--runs", runs, "--json"], subject.folder, log)
    if status.outcome in ("traceback", "hang", "unclear"):
        tally.add(status.outcome, f"{what}: status: {status.output[-300:]}")
        return
    shown: dict[str, float | None] = {}
    if status.status != 2:
        text = status.output[status.output.find("{") :]
        shown = {cell["key"]: cell["accuracy"] for cell in json.loads(text)["cells"]}
    forked.fresh(out)
    report = forked.cli(["report", subject.grid, "--runs", runs, "--out", out], subject.folder, log)
    if report.outcome in ("traceback", "hang", "unclear"):
        tally.add(report.outcome, f"{what}: report: {report.output[-300:]}")
        return
    if any(value is not None and value != true[key] for key, value in shown.items()):
        tally.add("wrong number", f"{what}: status shows {shown}, true is {true}")
    elif report.status == 0 and not _true_report(out, true):
        tally.add("wrong number", f"{what}: report")
    elif report.status == 2 or shown.get(sound.config().key) is None:
        tally.add("lost", f"{what}: the other cell is not shown: {report.output[-300:]}")
    else:
        tally.add("right" if shown == true else "refused", what)


def _true_report(out: Path, true: dict[str, float]) -> bool:
    """Whether the table's first row is the mean of a set of true accuracies, or says that there is none."""
    rows = list(csv.DictReader((out / "table.csv").read_text().splitlines()))
    text = rows[0].get("accuracy", "")
    values = list(true.values())
    possible = [*values, sum(values) / len(values)]
    return text == "" or any(abs(float(text) - value) < 2e-6 for value in possible)


def damaged_checkpoints(subject: Subject, tally: Tally, seconds: float, chance: random.Random) -> None:
    """Files of a cell that was killed on its way: continued, it refuses, starts anew, or gives the true number."""
    runs, log, end = subject.folder / "halfway", subject.folder / "log", time.monotonic() + seconds
    names = ["last.pt", "best.pt", "metrics.jsonl", "member"]
    while time.monotonic() < end:
        store = subject.empty(runs)
        forked.cell(store.folder, log, forked.killed_at(chance.randrange(25, 45), store.folder))
        name, damage = chance.choice(names), chance.choice([d for d in DAMAGES if d != "another cell's"])
        found = [path for path in store.folder.iterdir() if path.name.startswith(name)]
        if not found:
            continue
        DAMAGES[damage](chance.choice(found), chance)
        what = f"{name} {damage}"
        ended = forked.cell(store.folder, log)
        outcome, note = subject.judge(store, finished=True)
        result = store.result() if outcome != "refused" else None
        if ended.outcome == "hang":
            tally.add("hang", what)
        elif outcome == "wrong number":
            tally.add(outcome, f"{what}: {note}")
        elif outcome == "lost" and result is not None and result.failure is not None:
            clear = result.failure.kind == "bad input"
            tally.add("refused" if clear else "unclear", f"{what}: {result.failure.kind}: {result.failure.reason}")
        elif outcome == "lost" and "Traceback" not in ended.output and ended.output.strip():
            tally.add("refused", what)
        else:
            tally.add(outcome, f"{what}: {note} {ended.output[-200:]}")
