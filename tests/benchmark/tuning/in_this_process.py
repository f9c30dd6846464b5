"""An engine for tests that are not about processes."""

from collections import deque
from collections.abc import Iterator

from benchmark.cells.folder import CellFolder
from benchmark.execution import cell as cell_process
from benchmark.execution.engine import Event


class InThisProcess:
    """An engine without processes, which can be cut off, and run the newest cell first."""

    def __init__(self, cells: int = 1000, *, newest_first: bool = False) -> None:
        self.cells, self.newest_first, self.done = cells, newest_first, list[str]()

    def __call__(self, cells: deque[CellFolder], *, workers: int, device: str) -> Iterator[Event]:
        while cells and len(self.done) < self.cells:
            cell = cells.pop() if self.newest_first else cells.popleft()
            yield Event("started", cell)
            cell_process.run(cell, device)
            self.done.append(cell.folder.name)
            yield Event("ended", cell)
