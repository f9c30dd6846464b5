"""What a report is made of: every planned cell with all its facts, read from the run directory once.

A `Record` is saved next to the report as a few small files, and everything else in the folder is derived from them:

    grid.yaml         the grid as run
    cells.json        every cell: configuration, state, result or failure, learning curve, last diagnostics
    accuracies.npz    test accuracy of every episode of every finished cell, under the cell's key
    ensembles.npz     where checkpoints were tested together: the same of these ensembles
    matrices.npz      where cells learn task sequences: their accuracy matrices, under the cell's key
    tests.npz         where cells have further tests: the same of these, under the cell's key and the test's
    domains.npz       where tasks have domains: which each episode has, as in a cell's folder, under the cell's key

So a report in results/ can be rebuilt, and its numbers tested again, without the run directory.
"""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, ValidationError

from benchmark.cells.arrays import DamagedError, check_accuracy, check_domains, check_matrices, check_sha256, parse_npy
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import (
    ENSEMBLE_ACCURACY,
    TEST_ACCURACY,
    TEST_DOMAINS,
    TEST_MATRICES,
    ExperimentFolder,
    State,
)
from benchmark.cells.further_standing import standings_of_tests
from benchmark.cells.identity import standing
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.names import checked_name, is_name
from benchmark.cells.result import Result
from benchmark.errors import UserError
from benchmark.grid.source import parse_value
from benchmark.machine.files import make_folder, parse_json, write_text, write_whole
from benchmark.machine.frozen import Frozen, Grown
from benchmark.reporting.further_result import (
    FurtherResult,
    further_key,
    further_result,
    without_folders,
    without_machine,
)

if TYPE_CHECKING:
    from benchmark.grid import Grid

FORMAT = 1
"""Version of cells.json; a newer one is refused."""

ACCURACIES, MATRICES, ENSEMBLES, TESTS = "accuracies.npz", "matrices.npz", "ensembles.npz", "tests.npz"
DOMAINS = "domains.npz"

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


