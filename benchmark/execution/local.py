"""The local engine: one process per cell, `workers` at a time.

A cell that runs out of memory or crashes the interpreter takes nothing else with it.
"""

import contextlib
import math
import signal
import subprocess
import time
from collections import deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass

from pydantic import ValidationError

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.cells.result import Failure, Result
from benchmark.errors import UserError
from benchmark.execution.engine import MACHINE_STATUS, REFUSED_STATUS, Event
from benchmark.machine.process import child_command, child_environment

_POLL_SECONDS = 0.5  # between two events
_LOOK_SECONDS = 0.02  # between looking whether a process has ended
_GRACE_SECONDS = 5.0  # between asking a process to stop and stopping it


@dataclass
class _Worker:
    cell: CellFolder
    config: CellConfig
    process: subprocess.Popen[bytes]
    deadline: float
    timed_out: bool = False


def execute(cells: Iterable[CellFolder], *, workers: int, device: str) -> Generator[Event]:
    """Run cells, yielding events; closing the generator stops the processes (their cells can be continued).

    A deque of cells is emptied from the left, and may get more at the right while an event is handled.
    """
    waiting = cells if isinstance(cells, deque) else deque(cells)
    busy: list[_Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                cell = waiting.popleft()
                try:
                    worker = _start(cell, device)
                except (OSError, ValidationError) as error:  # its folder was deleted or the machine has no more to give
                    yield Event("ended", cell, f"cannot be started: {str(error).splitlines()[0]}; run again to try")
                    continue
                busy.append(worker)
                yield Event("started", cell)
            _pause(busy)
            for worker in list(busy):
                _enforce_timeout(worker)
                if worker.process.poll() is not None:
                    busy.remove(worker)
                    yield Event("ended", worker.cell, _settle(worker))
            yield Event("tick")
    finally:
        for worker in busy:
            worker.process.terminate()
        for worker in busy:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(_GRACE_SECONDS)
            worker.process.kill()
            worker.process.wait()


def _pause(busy: list[_Worker]) -> None:
    """Until a process has ended, or it is time to look at the deadlines and let others see how far the cells are."""
    until = time.monotonic() + _POLL_SECONDS
    while time.monotonic() < until and not any(worker.process.poll() is not None for worker in busy):
        time.sleep(_LOOK_SECONDS)


def _start(cell: CellFolder, device: str) -> _Worker:
    config = cell.config()
    command = [*child_command("benchmark.execution.cell"), str(cell.folder.resolve()), "--device", device]
    with cell.log_file.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--die-with-parent"], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=child_environment()
        )
    limit = config.timeout_minutes
    return _Worker(cell, config, process, time.monotonic() + (math.inf if limit is None else limit * 60))


def _enforce_timeout(worker: _Worker) -> None:
    over = time.monotonic() - worker.deadline
    if over > 0 and not worker.timed_out:
        worker.timed_out = True
        worker.process.terminate()
    elif over > _GRACE_SECONDS:
        worker.process.kill()


def _settle(worker: _Worker) -> str:
    """Make sure an ended process left a record or a cell that can be continued; returns what went wrong, or ""."""
    try:
        return _settled(worker)
    except UserError as error:  # its record is damaged, its folder gone, the disk full: the others go on
        return str(error)


def _settled(worker: _Worker) -> str:
    cell, config, status = worker.cell, worker.config, worker.process.returncode
    if not cell.log_file.exists():
        return "its folder was deleted while it ran; run again to start it anew"
    with cell.lock():  # another launch may have gone on with it
        result = cell.result()
        if result is not None:
            return result.failure.reason if result.failure else ""
        if worker.timed_out:
            reason = f"not finished within timeout_minutes: {config.timeout_minutes:g}"
            failure = Failure(kind="timed out", reason=reason)
        elif status < 0:
            # Killed from outside: nothing wrong with the cell as far as anyone knows, so it stays to be continued.
            name = signal.Signals(-status).name
            hint = " (out of memory?)" if name == "SIGKILL" else ""
            return f"killed by {name}{hint}; run again to continue it"
        elif status in (MACHINE_STATUS, REFUSED_STATUS):
            return f"{_last_line(cell)}; run again to continue it"
        else:
            failure = Failure(kind="crashed", reason=_last_line(cell) or f"the process ended with status {status}")
        cell.write_result(Result(key=config.key, config=config.model_dump(mode="json"), failure=failure))
        return failure.reason


def _last_line(cell: CellFolder) -> str:
    try:
        lines = cell.log_file.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1][:500] if lines else ""
