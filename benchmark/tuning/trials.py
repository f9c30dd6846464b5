"""Running the trials of all methods of a grid."""

import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cells.config import TuneConfig
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.cells.identity import standing
from benchmark.errors import UserError
from benchmark.execution.local import execute
from benchmark.grid import Grid
from benchmark.tuning.search import Search, Trial

if TYPE_CHECKING:
    from benchmark.tracking import FollowingMirror


def searches_of(grid: Grid, settings: TuneConfig) -> list[Search]:
    """One search per method, at the method's first cell in the grid: the first seed, channels, shots and so on."""
    first = {config.method: config for config in reversed(grid.cells)}
    return [Search(first[name], grid.axes, settings) for name in dict.fromkeys(c.method for c in grid.cells)]


class Tuning:
    """All searches of a grid, in the folder of one experiment: every trial is an ordinary cell there.

    `ended` is called with every trial that ends, those found on disk included.
    """

    def __init__(
        self, grid: Grid, searches: list[Search], experiment: ExperimentFolder, ended: Callable[[Search, Trial], None]
    ) -> None:
        self._grid, self._searches, self._experiment, self._ended = grid, searches, experiment, ended
        self._waiting: deque[CellFolder] = deque()
        self._out: dict[Path, list[tuple[Search, Trial]]] = {}

    def run(self, *, workers: int, device: str, mirror: "FollowingMirror | None" = None) -> None:
        """Run all trials that have no result yet; an exception stops the processes (trials can be continued)."""
        for search in self._searches:
            self._advance(search)
        if mirror is not None:
            mirror.grow(self.grid())
        with contextlib.closing(execute(self._waiting, workers=workers, device=device)) as events:
            for event in events:
                if event.kind == "ended" and event.cell is not None:
                    self._settle(event.cell)
                if mirror is not None:
                    mirror.grow(self.grid())
                    mirror.follow(event)

    def grid(self) -> Grid:
        """The trials so far as a grid, for MLflow: it varies the methods and whatever is searched."""
        cells = {trial.config.key: trial.config for search in self._searches for trial in search.trials}
        axes = dict.fromkeys(["method", *(axis for search in self._searches for axis in search.space)], ())
        return replace(self._grid, name=self._experiment.folder.name, cells=tuple(cells.values()), axes=axes)

    def _settle(self, cell: CellFolder) -> None:
        """Tell a cell's outcome, unless it was killed, and propose what comes next."""
        if (result := cell.result()) is None:
            return
        for search, trial in self._out.pop(cell.folder):
            search.tell(trial, result)
            self._ended(search, trial)
            self._advance(search)

    def _advance(self, search: Search) -> None:
        """Propose until there is something to run; what has been run before is looked up."""
        while batch := search.propose():
            for trial in batch:
                cell = self._experiment.cell(trial.config)
                if cell.folder not in self._out and standing(trial.config, cell).state in ("outdated", "damaged"):
                    cell.set_aside(planned=cell.record())
                if (result := cell.result()) is not None:
                    search.tell(trial, result)
                    self._ended(search, trial)
                    continue
                if cell.folder not in self._out:  # a setting may be proposed twice
                    if cell.state() == "running":
                        raise UserError(f"{cell.folder} is being written by another run; wait for it")
                    cell.create(trial.config)
                    self._waiting.append(cell)
                self._out.setdefault(cell.folder, []).append((search, trial))
