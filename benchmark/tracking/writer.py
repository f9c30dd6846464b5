"""Brings MLflow into line with the run directory: compares what runs should say with what they do, logs the difference.

One experiment per grid. In it, one run per launch of `htbench run`, one per cell, and one per setting for the mean over
seeds; the tag `kind` tells them apart. Cells are found by the tag `cell.key`, so a cell that is continued by a later
launch stays one run. It is moved under the newest launch: the topmost row of the interface then unfolds to the whole
grid as it stands, while older launches keep their YAML and report. Means stay at the top level, in sight without
unfolding anything.
"""

import csv
import hashlib
import io
import json
import time
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.grid import Grid
from benchmark.plan import make_plan
from benchmark.provenance import code_version
from benchmark.store import CellStore, ExperimentStore, State
from benchmark.tracking.aggregates import aggregate_facts
from benchmark.tracking.connection import exclusive, open_experiment
from benchmark.tracking.facts import Point, RunFacts, Status, cell_artifacts, cell_facts

if TYPE_CHECKING:
    from mlflow.entities import Run

_KEYS = ("cell.key", "aggregate.key")
_NOTE = "mlflow.note.content"
_PARENT = "mlflow.parentRunId"
_LAST_STEPS = "mirror.last_steps"  # JSON: the last step logged, for each metric
_ATTEMPT = "mirror.attempt"
_OPTIONAL_TAGS = ("status.reason", "episodes.sha256", "git.commit", "device")  # taken away when they no longer hold
_POINTS_PER_CALL = 1000  # MLflow refuses more

_Mark = tuple[State, int, int]


