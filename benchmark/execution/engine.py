"""What runs cells: the protocol, and what an engine tells meanwhile."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from benchmark.cells.folder import CellFolder

REFUSED_STATUS = 2
"""Exit status of a cell's process that found nothing to do: another process holds the cell."""

MACHINE_STATUS = 75
"""Exit status of a cell's process that the machine let down (EX_TEMPFAIL of sysexits.h): the cell can be continued."""


@dataclass(frozen=True)
class Event:
    """Something happened: a cell started or ended (`note` says how, if not well), or just half a second passed."""

    kind: Literal["started", "ended", "tick"]
    cell: CellFolder | None = None
    note: str = ""


class Engine(Protocol):
    """Runs cells to their records, somewhere; `benchmark.execution.local.execute` is one.

    To add an engine, write such a function in a file of this room and let `htbench run` choose it.
    """

    def __call__(self, cells: Iterable[CellFolder], *, workers: int, device: str) -> Generator[Event]:
        """Run cells, yielding events; closing the generator stops the work, and the cells can be continued."""
