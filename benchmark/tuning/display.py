"""What the terminal shows of tuning: a line per trial, a bar per method, and the table of what was found."""

from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from benchmark.tuning.search import Search, Trial
from benchmark.tuning.space import point_text


class TuningDisplay:
    """Follows the trials; a context manager."""

    def __init__(self, console: Console, searches: Sequence[Search], trials: int) -> None:
        self._console, self._trials = console, trials
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[best]}"),
        )
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bars = {s.method: self._progress.add_task(s.method, total=trials, best="") for s in searches}

    def __enter__(self) -> "TuningDisplay":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def ended(self, search: Search, trial: Trial) -> None:
        """Show the end of a trial."""
        outcome = trial.failure if trial.accuracy is None else f"{trial.accuracy:.2%}"
        line = f"{search.method}  trial {trial.number + 1}/{self._trials}  {outcome}  {point_text(trial.point)}"
        self._console.print(line, highlight=False, markup=False)
        best = f"best {search.best.accuracy:.2%}" if search.best else ""
        self._progress.update(self._bars[search.method], advance=1, best=best)


def tuning_table(searches: Sequence[Search]) -> Table:
    """One row per method: its trials, the grid's own setting, the best and what it is."""
    table = Table(box=None, header_style="bold")
    for column in ("method", "trials", "failed", "own %", "best %", "chosen"):
        table.add_column(column, justify="left" if column in ("method", "chosen") else "right", overflow="fold")
    for search in searches:
        own, best = search.trials[0].accuracy, search.best
        table.add_row(
            search.method,
            str(len(search.trials)),
            str(sum(bool(trial.failure) for trial in search.trials)),
            "" if own is None else f"{100 * own:.2f}",
            "" if best is None else f"{100 * (best.accuracy or 0):.2f}",
            "all trials failed" if best is None else point_text(best.point),
        )
    return table
