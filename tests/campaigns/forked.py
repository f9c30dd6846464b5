"""htbench in copies of this process: a fork has torch loaded already, so an attempt takes a tenth of a second."""

import contextlib
import os
import re
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.campaigns.tally import Outcome

HANG_SECONDS = 120.0


@dataclass(frozen=True)
class Ended:
    """How a process ended: exit status (minus the signal's number if killed), what it printed, whether it hung."""

    status: int
    output: str
    hung: bool = False

    @property
    def outcome(self) -> Outcome:
        """As a refusal: exit status 2 and a line that begins with "error: "."""
        if self.hung:
            return "hang"
        if "Traceback (most recent call last)" in self.output:
            return "traceback"
        said = re.search(r"^error: \S", self.output, re.MULTILINE) or "Usage:" in self.output
        if self.status in (0, 1) and not said:  # 1: some cell has no result, which is no mistake of the grid
            return "right"
        return "right" if self.status == 0 else "refused" if said else "unclear"


def forked(
    act: Callable[[], int | None],
    log: Path,
    *,
    kill: tuple[float, int] | None = None,
    limit: float = HANG_SECONDS,
) -> Ended:
    """Do something in a fork; `kill` is (after so many seconds, with which signal)."""
    child = os.fork()
    if not child:
        _in_the_child(act, log)
    begun, status = time.monotonic(), None
    while status is None:
        found, raw = os.waitpid(child, os.WNOHANG)
        if found:
            status = os.waitstatus_to_exitcode(raw)
            break
        gone = time.monotonic() - begun
        if kill is not None and gone >= kill[0]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, kill[1])
            kill = None
        if gone > limit:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return Ended(-9, log.read_text(errors="replace"), hung=True)
        time.sleep(0.005)
    return Ended(status, log.read_text(errors="replace"))


def _in_the_child(act: Callable[[], int | None], log: Path) -> None:
    status = 70
    try:
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for descriptor in (1, 2):
            os.dup2(file, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        status = act() or 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 71
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def cli(arguments: list[object], cwd: Path, log: Path, limit: float = HANG_SECONDS) -> Ended:
    """The command line in a fork, in a folder."""

    def act() -> int:
        from benchmark import cli as command_line
        from benchmark.commands import common

        os.chdir(cwd)
        common.console.file = sys.stdout
        sys.argv = ["htbench", *map(str, arguments)]
        command_line.main()
        return 0

    return forked(act, log, limit=limit)


def cell(
    folder: Path, log: Path, before: Callable[[], None] | None = None, kill: tuple[float, int] | None = None
) -> Ended:
    """A cell's process, as the scheduler starts it, in a fork; `before` is called in it first."""

    def act() -> int:
        from benchmark.execution import cell as module

        sys.argv = ["cell", str(folder)]
        if before is not None:
            before()
        return module.main()

    return forked(act, log, kill=kill)


def killed_at(number: int, folder: Path) -> Callable[[], None]:
    """From now on, a SIGKILL before file operation `number` in the folder; operations are counted from 1."""
    place = str(folder)
    seen = 0

    def one_more() -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in ("open", "os.rename", "os.remove", "os.mkdir", "os.truncate") and place in str(arguments[0]):
            one_more()

    def begin() -> None:
        sys.addaudithook(hook)
        sync = os.fsync

        def counted(file: int) -> None:
            one_more()  # what was written may be anywhere between memory and disk
            sync(file)

        setattr(os, "fsync", counted)  # noqa: B010 - its type is that of the C function

    return begin


def largest_file(size: int) -> Callable[[], None]:
    """From now on, no file can grow beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def fresh(folder: Path) -> Path:
    """An empty folder in place of whatever is there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
