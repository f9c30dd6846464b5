"""Running a report's cells again for the very same numbers: their exact steps, at the commits they were made by.

A budget in minutes becomes other numbers of steps on another machine, `batch: auto` another batch, and later commits
round differently. So every commit gets a grid of its cells, in which each has the steps and the batch that it made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.errors import UserError
from benchmark.grid.source import dump, parse_value
from benchmark.machine.files import write_text
from benchmark.reporting.record import CellRecord, Record

FOR_READERS = ("question", "tuned", "tune")
"""Keys of a grid that do not say what to run; older versions of htbench may not know them."""


@dataclass(frozen=True)
class Made:
    """The finished cells that one commit made.

    Attributes:
        commit: its hash; None where the code was not in a checkout.
        changed: whether there were uncommitted changes, so that the commit is not quite the code.
        cells: those cells, in the order of the grid.
        file: the name of their grid.
    """

    commit: str | None
    changed: bool
    cells: tuple[CellRecord, ...]
    file: str


def by_commit(record: Record) -> list[Made]:
    """The finished cells of a record, by the commit that made them, the most cells first."""
    groups: dict[str | None, list[CellRecord]] = {}
    changed: dict[str | None, bool] = {}
    for cell in record.cells:
        source = cell.result.provenance if cell.result else None
        if cell.state == "done":
            commit = source.commit if source else None
            groups.setdefault(commit, []).append(cell)
            changed[commit] = changed.get(commit, False) or bool(source and source.uncommitted_changes)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0] or ""))
    return [Made(commit, changed[commit], tuple(cells), f"{_name(record, commit)}.yaml") for commit, cells in ordered]


def export_grids(record: Record, folder: Path) -> list[Made]:
    """Write a grid for every commit into the folder.

    Raises:
        UserError: no cell is finished, or the record's grid cannot be read.
    """
    made = by_commit(record)
    if not made:
        raise UserError(f"{record.name} has no finished cell to run again")
    folder.mkdir(parents=True, exist_ok=True)
    for one in made:
        write_text(folder / one.file, grid_of(record, one))
    return made


def grid_of(record: Record, made: Made) -> str:
    """The text of the grid of one commit's cells: the record's, with their steps, and without all other cells."""
    data = parse_value(record.grid_text)
    if not isinstance(data, dict):
        raise UserError(f"the grid of {record.name} is damaged; write the report again from its runs")
    data = {key: value for key, value in data.items() if key not in FOR_READERS}
    data["name"] = _name(record, made.commit)
    others = [cell for cell in record.cells if cell not in made.cells]
    if others:
        data["exclude"] = [*data.pop("exclude", []), *map(_place, others)]
    exact = [override for cell in made.cells if (override := _exact(cell)) is not None]
    data["overrides"] = [*data.pop("overrides", []), *exact]
    if not data["overrides"]:
        del data["overrides"]
    at = f"commit {made.commit}" if made.commit else "a commit that is not known"
    changed = ", with uncommitted changes" if made.changed else ""
    head = f"# {len(made.cells)} cells of {record.name}, made at {at}{changed}, each with its steps there.\n"
    return head + dump(data)


def _name(record: Record, commit: str | None) -> str:
    return f"{record.name}-{commit[:8] if commit else 'exact'}"


def _place(cell: CellRecord) -> dict[str, Any]:
    """The cell's values on the axes of the grid, without those its method does not have."""
    return {axis: value for axis, value in cell.axes.items() if value is not None or not axis.startswith("model.")}


def _exact(cell: CellRecord) -> dict[str, Any] | None:
    """The override that gives a cell its steps and its batch; None if its configuration already says both."""
    training, train = cell.result.training if cell.result else None, cell.config.train
    if training is None or (train.minutes is None and train.batch != "auto"):
        return None
    found: dict[str, Any] = {"steps": training.steps, "minutes": None}
    if train.batch == "auto":
        found["batch"] = training.episodes // training.steps
    place = _place(cell)
    return {"when": place or {"method": cell.config.method}, "train": found}


def commands(made: Sequence[Made], folder: str) -> list[str]:
    """What to type to run them again."""
    lines = []
    for one in made:
        if one.commit:
            lines.append(f"git checkout {one.commit}")
        lines.append(f"htbench run {folder}/{one.file}")
    return lines