class Writer:
    """Writes one grid to MLflow. Whatever MLflow raises passes through."""

    def __init__(self, uri: str, grid: Grid, experiment: ExperimentStore) -> None:
        self._uri, self._grid, self._experiment = uri, grid, experiment
        self._client, self._id = open_experiment(uri, grid.name)
        self._launch_id = ""
        self._written: dict[str, _Mark] = {}  # by name of a cell's folder

    def launch(self) -> None:
        """Open the run of a new launch; earlier launches that never ended were killed."""
        for run in self._launches():
            if run.info.status == "RUNNING":
                self._client.set_terminated(run.info.run_id, "KILLED")
        now = datetime.now(UTC)
        commit, changed = code_version()
        code = {} if commit is None else {"git.commit": commit, "git.uncommitted_changes": str(changed).lower()}
        self._create_launch(f"launch {now:%Y-%m-%d %H:%M} UTC", round(now.timestamp() * 1000), code)

    def continue_launch(self) -> None:
        """Write to the newest launch there is, or to one that stands for whatever filled the run directory."""
        if launches := self._launches():
            self._launch_id = launches[0].info.run_id
        else:
            self._create_launch("from disk", round(time.time() * 1000), {})

    def update(self) -> None:
        """Write what has changed on disk since the last call."""
        marks = {cell: _mark(cell) for cell in self.cells()}
        changed = {cell: mark for cell, mark in marks.items() if self._written.get(cell.folder.name) != mark}
        if not changed:
            return
        with exclusive(self._uri):
            known = self._find("cell")
            for cell, mark in changed.items():
                facts = cell_facts(cell, mark[0], self._grid.axes)
                self._bring_into_line(known.get(facts.tags["cell.key"]), facts, cell)
                self._written[cell.folder.name] = mark

    def finish(self, report: Path | None) -> None:
        """Update; then the means over seeds, the report's files, and how the launch ended unless cells still run."""
        self.update()
        with exclusive(self._uri):
            known = self._find("aggregate")
            for facts in aggregate_facts(self.cells(), self._grid.axes):
                self._bring_into_line(known.get(facts.tags["aggregate.key"]), facts)
            if report is not None:
                self._client.log_artifacts(self._launch_id, str(report), "report")
            states = Counter(cell.state() for cell in self.cells())
            run = self._client.get_run(self._launch_id)
            counts = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
            self._log_tags(run, {_NOTE: f"{self._grid.name}, {len(self._grid.cells)} cells: {counts}"}, {})
            status = _launch_status(states)
            if status not in ("RUNNING", run.info.status):
                self._client.set_terminated(self._launch_id, status)

    def cells(self) -> list[CellStore]:
        """The grid's cells that have a folder."""
        folders = {cell.folder for cell in self._experiment.cells()}
        return [cell for config in self._grid.cells if (cell := self._experiment.cell(config)).folder in folders]

    def _create_launch(self, name: str, started: int, tags: dict[str, str]) -> None:
        keys = "\n".join(sorted(config.key for config in self._grid.cells))
        tags = {"kind": "launch", "grid.hash": hashlib.sha256(keys.encode()).hexdigest()[:12], **tags}
        self._launch_id = self._client.create_run(self._id, started, tags, name).info.run_id
        self._client.log_text(self._launch_id, self._grid.text, "grid.yaml")
        self._client.log_text(self._launch_id, self._plan(), "plan.csv")

    def _plan(self) -> str:
        table = io.StringIO()
        rows = csv.writer(table)
        rows.writerow(["cell", "state", "seconds of training left", "note"])
        for planned in make_plan(self._grid.cells, self._experiment):
            left = "" if planned.remaining_seconds is None else round(planned.remaining_seconds)
            rows.writerow([planned.store.folder.name, planned.state, left, planned.note])
        return table.getvalue()

    def _launches(self) -> "list[Run]":
        """Newest first."""
        return list(self._client.search_runs([self._id], "tags.kind = 'launch'"))

    def _find(self, kind: str) -> "dict[str, Run]":
        """The runs of this kind by key; of two with the same key (a server lets two launches race) the older."""
        found: dict[str, Run] = {}
        token: str | None = None
        while True:
            page = self._client.search_runs([self._id], f"tags.kind = '{kind}'", page_token=token)
            found |= {run.data.tags[f"{kind}.key"]: run for run in page}
            token = page.token
            if not token:
                return found

    def _bring_into_line(self, run: "Run | None", facts: RunFacts, cell: CellStore | None = None) -> None:
        """Log what the run lacks of the facts; the status comes last, so that a write cut short is made good later."""
        if run is not None and facts.attempt and run.data.tags.get(_ATTEMPT, facts.attempt) != facts.attempt:
            # The cell was started again from nothing: the curve in MLflow is another training's.
            self._client.delete_run(run.info.run_id)
            run = None
        if run is None:
            identity = {name: value for name, value in facts.tags.items() if name in ("kind", *_KEYS)}
            run = self._client.create_run(self._id, facts.started, identity, facts.name)
        if cell is not None and run.data.tags.get(_NOTE) != facts.tags[_NOTE]:
            for name, text in cell_artifacts(cell).items():
                self._client.log_text(run.info.run_id, text, name)

        tags = dict(facts.tags)
        last: dict[str, int] = json.loads(run.data.tags.get(_LAST_STEPS, "{}"))
        points = [point for point in facts.curve if point.step > last.get(point.name, -1)]
        if cell is not None:
            last |= {point.name: point.step for point in points}
            tags |= {_PARENT: self._launch_id, _LAST_STEPS: json.dumps(last, sort_keys=True)}
            tags |= {_ATTEMPT: facts.attempt} if facts.attempt else {}
        shown = {**run.data.metrics, **{point.name: point.value for point in facts.curve}}
        points += [point for point in facts.final if shown.get(point.name) != point.value]
        self._log_points(run, points)
        self._log_tags(run, tags, facts.params)
        for name in _OPTIONAL_TAGS:
            if name in run.data.tags and name not in tags:
                self._client.delete_tag(run.info.run_id, name)
        if (run.info.status, run.info.end_time) != (facts.status, facts.ended):
            if facts.ended is None:
                self._client.update_run(run.info.run_id, facts.status)
            else:
                self._client.set_terminated(run.info.run_id, facts.status, facts.ended)

    def _log_points(self, run: "Run", points: list[Point]) -> None:
        from mlflow.entities import Metric

        metrics = [Metric(point.name, point.value, point.time, point.step) for point in points]
        for start in range(0, len(metrics), _POINTS_PER_CALL):
            self._client.log_batch(run.info.run_id, metrics[start : start + _POINTS_PER_CALL])

    def _log_tags(self, run: "Run", tags: dict[str, str], params: dict[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        new_tags = [RunTag(name, value) for name, value in tags.items() if run.data.tags.get(name) != value]
        new_params = [Param(name, value) for name, value in params.items() if name not in run.data.params]
        if new_tags or new_params:
            self._client.log_batch(run.info.run_id, params=new_params, tags=new_tags)


def _mark(cell: CellStore) -> _Mark:
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
