"""What the terminal shows of a plan and of a run: bars that move where it can, plain lines in a log."""

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from benchmark.cells.folder import CellFolder
from benchmark.cells.now import Now, read_now
from benchmark.errors import UserError
from benchmark.execution.bars import progress_bars, progress_texts, short_names
from benchmark.execution.engine import Event
from benchmark.execution.plan import PlannedCell
from benchmark.machine.duration import duration

_REFRESH_SECONDS = 1.0
_MARKS = {
    "done": "[green]done[/]",
    "failed": "[red]failed[/]",
    "damaged": "[red]damaged[/]",
    "outdated": "[yellow]outdated[/]",
    "running": "[cyan]running[/]",
}


def plan_table(planned: Sequence[PlannedCell]) -> Table:
    """One row per cell: state and what remains to be trained."""
    table = Table(box=None, header_style="bold")
    for column in ("cell", "state", "left", "note"):
        table.add_column(column, justify="right" if column == "left" else "left", overflow="fold")
    for cell in planned:
        left = "" if cell.remaining_seconds == 0 else duration(cell.remaining_seconds)
        now = read_now(cell.store.folder) if cell.state == "running" else None
        note = ", ".join(filter(None, progress_texts(now))) if now else cell.told
        table.add_row(cell.store.folder.name, _MARKS.get(cell.state, cell.state), left, note)
    return table


class RunDisplay:
    """Follows a run of cells.

    On a terminal finished cells become lines above a bar for each that is running; in a log there is a line when a cell
    starts or ends, and one a minute for each that is running.
    """

    def __init__(
        self,
        console: Console,
        cells: Sequence[CellFolder],
        expected: Mapping[str, float] | None = None,
        *,
        log_seconds: float = 60.0,
    ) -> None:
        """`expected` has seconds by the names of folders, of cells whose cost is known; log lines come so often."""
        self._console, self._cells = console, list(cells)
        self._expected = expected
        self._labels = short_names(cell.folder.name for cell in cells)
        self._log_seconds = log_seconds
        self._running: dict[str, CellFolder] = {}
        self._ended: set[str] = set()
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_interactive else None
        self._shown = time.monotonic()

    def follow(self, events: Iterable[Event]) -> Iterable[Event]:
        """Pass events on while showing them."""
        with self._live or contextlib.nullcontext():
            for event in events:
                self._note(event)
                self._refresh(changed=event.kind != "tick")
                yield event

    def _note(self, event: Event) -> None:
        if event.cell is None:
            return
        name = event.cell.folder.name
        if event.kind == "started":
            self._running[name] = event.cell
            if self._live is None:
                self._console.print(f"started  {name}", highlight=False)
            return
        self._running.pop(name, None)
        self._ended.add(name)
        if self._live is not None:
            self._live.update(self._drawn())  # else it would be drawn once more below the line that says it has ended
        count = f"[{len(self._ended)}/{len(self._cells)}]"
        self._console.print(f"ended    {name}  {count}  {_outcome(event)}", highlight=False, markup=False)

    def _refresh(self, *, changed: bool) -> None:
        since = time.monotonic() - self._shown
        if self._live is None:
            if since >= self._log_seconds:
                self._shown = time.monotonic()
                for name, now in self._states().items():
                    told = "  ".join(filter(None, progress_texts(now)))
                    self._console.print(f"running  {name}  {told}", highlight=False, markup=False)
        elif changed or since >= _REFRESH_SECONDS:
            self._shown = time.monotonic()
            self._live.update(self._drawn(), refresh=True)

    def _states(self) -> dict[str, Now]:
        return {name: read_now(cell.folder) or Now() for name, cell in self._running.items()}

    def _drawn(self) -> RenderableType:
        states = self._states()
        if not states:
            return ""
        waiting = len(self._cells) - len(self._ended) - len(states)
        parts = [f"{len(self._ended)} of {len(self._cells)} ended", f"{len(states)} running"]
        parts += [f"{waiting} waiting"] if waiting > 0 else []
        left = self._seconds_left(states)
        parts += [] if left is None else [f"about {duration(left)} left"]
        named = {self._labels.get(name, name): now for name, now in states.items()}
        return Group(Text(", ".join(parts), style="dim"), progress_bars(named, self._console.width))

    def _seconds_left(self, states: Mapping[str, Now]) -> float | None:
        """Of the whole run, if that is known of every cell: as if as many cells as now were running all the time."""
        found = [now.seconds_left for now in states.values()]
        waiting = [c.folder.name for c in self._cells if c.folder.name not in self._ended | self._running.keys()]
        found += [None if self._expected is None else self._expected.get(name) for name in waiting]
        known = [seconds for seconds in found if seconds is not None]
        if len(known) < len(found):
            return None
        return max(sum(known) / len(states), *(now.seconds_left or 0.0 for now in states.values()))


def _outcome(event: Event) -> str:
    assert event.cell is not None
    try:
        result = event.cell.result()
    except UserError as error:
        return str(error)
    if result is None:
        return f"not finished: {event.note}"
    return f"test accuracy {result.test.accuracy:.1%}" if result.test is not None else f"FAILED: {event.note}"
