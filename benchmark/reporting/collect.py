"""What a report is made of: every planned cell with all its facts, read from the run directory once.

A `Record` is saved next to the report as three small files, and everything else in the folder is derived from them:

    grid.yaml         the grid as run
    cells.json        every cell: configuration, state, result or failure, learning curve
    accuracies.npz    test accuracy of every episode of every finished cell, under the cell's key

So a report in results/ can be rebuilt, and its numbers tested again, without the run directory.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from benchmark.config import CellConfig
from benchmark.errors import UserError
from benchmark.result import Result
from benchmark.store import CellStore, ExperimentStore, State, write_text, write_whole

if TYPE_CHECKING:
    from benchmark.grid import Grid

FORMAT = 1
"""Version of cells.json; a newer one is refused."""

CURVE_POINTS = 100
"""Points kept of a learning curve; more cannot be seen."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Curve(_Part):
    """Validation accuracy over training, thinned to about `CURVE_POINTS`."""

    steps: tuple[int, ...]
    accuracy: tuple[float, ...]


class CellRecord(_Part):
    """One planned cell, whatever has become of it. `axes` holds its value on every axis of the grid."""

    key: str
    folder: str
    axes: dict[str, Any]
    config: CellConfig
    state: State
    result: Result | None
    curve: Curve | None


class _CellsFile(_Part):
    format: int
    name: str
    axes: dict[str, list[Any]]
    cells: tuple[CellRecord, ...]


@dataclass(frozen=True)
class Record:
    """Everything a report is derived from.

    Attributes:
        name: of the grid.
        axes: the axes on which cells differ, with their values.
        cells: all planned cells, in the order of the grid.
        accuracy: cell key -> test accuracies (E,) float32 in [0, 1], for finished cells.
        grid_text: the grid file.
    """

    name: str
    axes: Mapping[str, list[Any]]
    cells: tuple[CellRecord, ...]
    accuracy: dict[str, NDArray[np.float32]] = field(repr=False)
    grid_text: str = field(repr=False)

    def save(self, folder: Path) -> None:
        """Write the three files; the same record gives the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        arrays: dict[str, Any] = dict(self.accuracy)
        head = json.dumps({"format": FORMAT, "name": self.name, "axes": dict(self.axes)}, ensure_ascii=False)
        lines = ",\n".join(cell.model_dump_json() for cell in self.cells)  # one line per cell
        write_text(folder / "cells.json", f'{head[:-1]},\n"cells": [\n{lines}\n]}}\n')
        write_text(folder / "grid.yaml", self.grid_text)
        # NumPy dates everything in the archive 1980-01-01, so these bytes repeat, too.
        write_whole(folder / "accuracies.npz", lambda file: np.savez_compressed(file, **arrays))

    @classmethod
    def load(cls, folder: Path) -> "Record":
        """Read what `save` wrote.

        Raises:
            UserError: a file is missing or damaged, or was written by a newer htbench.
        """
        try:
            raw = json.loads((folder / "cells.json").read_text())
            if raw.get("format", 0) > FORMAT:
                raise UserError(f"{folder / 'cells.json'} was written by a newer htbench; upgrade")
            content = _CellsFile.model_validate(raw)
            with np.load(folder / "accuracies.npz", allow_pickle=False) as packed:
                accuracy = {key: packed[key] for key in packed.files}
            text = (folder / "grid.yaml").read_text()
        except FileNotFoundError as error:
            raise UserError(
                f"{error.filename} is missing; give a folder that htbench report wrote, or a grid file"
            ) from error
        except (ValueError, ValidationError) as error:
            raise UserError(f"{folder} is damaged ({error}); write the report again from its runs") from error
        return cls(content.name, content.axes, content.cells, accuracy, text)


def collect(grid: "Grid", experiment: ExperimentStore) -> Record:
    """Read every cell of the grid, missing and failed ones too.

    Raises:
        UserError: a cell's record is damaged.
    """
    from benchmark.grid import axis_value

    cells, accuracy = [], {}
    for config in grid.cells:
        store = experiment.cell(config)
        state = store.state()
        result = store.result() if state in ("done", "failed") else None
        if state == "done":
            accuracy[config.key] = _accuracy(store)
        cells.append(
            CellRecord(
                key=config.key,
                folder=store.folder.name,
                axes={axis: axis_value(config, axis) for axis in grid.axes},
                # Plugins are named by their place on this machine, which means nothing elsewhere.
                config=config.model_copy(update={"plugins": ()}),
                state=state,
                result=_without_repetition(result) if result else None,
                curve=_curve(store.metrics()),
            )
        )
    return Record(
        grid.name, {axis: list(values) for axis, values in grid.axes.items()}, tuple(cells), accuracy, grid.text
    )


def _accuracy(store: CellStore) -> NDArray[np.float32]:
    try:
        return store.test_accuracy().astype(np.float32)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{store.folder}: no readable test accuracies ({error}); delete the folder to run it again"
        ) from error


def _without_repetition(result: Result) -> Result:
    """The result without the configuration, which the cell has, and without this machine's folders in the traceback."""
    failure = result.failure
    if failure is not None:
        # Files of packages are named from the package on, others by their last part.
        traceback = re.sub(r'(?<=File ")[^"]*/(?=(?:benchmark|methods|site-packages)/)', "", failure.traceback)
        traceback = re.sub(r'(?<=File ")/[^"]*/', "", traceback)
        failure = failure.model_copy(update={"traceback": traceback})
    return result.model_copy(update={"config": {}, "failure": failure})


def _curve(metrics: list[dict[str, Any]]) -> Curve | None:
    points = {int(record["step"]): float(record["val/accuracy"]) for record in metrics if "val/accuracy" in record}
    if not points:
        return None
    steps = sorted(points)
    every = -(-len(steps) // CURVE_POINTS)
    # Counted from the end, so that the last point is always kept.
    kept = steps[::-1][::every][::-1]
    return Curve(steps=tuple(kept), accuracy=tuple(round(points[step], 5) for step in kept))