class CellRecord(Grown):
    """One planned cell, whatever has become of it.

    `axes` holds its value on every axis of the grid, `diagnostics` what `Method.diagnostics` said at the last
    validation. `note` says why there are no numbers, or how they differ from those of the day of the report. `tests`
    are its further tests.
    """

    key: str
    folder: Annotated[str, AfterValidator(_folder_name)]
    axes: dict[str, Any]
    config: CellConfig
    state: State
    result: Result | None
    curve: Curve | None
    diagnostics: dict[str, float]
    note: str = ""
    tests: tuple[FurtherResult, ...] = ()

    left_out = frozenset({"tests"})

    def damaged(self, why: str) -> "CellRecord":
        """The cell as one whose numbers cannot be trusted."""
        missing = tuple(FurtherResult(test=one.test, state="missing") for one in self.tests)
        return self.model_copy(update={"state": "damaged", "result": None, "note": why, "tests": missing})


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
        further: `further_key` -> accuracies (E,) of a further test.
        domains: cell key -> the domain (E,) uint16 of each test episode, a place in `TestScore.domains`, where there
            are domains.
    """

    name: str
    axes: Mapping[str, list[Any]]
    cells: tuple[CellRecord, ...]
    accuracy: dict[str, NDArray[np.float32]] = field(repr=False)
    grid_text: str = field(repr=False)
    matrices: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    ensembles: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    further: dict[str, NDArray[np.float32]] = field(default_factory=dict, repr=False)
    domains: dict[str, NDArray[np.uint16]] = field(default_factory=dict, repr=False)

    @property
    def tuned(self) -> str:
        """What the grid says about how its methods were tuned."""
        return self._told("tuned")

    @property
    def question(self) -> str:
        """What the grid was made to answer, in its own words."""
        return self._told("question")

    def _told(self, key: str) -> str:
        found = parse_value(self.grid_text)
        said = found.get(key, "") if isinstance(found, dict) else ""
        return said if isinstance(said, str) else ""

    @property
    def files(self) -> list[str]:
        """Names of the files that `save` writes."""
        optional = {MATRICES: self.matrices, ENSEMBLES: self.ensembles, TESTS: self.further, DOMAINS: self.domains}
        return ["grid.yaml", "cells.json", ACCURACIES, *(name for name, arrays in optional.items() if arrays)]

    def save(self, folder: Path) -> None:
        """Write the files; the same record gives the same bytes."""
        make_folder(folder)
        head = json.dumps({"format": FORMAT, "name": self.name, "axes": dict(self.axes)}, ensure_ascii=False)
        lines = ",\n".join(cell.model_dump_json() for cell in self.cells)  # one line per cell
        write_text(folder / "cells.json", f'{head[:-1]},\n"cells": [\n{lines}\n]}}\n')
        write_text(folder / "grid.yaml", self.grid_text)
        _save_arrays(folder / ACCURACIES, self.accuracy)
        if self.matrices:
            _save_arrays(folder / MATRICES, self.matrices)
        if self.ensembles:
            _save_arrays(folder / ENSEMBLES, self.ensembles)
        if self.further:
            _save_arrays(folder / TESTS, self.further)
        if self.domains:
            _save_arrays(folder / DOMAINS, self.domains)

    @classmethod
    def load(cls, folder: Path) -> "Record":
        """Read what `save` wrote. A cell whose scores are not those of its record counts as damaged.

        Raises:
            UserError: a file is missing or damaged as a whole, or was written by a newer htbench.
        """
        try:
            raw = parse_json((folder / "cells.json").read_bytes())
            if not isinstance(raw, dict):
                raise ValueError("cells.json holds no record")
            if isinstance(raw.get("format"), int) and raw["format"] > FORMAT:
                raise UserError(f"{folder / 'cells.json'} was written by a newer htbench; upgrade")
            content = _CellsFile.model_validate(raw)
            sequences = any(cell.result and cell.result.continual for cell in content.cells)
            together = any(cell.result and cell.result.ensemble for cell in content.cells)
            further = any(one.state == "done" for cell in content.cells for one in cell.tests)
            apart = any(cell.result and cell.result.test and cell.result.test.domains for cell in content.cells)
            packed = {
                name: _open_arrays(folder / name)
                for name, there in (
                    (ACCURACIES, True),
                    (MATRICES, sequences),
                    (ENSEMBLES, together),
                    (TESTS, further),
                    (DOMAINS, apart),
                )
                if there
            }
            text = (folder / "grid.yaml").read_text()
        except FileNotFoundError as error:
            raise UserError(
                f"{error.filename} is missing; give a folder that htbench report wrote, or a grid file"
            ) from error
        except (OSError, ValueError, ValidationError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())[:200]
            raise UserError(f"{folder} is damaged ({reason}); write the report again from its runs") from error
        record = cls(content.name, content.axes, (), {}, text)
        cells = tuple(_checked(cell, folder, packed, record) for cell in content.cells)
        return replace(record, cells=cells)


def _save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    # NumPy dates everything in the archive 1980-01-01, so these bytes repeat, too.
    named: dict[str, Any] = dict(arrays)
    write_whole(path, lambda file: np.savez_compressed(file, **named))


def _open_arrays(path: Path) -> dict[str, bytes | Exception]:
    """The `.npy` files in an archive by their keys; what cannot be read of them is an error in its place."""
    found: dict[str, bytes | Exception] = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            try:
                found[entry.filename.removesuffix(".npy")] = archive.read(entry)
            except (OSError, EOFError, ValueError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
                found[entry.filename.removesuffix(".npy")] = error
    return found


def _checked(
    cell: CellRecord, folder: Path, packed: dict[str, dict[str, bytes | Exception]], record: Record
) -> CellRecord:
    """The cell, after putting its arrays into the record; damaged if one of them is not what its result says."""
    if cell.state != "done":
        return cell
    result = cell.result
    if result is None or result.test is None or result.failure is not None:
        return cell.damaged(f"{folder / 'cells.json'} calls it done and has no test score of it")

    def read(archive: str, file: str) -> NDArray[np.float32]:
        return _unpacked(packed[archive], cell.key, folder / archive, result.sha256.get(file))

    try:
        what = f"{folder / ACCURACIES}: {cell.key}"
        accuracy = check_accuracy(read(ACCURACIES, TEST_ACCURACY), result.test, what)
        if result.test.domains:
            what = f"{folder / DOMAINS}: {cell.key}"
            found = _packed_bytes(packed[DOMAINS], cell.key, folder / DOMAINS, result.sha256.get(TEST_DOMAINS))
            domains = parse_npy(found, what, np.uint16)
            record.domains[cell.key] = check_domains(domains, accuracy, result.test, what)
        if result.ensemble is not None:
            what = f"{folder / ENSEMBLES}: {cell.key}"
            record.ensembles[cell.key] = check_accuracy(read(ENSEMBLES, ENSEMBLE_ACCURACY), result.ensemble, what)
        if result.continual is not None:
            what = f"{folder / MATRICES}: {cell.key}"
            record.matrices[cell.key] = check_matrices(read(MATRICES, TEST_MATRICES), result.test.episodes, what)
    except DamagedError as error:
        return cell.damaged(str(error))
    record.accuracy[cell.key] = accuracy
    tests = tuple(_checked_test(cell, one, folder, packed.get(TESTS, {}), record) for one in cell.tests)
    return cell.model_copy(update={"tests": tests}) if tests else cell


def _unpacked(packed: dict[str, bytes | Exception], key: str, archive: Path, sha256: str | None) -> NDArray[np.float32]:
    """The array of a key in an archive; raises as `_packed_bytes`."""
    return parse_npy(_packed_bytes(packed, key, archive, sha256), f"{archive}: {key}")


def _packed_bytes(packed: dict[str, bytes | Exception], key: str, archive: Path, sha256: str | None) -> bytes:
    """The `.npy` file of a key in an archive.

    Raises:
        DamagedError: it is not there, or another one than the record's.
    """
    content, what = packed.get(key), f"{archive}: {key}"
    if not isinstance(content, bytes):
        raise DamagedError(f"{what} cannot be read ({'it is not there' if content is None else content})")
    check_sha256(Path(what), hashlib.sha256(content).hexdigest(), sha256)
    return content


def _checked_test(
    cell: CellRecord, one: FurtherResult, folder: Path, packed: dict[str, bytes | Exception], record: Record
) -> FurtherResult:
    """The further test, after putting its array into the record; damaged if that is not what its record says."""
    if one.state != "done":
        return one
    key = further_key(cell.key, one.test)
    try:
        if one.record is None or one.record.score is None or one.record.key != one.test.key:
            raise DamagedError(f"{folder / 'cells.json'} calls test {one.test.name} done and has no score of it")
        accuracy = _unpacked(packed, key, folder / TESTS, one.record.sha256)
        record.further[key] = check_accuracy(accuracy, one.record.score, f"{folder / TESTS}: {key}")
    except DamagedError as error:
        return FurtherResult(test=one.test, state="damaged", note=str(error))
    return one


def collect(grid: "Grid", experiment: ExperimentFolder) -> Record:
    """Read every cell of the grid: missing, failed and damaged ones too."""
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
    cells, accuracy, matrices, ensembles, domains = [], {}, {}, {}, {}
    further: dict[str, NDArray[np.float32]] = {}
    for config, place in planned:
        store = experiment.cell(config)
        now = standing(config, store)
        state = now.state
        result = store.result() if state in ("done", "failed") else None
        metrics = store.metrics() if state not in ("damaged", "outdated") else []
        if result is not None and result.test is not None:
            accuracy[config.key] = store.test_accuracy()
            if (of_episodes := store.test_domains()) is not None:
                domains[config.key] = of_episodes
            if result.continual is not None:
                matrices[config.key] = store.test_matrices()
            if result.ensemble is not None:
                ensembles[config.key] = store.ensemble_accuracy()
        tests = [FurtherResult(test=test, state="missing") for test in config.tests]
        if result is not None and result.test is not None:
            standings = standings_of_tests(config, store)
            tests = list(map(further_result, standings))
            further |= {
                further_key(config.key, one.test): store.tests.accuracy(one.record)
                for one in standings
                if one.state == "done" and one.record is not None
            }
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
                note="" if state == "failed" else without_folders(now.note),
                tests=tuple(tests),
            )
        )
    return Record(name, axes, tuple(cells), accuracy, grid_text, matrices, ensembles, further, domains)


def _without_repetition(result: Result) -> Result:
    """The result without the configuration, which the cell has, and without this machine's folders in the traceback."""
    failure = result.failure and without_machine(result.failure)
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
