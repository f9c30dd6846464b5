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
from benchmark.tracking.connection import MlflowMissingError, brief, tracking_uri
from benchmark.tracking.writer import Writer

_SECONDS_BETWEEN_UPDATES = 5.0
_SECONDS_AFTER_FAILURE = 300.0
_SHARE = 0.05  # of the time, at most, goes into updates

_log = logging.getLogger(__name__)


class Mirror:
    """Follows a run of cells. Whatever goes wrong with MLflow is one warning; training never notices.

    Nothing is written before the first tick, so the first cells are already training while MLflow is loaded.
    """

    def __init__(
        self, uri: str | None, grid: Grid, experiment: ExperimentFolder, warn: Callable[[str], None] = _log.warning
    ) -> None:
        self._uri, self._grid, self._experiment, self._warn = tracking_uri(uri), grid, experiment, warn
        self._writer: Writer | None = None
        self._missing = self._warned = False
        self._due = 0.0

    def follow(self, event: Event) -> None:
        """Write what is new, every few seconds."""
        if event.kind == "tick" and time.monotonic() >= self._due:
            self.update()

    def grow(self, grid: Grid) -> None:
        """The grid has more cells now, as while methods are tuned."""
        self._grid = grid
        if self._writer is not None:
            self._writer.grid = grid

    def update(self) -> None:
        """Write what is new."""
        self._shelter(lambda writer: writer.update())

    def finish(self, report: Path | None = None) -> None:
        """Write what is new, the means over seeds, and the files in the folder `report`."""
        self._shelter(lambda writer: writer.finish(report))

    def enrich(self) -> None:
        """Write the models, and the figures of what HyperTransformers do."""
        self._shelter(lambda writer: writer.enrich())

    def _shelter(self, write: Callable[[Writer], object]) -> None:
        if self._missing:
            return
        before = time.monotonic()
        pause = _SECONDS_BETWEEN_UPDATES
        try:
            if self._writer is None:
                writer = Writer(self._uri, self._grid, self._experiment)
                writer.launch()
                self._writer = writer
            write(self._writer)
        except MlflowMissingError as error:
            self._missing = True
            self._warn(f"{error}: nothing is mirrored there, htbench sync can do it later")
        except Exception as error:
            pause = _SECONDS_AFTER_FAILURE
            if not self._warned:
                problem = f"MLflow at {self._uri} cannot be written ({brief(error)})"
                self._warn(f"{problem}; training goes on, htbench sync catches up later")
            self._warned = True
        now = time.monotonic()
        self._due = now + max(pause, (now - before) / _SHARE)


@contextlib.contextmanager
def open_mirror(uri: str | None, grid: Grid, experiment: ExperimentFolder) -> Iterator[Mirror]:
    """A mirror for one launch, brought up to date at the end however the launch ends; not enriched if interrupted."""
    mirror = Mirror(uri, grid, experiment)
    try:
        yield mirror
    finally:
        mirror.finish()
    mirror.enrich()


def sync(experiment: ExperimentFolder, grid: Grid, uri: str | None, report: Path | None = None) -> None:
    """Bring MLflow up to date from the run directory alone; a second call changes nothing.

    Raises:
        UserError: MLflow is not installed or its store cannot be written.
    """
    uri = tracking_uri(uri)
    try:
        writer = Writer(uri, grid, experiment)
        writer.continue_launch()
        writer.finish(report)
        writer.enrich()
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"MLflow at {uri} cannot be written: {brief(error)}") from error
