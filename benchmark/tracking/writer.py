"""Brings MLflow into line with the run directory: compares what runs should say with what they do, logs the difference.

One experiment per grid. In it, one run per launch of `htbench run`, one per cell, and one per setting for the mean over
seeds; the tag `kind` tells them apart. Cells are found by the tag `cell.key` (see
`benchmark.tracking.one_run_per_key`), so a cell that is continued by a later launch stays one run. It is moved under
the newest launch: the topmost row of the interface then unfolds to the whole grid as it stands, while older launches
keep their YAML and report. Means stay at the top level, in sight without unfolding anything.
"""

import contextlib
import csv
import hashlib
import io
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.folder import CellFolder, ExperimentFolder, State
from benchmark.errors import UserError
from benchmark.execution.plan import make_plan
from benchmark.grid import Grid
from benchmark.grid.axes import axis_value
from benchmark.machine.provenance import code_version
from benchmark.reporting.tables.table import csv_cell
from benchmark.tracking.appearance import Appearance
from benchmark.tracking.cell_run import (
    COMMIT,
    EPISODES,
    DatasetFacts,
    Point,
    RunFacts,
    Status,
    cell_artifacts,
    cell_facts,
)
from benchmark.tracking.connection import brief, exclusive, open_experiment, redacted
from benchmark.tracking.inspection_figures import inspection_figures
from benchmark.tracking.mean_run import aggregate_facts
from benchmark.tracking.models import log_model
from benchmark.tracking.one_run_per_key import Kind, Runs, key_tag, new_key
from benchmark.tracking.saved_views import experiment_tags, launch_note

if TYPE_CHECKING:
    from mlflow.entities import Run

GRID_FILE = "grid.json"
"""Artifact of a launch: the grid as resolved, see `Writer._resolved`."""
LAST_STEPS = "mlflow.htbench.last_steps"
"""Tag of a cell: JSON, the last step logged of each metric over training."""

_NOTE = "mlflow.note.content"
_PARENT = "mlflow.parentRunId"
_COLOUR = "mlflow.runColor"
_ATTEMPT = "mlflow.htbench.attempt"
_GRID_HASH = "mlflow.htbench.grid_hash"
_OPTIONAL_TAGS = ("status.reason", EPISODES, COMMIT, "device")  # taken away when they no longer hold
_POINTS_PER_CALL, _ROWS_PER_CALL = 1000, 100  # MLflow refuses more metrics, and more tags or params

_Mark = tuple[State, int, int]


@dataclass(frozen=True)
class Note:
    """A line on what could not be written; `cell` names the folder if that is a cell."""

    text: str
    cell: str = ""


