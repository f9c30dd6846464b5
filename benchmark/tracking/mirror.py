"""Keeping MLflow up to date while a grid runs, and bringing it up to date afterwards."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.execution.engine import Event
from benchmark.grid import Grid
from benchmark.tracking.background import Background
from benchmark.tracking.connection import MlflowMissingError, brief, is_server, redacted, tracking_uri
from benchmark.tracking.writer import Note, Writer

_SECONDS_BETWEEN_UPDATES = 5.0
_SECONDS_AFTER_FAILURE = 300.0
_SHARE = 0.05  # of the time, at most, goes into updates,
_LONGEST_PAUSE = 30.0  # unless nobody would call that following any more

_SERVER_PATIENCE = 20.0
_FAILED_PATIENCE = 5.0  # with what has failed before
_DATABASE_PATIENCE = 120.0  # building its tables takes long on a busy machine, and nobody hangs there for ever
"""Seconds without any sign from MLflow after which the end of a launch waits no longer."""

_log = logging.getLogger(__name__)


class Mirror:
    """Writes what the cells of a run have left. Whatever goes wrong with MLflow is one warning.

    Nothing is written before the first call, so the first cells are already training while MLflow is loaded.
    """

    def __init__(
        self,
        uri: str | None,
        grid: Grid,
        experiment: ExperimentFolder,
        warn: Callable[[str], None] = _log.warning,
        alive: Callable[[], None] | None = None,
    ) -> None:
        self.uri, self._grid, self._experiment, self._warn = tracking_uri(uri), grid, experiment, warn
        self._alive = alive
        self._writer: Writer | None = None
        self._missing = self._warned = False
        self._told: set[str] = set()
        self.failed = False  # the last time
        self.due = 0.0

    def grow(self, grid: Grid) -> None:
        """The grid has more cells now, as while methods are tuned."""
        self._grid = grid
        if self._writer is not None:
            self._writer.use(grid)

    def update(self) -> None:
        """Write what is new."""
        self._shelter(lambda writer: writer.update())

    def finish(self, report: Path | None = None) -> None:
        """Write what is new, the means over seeds, and the files in the folder `report`."""
        self._shelter(lambda writer: writer.finish(report))

    def enrich(self) -> None:
        """Write the models, and the figures of what HyperTransformers do."""
        self._shelter(lambda writer: writer.enrich())

    def give_up(self) -> None:
        """Say that MLflow does not answer."""
        self._warn_once("does not answer")

    def _shelter(self, write: Callable[[Writer], object]) -> None:
        if self._missing:
            return
        before = time.monotonic()
        pause = _SECONDS_BETWEEN_UPDATES
        self.failed = False
        try:
            if self._writer is None:
                writer = Writer(self.uri, self._grid, self._experiment, self._alive)
                writer.launch()
                self._writer = writer
                before = time.monotonic()  # loading MLflow and building tables is done once: no measure of updates
            write(self._writer)
            for note in self._writer.notes():
                if note.text not in self._told:
                    self._told.add(note.text)
                    self._warn(note.text)
        except MlflowMissingError as error:
            self._missing = True
            self._warn(f"{error}: nothing is mirrored there, htbench sync can do it later")
        except Exception as error:
            pause = _SECONDS_AFTER_FAILURE
            self.failed = True
            self._warn_once(f"cannot be written ({brief(error)})")
        now = time.monotonic()
        self.due = now + max(pause, min((now - before) / _SHARE, _LONGEST_PAUSE))

    def _warn_once(self, problem: str) -> None:
        if not self._warned:
            self._warned = True
            problem = f"MLflow at {redacted(self.uri)} {problem}"
            self._warn(f"{problem}; training goes on, htbench sync catches up later")


class FollowingMirror:
    """A mirror that follows a run in a thread of its own: whoever runs cells never waits for MLflow."""

    def __init__(
        self, uri: str | None, grid: Grid, experiment: ExperimentFolder, warn: Callable[[str], None] = _log.warning
    ) -> None:
        self._thread = Background()
        self._mirror = Mirror(uri, grid, experiment, warn, self._thread.alive)

    def follow(self, event: Event) -> None:
        """Have written what is new, every few seconds."""
        if event.kind == "tick" and not self._thread.busy and time.monotonic() >= self._mirror.due:
            self._thread.submit(self._mirror.update)

    def grow(self, grid: Grid) -> None:
        """The grid has more cells now, as while methods are tuned."""
        self._mirror.grow(grid)

    def update(self) -> None:
        """Write what is new, and wait for that."""
        self._do(self._mirror.update)

    def finish(self) -> bool:
        """Write what is new and the means over seeds; whether MLflow answered."""
        return self._do(self._mirror.finish)

    def enrich(self) -> None:
        """Write the models, and the figures of what HyperTransformers do."""
        self._do(self._mirror.enrich)

    def _do(self, task: Callable[[], None]) -> bool:
        patience = _SERVER_PATIENCE if is_server(self._mirror.uri) else _DATABASE_PATIENCE
        if self._mirror.failed:
            patience = _FAILED_PATIENCE
        self._thread.submit(task)
        answered = self._thread.wait(patience)
        if not answered:
            self._mirror.give_up()
        return answered


@contextlib.contextmanager
def open_mirror(uri: str | None, grid: Grid, experiment: ExperimentFolder) -> Iterator[FollowingMirror]:
    """A mirror for one launch, brought up to date at the end however the launch ends; not enriched if interrupted."""
    mirror = FollowingMirror(uri, grid, experiment)
    answered = False
    try:
        yield mirror
    finally:
        answered = mirror.finish()
    if answered:
        mirror.enrich()


def sync(experiment: ExperimentFolder, grid: Grid, uri: str | None, report: Path | None = None) -> list[Note]:
    """Bring MLflow up to date from the run directory alone; a second call changes nothing.

    Returns:
        What could not be written, one line each: of a cell that cannot be read or is refused, the others are written.

    Raises:
        UserError: MLflow is not installed or its store cannot be written.
    """
    uri = tracking_uri(uri)
    try:
        writer = Writer(uri, grid, experiment)
        writer.continue_launch()
        writer.finish(report)
        writer.enrich()
        return writer.notes()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"MLflow at {redacted(uri)} cannot be written: {brief(error)}") from error
