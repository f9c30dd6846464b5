"""What this process takes of the machine, now."""

import os
import time
from typing import TYPE_CHECKING

from benchmark.machine.memory import memory_in_use

if TYPE_CHECKING:
    import torch


class Usage:
    """Looks at this process from time to time."""

    def __init__(self, device: "torch.device") -> None:
        self._device = device
        self._marks = _clocks()

    def percent_and_megabytes(self) -> tuple[float, float]:
        """Processor time since the last look, or the start, in percent of one core; and megabytes in use now.

        Those are of the whole process on a CPU, of tensors on a GPU.
        """
        now = _clocks()
        worked, passed = (new - old for new, old in zip(now, self._marks, strict=True))
        self._marks = now
        return round(100 * worked / max(passed, 1e-9), 1), round(memory_in_use(self._device) / 1e6, 1)


def _clocks() -> tuple[float, float]:
    spent = os.times()
    return spent.user + spent.system, time.monotonic()
