"""What a report is made of: every planned cell with all its facts, read from the run directory once.

A `Record` is saved next to the report as a few small files, and everything else in the folder is derived from them:

    grid.yaml         the grid as run
    cells.json        every cell: configuration, state, result or failure, learning curve, last diagnostics
    accuracies.npz    test accuracy of every episode of every finished cell, under the cell's key
    ensembles.npz     where checkpoints were tested together: the same of these ensembles
    matrices.npz      where cells learn task sequences: their accuracy matrices, under the cell's key

So a report in results/ can be rebuilt, and its numbers tested again, without the run directory.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, ValidationError

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, ExperimentFolder, State
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.names import checked_name, is_name
from benchmark.cells.result import Result
from benchmark.errors import UserError
from benchmark.grid.source import parse_value
from benchmark.machine.files import make_folder, write_text, write_whole
from benchmark.machine.frozen import Frozen

if TYPE_CHECKING:
    from benchmark.grid import Grid

FORMAT = 1
"""Version of cells.json; a newer one is refused."""

CURVE_POINTS = 100
"""Points kept of a learning curve; more cannot be seen."""


def _folder_name(text: str) -> str:
    """A folder's name is part of paths that are written to, so a record cannot hold just any."""
    if not is_name(text, length=255):
        raise ValueError(f"{text[:80]!r} is not the name of a cell's folder")
    return text


class Curve(Frozen):
    """Validation accuracy over training, thinned to about `CURVE_POINTS`."""

    steps: tuple[int, ...]
    accuracy: tuple[float, ...]


class CellRecord(Frozen):
    """One planned cell, whatever has become of it.

    `axes` holds its value on every axis of the grid, `diagnostics` what `Method.diagnostics` said at the last
    validation.
    """

    key: str
    folder: Annotated[str, AfterValidator(_folder_name)]
    axes: dict[str, Any]
    config: CellConfig
    state: State
    result: Result | None
    curve: Curve | None
    diagnostics: dict[str, float]