class Writer:
    """Writes one grid to MLflow. Whatever MLflow raises passes through, but for a cell that it refuses.

    `alive` is called whenever MLflow has answered.
    """

    def __init__(
        self, uri: str, grid: Grid, experiment: ExperimentFolder, alive: Callable[[], None] | None = None
    ) -> None:
        self._uri, self._experiment = uri, experiment
        self.use(grid)
        self._client, self._id = open_experiment(uri, grid.name, alive)
        self._runs = Runs(self._client, self._id, grid.source.name)
        self._launch: Run | None = None
        self._written: dict[str, _Mark] = {}  # by name of a cell's folder
        self._skipped: dict[str, str] = {}  # why, by the same
        self._keeps_models = True

    def use(self, grid: Grid) -> None:
        """Write this grid: while methods are tuned it grows."""
        self.grid, self._appearance = grid, Appearance(grid)

    def launch(self) -> None:
        """Open the run of a new launch; earlier launches that never ended were killed."""
        self._describe_experiment()
        for run in self._launches():
            if run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, "KILLED")
        now = datetime.now(UTC)
        commit, changed = code_version()
        code = {} if commit is None else {COMMIT: commit, "mlflow.source.git.dirty": str(changed)}
        name = f"launch {now:%Y-%m-%d %H:%M} UTC"
        started = round(now.timestamp() * 1000)
        created = self._runs.create("launch", new_key(), name, started, code)
        self._log_grid(created)
        self._launch = created

    def continue_launch(self) -> None:
        """Write to the newest launch of this very grid, or to one that stands for what filled the run directory."""
        self._describe_experiment()
        self._launch = self._runs.write(None, self._latest_launch, self._log_grid)

    def update(self) -> None:
        """Write what has changed on disk since the last call."""
        marks: dict[CellFolder, _Mark] = {}
        for cell in self.cells():
            with self._skipping(cell):
                marks[cell] = _mark(cell)
        changed = {cell: mark for cell, mark in marks.items() if self._written.get(cell.folder.name) != mark}
        if not changed:
            return
        with exclusive(self._uri):
            known = self._runs.find("cell")
            newest = self._launches()[0].info.run_id
            for cell, mark in changed.items():
                with self._skipping(cell):
                    facts = cell_facts(cell, mark[0], self._appearance)
                    facts.tags[_PARENT] = newest
                    self._bring_into_line("cell", known, facts, cell)
                    self._written[cell.folder.name] = mark
            if any(state == "done" for state, *_ in changed.values()):
                self._write_means()

    def finish(self, report: Path | None) -> None:
        """Compare everything; then the report's files, and how the launch ended.

        A launch goes on as long as some cell runs.
        """
        self._written.clear()
        self.update()
        self._describe_experiment()
        with exclusive(self._uri):
            self._launch = self._runs.write(
                self._launch, self._latest_launch, lambda run: self._finish_launch(run, report)
            )

    def _describe_experiment(self) -> None:
        """What the interface opens with: there from the first moment, as people look while cells run."""
        for name, value in experiment_tags(self.grid).items():
            self._client.set_experiment_tag(self._id, name, value)

    def _write_means(self) -> None:
        known = self._runs.find("aggregate")
        for facts in aggregate_facts(self._readable(), self.grid.axes, self._appearance):
            self._bring_into_line("aggregate", known, facts)

    def enrich(self) -> None:
        """Add what takes longer: weights of finished cells as models, and figures of what HyperTransformers do.

        Figures are drawn for one seed of each setting.
        """
        runs = self._runs.find("cell")
        drawn: set[str] = set()
        for cell in self._readable():
            with self._skipping(cell):
                config = cell.config()
                if config.key not in runs or cell.state() != "done":
                    continue
                setting = config.model_copy(update={"seed": 0}).key
                figures = inspection_figures(cell, draw=setting not in drawn)
                drawn.add(setting)
                with exclusive(self._uri):
                    self._runs.write(
                        runs[config.key],
                        partial(self._find_cell, config.key),
                        partial(self._log_extras, cell=cell, figures=figures),
                    )

    def notes(self) -> list[Note]:
        """What could not be written, and which cells that concerns."""
        found = [Note(f"{name} is not in MLflow: {why}", name) for name, why in self._skipped.items()]
        if not self._keeps_models:
            server = redacted(self._uri)
            found.append(Note(f"MLflow at {server} is older than version 3 and keeps no models; all else is there"))
        return found

    @contextlib.contextmanager
    def _skipping(self, cell: CellFolder) -> Iterator[None]:
        """Leave a cell out that cannot be read, or that MLflow refuses; a store that fails altogether is an error."""
        from mlflow.exceptions import MlflowException

        try:
            self._skipped.pop(cell.folder.name, None)
            yield
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            self._skipped[cell.folder.name] = brief(error)
        except (UserError, ValueError, KeyError, FileNotFoundError) as error:
            self._skipped[cell.folder.name] = brief(error)

    def _readable(self) -> list[CellFolder]:
        return [cell for cell in self.cells() if cell.folder.name not in self._skipped]

    def cells(self) -> list[CellFolder]:
        """The grid's cells that have a folder whose files can be trusted."""
        folders = {cell.folder for cell in self._experiment.cells()}
        found = [cell for config in self.grid.cells if (cell := self._experiment.cell(config)).folder in folders]
        damaged = {cell.folder.name: cell.damage() for cell in found if cell.state() == "damaged"}
        self._skipped.update(damaged)
        return [cell for cell in found if cell.folder.name not in damaged]

    def _find_cell(self, key: str) -> "Run":
        return self._runs.find("cell")[key]

    def _log_extras(self, run: "Run", cell: CellFolder, figures: Path | None) -> None:
        self._keeps_models = self._keeps_models and log_model(self._client, run, cell)
        if figures is not None and not self._client.list_artifacts(run.info.run_id, figures.name):
            self._client.log_artifacts(run.info.run_id, str(figures), figures.name)

    def _latest_launch(self) -> "Run":
        for run in self._launches():
            if run.data.tags.get(_GRID_HASH) == self._grid_hash():
                return run
        return self._runs.create("launch", self._grid_hash(), "from disk", round(time.time() * 1000))

    def _log_grid(self, run: "Run") -> None:
        """The plan, and the grid as written and as resolved; it grows while methods are tuned."""
        if run.data.tags.get(_GRID_HASH) != self._grid_hash():
            texts = {"grid.yaml": self.grid.text, GRID_FILE: self._resolved(), "plan.csv": self._plan()}
            self._log_files(run, {name: text.encode() for name, text in texts.items()})
            self._log_tags(run, {_GRID_HASH: self._grid_hash()}, {})

    def _grid_hash(self) -> str:
        keys = "\n".join(sorted(config.key for config in self.grid.cells))
        return hashlib.sha256(f"{keys}\n{self.grid.text}".encode()).hexdigest()[:12]

    def _finish_launch(self, run: "Run", report: Path | None) -> None:
        self._log_grid(run)
        if report is not None:
            self._client.log_artifacts(run.info.run_id, str(report), "report")
        states = Counter(cell.state() for cell in self._readable())
        self._log_tags(run, {_NOTE: launch_note(self.grid, states, report)}, {})
        status = _launch_status(states)
        if status not in ("RUNNING", self._client.get_run(run.info.run_id).info.status):
            self._client.set_terminated(run.info.run_id, status)

    def _resolved(self) -> str:
        """The grid without its file and its plugins: name, axes, and each cell's configuration and place on them."""
        cells = [
            {
                "config": config.model_copy(update={"plugins": ()}).model_dump(mode="json"),
                "axes": {axis: axis_value(config, axis) for axis in self.grid.axes},
            }
            for config in self.grid.cells
        ]
        return json.dumps({"name": self.grid.name, "axes": self.grid.axes, "cells": cells}, indent=1)

    def _plan(self) -> str:
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["cell", "state", "seconds of training left", "note"])
        for planned in make_plan(self.grid.cells, self._experiment):
            left = "" if planned.remaining_seconds is None else round(planned.remaining_seconds)
            rows.writerow([planned.store.folder.name, planned.state, left, csv_cell(planned.note)])
        return table.getvalue()

    def _launches(self) -> "list[Run]":
        """Newest first."""
        return list(self._runs.find("launch").values())

    def _bring_into_line(
        self, kind: Kind, known: "dict[str, Run]", facts: RunFacts, cell: CellFolder | None = None
    ) -> None:
        key = facts.tags[key_tag(kind)]
        run = known.get(key)
        if run is not None and facts.attempt and run.data.tags.get(_ATTEMPT, facts.attempt) != facts.attempt:
            # The cell was started again from nothing: the curve in MLflow is another training's. Or another mean.
            self._runs.delete(run)
            run = None
        elif run is not None and run.info.status == "SCHEDULED" != facts.status:
            self._runs.delete(run)  # when it began can be said only of a new one
            run = None
        self._runs.write(
            run,
            lambda: self._runs.create(kind, key, facts.name, facts.started),
            lambda run: self._fill(run, facts, cell),
        )

    def _fill(self, run: "Run", facts: RunFacts, cell: CellFolder | None) -> None:
        """Log what the run lacks of the facts; the status comes last, so that a write cut short is made good later."""
        if run.info.run_name != facts.name:  # it has more to tell apart once a grid has grown
            self._client.update_run(run.info.run_id, name=facts.name)
        if cell is not None and run.data.tags.get(_NOTE) != facts.tags[_NOTE]:
            self._log_files(run, cell_artifacts(cell))
        tags = facts.tags | ({_COLOUR: facts.colour} if facts.colour else {})
        last: dict[str, int] = json.loads(run.data.tags.get(LAST_STEPS, "{}"))
        points = [point for point in facts.curve if point.step > last.get(point.name, -1)]
        if cell is not None:
            last |= {point.name: point.step for point in points}
            tags |= {LAST_STEPS: json.dumps(last, sort_keys=True)}
        tags |= {_ATTEMPT: facts.attempt} if facts.attempt else {}
        ends = {(point.name, point.step) for point in facts.curve}
        points += [
            point
            for point in facts.final
            if (point.name, point.step) not in ends and run.data.metrics.get(point.name) != point.value
        ]
        self._log_points(run, points)
        self._log_datasets(run, facts.datasets)
        self._log_tags(run, tags, facts.params)
        for name in _OPTIONAL_TAGS:
            if name in run.data.tags and name not in tags:
                self._client.delete_tag(run.info.run_id, name)
        if (run.info.status, run.info.end_time) != (facts.status, facts.ended):
            if facts.ended is None:
                self._client.update_run(run.info.run_id, facts.status)
            else:
                self._client.set_terminated(run.info.run_id, facts.status, facts.ended)

    def _log_files(self, run: "Run", files: dict[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            self._client.log_artifacts(run.info.run_id, folder)

    def _log_datasets(self, run: "Run", datasets: list[DatasetFacts]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        used = run.inputs.dataset_inputs if run.inputs else []
        known = {(one.dataset.name, one.dataset.digest) for one in used}
        new = [
            DatasetInput(
                # How to get at the data again: the grid's `dataset` section.
                Dataset(d.name, d.digest, "htbench", json.dumps(d.profile), profile=json.dumps(d.profile)),
                [InputTag("mlflow.data.context", d.context)],
            )
            for d in datasets
            if (d.name, d.digest) not in known
        ]
        if new:
            self._client.log_inputs(run.info.run_id, new)

    def _log_points(self, run: "Run", points: list[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.time, point.step) for point in points]
        for start in range(0, len(metrics), _POINTS_PER_CALL):
            self._client.log_batch(run.info.run_id, metrics[start : start + _POINTS_PER_CALL])

    def _log_tags(self, run: "Run", tags: dict[str, str], params: dict[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        new_tags = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        new_params = [Param(name, value) for name, value in params.items() if name not in run.data.params]
        for start in range(0, max(len(new_tags), len(new_params)), _ROWS_PER_CALL):
            part = slice(start, start + _ROWS_PER_CALL)
            self._client.log_batch(run.info.run_id, params=new_params[part], tags=new_tags[part])


def _mark(cell: CellFolder) -> _Mark:
    """What tells whether a cell has changed, cheaply: its state, and time and size of its metrics."""
    state, file = cell.state(), cell.metrics_file
    if not file.exists():
        return state, 0, 0
    stat = file.stat()
    return state, stat.st_mtime_ns, stat.st_size


def _launch_status(states: Iterable[State]) -> Status:
    found = set(states)
    if "running" in found:
        return "RUNNING"
    if "failed" in found:
        return "FAILED"
    return "FINISHED" if found <= {"done"} else "KILLED"
