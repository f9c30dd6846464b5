"""Where a running cell is at this moment, as its process tells whoever looks.

It is for eyes only: nothing is decided by it, and losing it loses nothing. So it is never flushed to the disk, and
written at most once a second, into the same file, by one write of fixed length: no reader finds half of it, and a
process killed meanwhile leaves nothing behind.
"""

import os
import time
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from benchmark.machine.frozen import Frozen

PROGRESS = "progress"
"""Its file in the cell's folder; it means something only while the cell is running."""

_LENGTH = 512
_SECONDS = 1.0

Phase = Literal["starting", "preparing", "training", "validating", "testing"]


class Now(Frozen):
    """How far a running cell is.

    Attributes:
        phase: what it does; "preparing" is finding out how many episodes and steps fit.
        step: training steps done.
        steps: training steps there will be; 0 while that is not decided.
        loss: mean training loss of the steps since it was told last.
        accuracy: at the last validation.
        episodes_per_second: of training, on the clock on the wall, since it was told last.
        seconds_left: until it has its result, at the pace so far; None while there is none.
        scored: episodes of this validation or test that are done.
        to_score: how many it has.
    """

    phase: Phase = "starting"
    step: int = Field(0, ge=0)
    steps: int = Field(0, ge=0)
    loss: float | None = None
    accuracy: float | None = None
    episodes_per_second: float | None = None
    seconds_left: float | None = None
    scored: int = Field(0, ge=0)
    to_score: int = Field(0, ge=0)


class Teller:
    """Writes where a cell is. What the machine refuses is passed over: telling never ends a cell."""

    def __init__(self, folder: Path) -> None:
        self._file: int | None = None
        self._due = 0.0
        try:
            self._file = os.open(folder / PROGRESS, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except OSError:
            return
        self.tell(Now())

    @property
    def due(self) -> bool:
        """Whether the last telling is long enough ago."""
        return time.monotonic() >= self._due

    def tell(self, now: Now) -> None:
        """Write it, due or not."""
        self._due = time.monotonic() + _SECONDS
        if self._file is None:
            return
        try:
            os.pwrite(self._file, now.model_dump_json(exclude_defaults=True).encode().ljust(_LENGTH), 0)
        except OSError:
            self.close()

    def close(self) -> None:
        """Tell no more."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_now(folder: Path) -> Now | None:
    """What was told last of the cell in this folder, or None if nothing was, or nothing that can be understood."""
    try:
        return Now.model_validate_json((folder / PROGRESS).read_bytes())
    except (OSError, ValidationError):
        return None