class _CellsFile(Frozen):
    format: int
    name: Annotated[str, AfterValidator(checked_name)]
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
        matrices: cell key -> accuracy matrices (E, J, I) float32 of task sequences, see `benchmark.scoring.forgetting`.
        ensembles: cell key -> test accuracies (E,) of its ensemble of checkpoints, where there is one.
    """

    name: str
    axes: Mapping[str, list[Any]]
    cells: tuple[CellRecord, ...]
    accuracy: dict[str, NDArray[np.float32]] = field(repr=False)
    grid_text: str = field(repr=False)
    matrices: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    ensembles: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)

    @property
    def tuned(self) -> str:
        """What the grid says about how its methods were tuned."""
        found = parse_value(self.grid_text)
        tuned = found.get("tuned", "") if isinstance(found, dict) else ""
        return tuned if isinstance(tuned, str) else ""

    @property
    def files(self) -> list[str]:
        """Names of the files that `save` writes."""
        optional = {"matrices.npz": self.matrices, "ensembles.npz": self.ensembles}
        return ["grid.yaml", "cells.json", "accuracies.npz", *(name for name, arrays in optional.items() if arrays)]

    def save(self, folder: Path) -> None:
        """Write the files; the same record gives the same bytes."""
        make_folder(folder)
        head = json.dumps({"format": FORMAT, "name": self.name, "axes": dict(self.axes)}, ensure_ascii=False)
        lines = ",\n".join(cell.model_dump_json() for cell in self.cells)  # one line per cell
        write_text(folder / "cells.json", f'{head[:-1]},\n"cells": [\n{lines}\n]}}\n')
        write_text(folder / "grid.yaml", self.grid_text)
        _save_arrays(folder / "accuracies.npz", self.accuracy)
        if self.matrices:
            _save_arrays(folder / "matrices.npz", self.matrices)
        if self.ensembles:
            _save_arrays(folder / "ensembles.npz", self.ensembles)

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
            accuracy = _load_arrays(folder / "accuracies.npz")
            sequences = any(cell.result and cell.result.continual for cell in content.cells)
            matrices = _load_arrays(folder / "matrices.npz") if sequences else {}
            together = any(cell.result and cell.result.ensemble for cell in content.cells)
            ensembles = _load_arrays(folder / "ensembles.npz") if together else {}
            text = (folder / "grid.yaml").read_text()
        except FileNotFoundError as error:
            raise UserError(
                f"{error.filename} is missing; give a folder that htbench report wrote, or a grid file"
            ) from error
        except (ValueError, ValidationError) as error:
            raise UserError(f"{folder} is damaged ({error}); write the report again from its runs") from error
        return cls(content.name, content.axes, content.cells, accuracy, text, matrices, ensembles)


def _save_arrays(path: Path, arrays: dict[str, NDArray[np.float32]]) -> None:
    # NumPy dates everything in the archive 1980-01-01, so these bytes repeat, too.
    named: dict[str, Any] = dict(arrays)
    write_whole(path, lambda file: np.savez_compressed(file, **named))


def _load_arrays(path: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(path, allow_pickle=False) as packed:
        return {key: packed[key] for key in packed.files}


def collect(grid: "Grid", experiment: ExperimentFolder) -> Record:
    """Read every cell of the grid, missing and failed ones too.

    Raises:
        UserError: a cell's record is damaged.
    """
    from benchmark.grid import axis_value

    planned = [(config, {axis: axis_value(config, axis) for axis in grid.axes}) for config in grid.cells]
    axes = {axis: list(values) for axis, values in grid.axes.items()}
    return collect_planned(grid.name, axes, planned, grid.text, experiment)


def collect_planned(
    name: str,
    axes: dict[str, list[Any]],
    planned: Iterable[tuple[CellConfig, dict[str, Any]]],
    grid_text: str,
    experiment: ExperimentFolder,
) -> Record:
    """`collect` for a grid whose file and plugins are not at hand: `planned` has every cell's place on the axes."""
    cells, accuracy, matrices, ensembles = [], {}, {}, {}
    for config, place in planned:
        store = experiment.cell(config)
        state = store.state()
        result = store.result() if state in ("done", "failed") else None
        metrics = store.metrics()
        if state == "done":
            accuracy[config.key] = _readable(store, store.test_accuracy)
            if result is not None and result.continual is not None:
                matrices[config.key] = _readable(store, store.test_matrices)
            if result is not None and result.ensemble is not None:
                ensembles[config.key] = _readable(store, store.ensemble_accuracy)
        cells.append(
            CellRecord(
                key=config.key,
                folder=store.folder.name,
                axes=place,
                # Plugins are named by their place on this machine, which means nothing elsewhere.
                config=config.model_copy(update={"plugins": ()}),
                state=state,
                result=_without_repetition(result) if result else None,
                curve=_curve(metrics),
                diagnostics=_diagnostics(metrics),
            )
        )
    return Record(name, axes, tuple(cells), accuracy, grid_text, matrices, ensembles)


def _readable(store: CellFolder, read: Callable[[], NDArray[Any]]) -> NDArray[np.float32]:
    try:
        return read().astype(np.float32)
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


def _curve(metrics: list[MetricsLine]) -> Curve | None:
    points = {line.step: line.accuracy for line in metrics if line.accuracy is not None}
    if not points:
        return None
    steps = sorted(points)
    every = -(-len(steps) // CURVE_POINTS)
    # Counted from the end, so that the last point is always kept.
    kept = steps[::-1][::every][::-1]
    return Curve(steps=tuple(kept), accuracy=tuple(round(points[step], 5) for step in kept))


def _diagnostics(metrics: list[MetricsLine]) -> dict[str, float]:
    """What the method said about itself at the last validation."""
    return {name: round(value, 6) for name, value in metrics[-1].diagnostics.items()} if metrics else {}
