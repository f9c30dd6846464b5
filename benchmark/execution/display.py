"""What the terminal shows: a live table where there is one, plain lines in a log."""

import contextlib
import time
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.cells.metrics import MetricsLine
from benchmark.errors import UserError
from benchmark.execution.engine import Event
from benchmark.execution.plan import PlannedCell

_REFRESH_SECONDS = 2.0
_MARKS = {
    "done": "[green]done[/]",
    "failed": "[red]failed[/]",
    "damaged": "[red]damaged[/]",
    "outdated": "[yellow]outdated[/]",
    "running": "[cyan]running[/]",
}


def duration(seconds: float | None) -> str:
    """Seconds as people say them: 45 s, 12 min, 3.4 h; `?` when unknown."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan_table(planned: Sequence[PlannedCell]) -> Table:
    """One row per cell: state and what remains to be trained."""
    table = Table(box=None, header_style="bold")
    for column in ("cell", "state", "left", "note"):
        table.add_column(column, justify="right" if column == "left" else "left", overflow="fold")
    for cell in planned:
        left = "" if cell.remaining_seconds == 0 else duration(cell.remaining_seconds)
        table.add_row(cell.store.folder.name, _MARKS.get(cell.state, cell.state), left, cell.note)
    return table


class RunDisplay:
    """Follows a run of cells."""

    def __init__(self, console: Console, cells: Sequence[CellFolder]) -> None:
        self._console, self._cells = console, list(cells)
        self._configs: dict[str, CellConfig] = {}
        self._notes: dict[str, str] = {}
        self._running: set[str] = set()
        self._ended: set[str] = set()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None
        self._drawn = 0.0

    def follow(self, events: Iterable[Event]) -> Iterable[Event]:
        """Pass events on while showing them."""
        if self._live is None:
            yield from map(self._plain, events)
            return
        with self._live:
            for event in events:
                self._draw(event)
                yield event

    def _plain(self, event: Event) -> Event:
        if event.cell is not None:
            name = event.cell.folder.name
            if event.kind == "started":
                self._console.print(f"started  {name}", highlight=False)
            else:
                self._ended.add(name)
                count = f"[{len(self._ended)}/{len(self._cells)}]"
                self._console.print(f"ended    {name}  {count}  {_outcome(event)}", highlight=False, markup=False)
        return event

    def _draw(self, event: Event) -> None:
        if event.cell is not None:
            name = event.cell.folder.name
            (self._running.add if event.kind == "started" else self._running.discard)(name)
            if event.kind == "started":
                with contextlib.suppress(OSError):  # somebody deletes the folder at this moment
                    self._configs[name] = event.cell.config()
            if event.kind == "ended":
                self._ended.add(name)
                self._notes[name] = _outcome(event)
        assert self._live is not None
        if event.kind != "tick" or time.monotonic() - self._drawn > _REFRESH_SECONDS:
            self._drawn = time.monotonic()
            self._live.update(self._table(), refresh=True)

    def _table(self) -> Table:
        table = Table(box=None, header_style="bold")
        for column in ("cell", "state", "trained", "validation", ""):
            table.add_column(column, justify="right" if column in ("trained", "validation") else "left")
        for cell in self._cells:
            name = cell.folder.name
            if name in self._running:
                last = next(reversed(cell.metrics()), None)
                config = self._configs.get(name)
                share = f"{_share(config, last):.0%}" if last and config else "0%"
                accuracy = f"{last.accuracy:.1%}" if last and last.accuracy is not None else ""
                table.add_row(name, _MARKS["running"], share, accuracy, "")
            elif name in self._ended:
                table.add_row(name, "ended", "", "", self._notes[name])
            else:
                table.add_row(name, "[dim]waiting[/]", "", "", "")
        return table


def _outcome(event: Event) -> str:
    assert event.cell is not None
    try:
        result = event.cell.result()
    except UserError as error:
        return str(error)
    if result is None:
        return f"not finished: {event.note}"
    return f"test accuracy {result.test.accuracy:.1%}" if result.test is not None else f"FAILED: {event.note}"


def _share(config: CellConfig, line: MetricsLine) -> float:
    """How much of its budget a cell has used."""
    if config.train.steps is not None:
        return line.step / config.train.steps
    assert config.train.minutes is not None
    return min(1.0, line.train_seconds / (config.train.minutes * 60))
