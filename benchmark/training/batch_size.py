"""How many episodes a training step can take within a memory budget."""

import re
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import torch

from benchmark.errors import UserError

LARGEST = {"cpu": 16, "cuda": 256}
"""Episodes per step beyond which nothing gets faster; on a CPU they no longer fit into its cache."""


def peak_memory(device: torch.device) -> int:
    """The most bytes in use so far: of the whole process on a CPU (with Python, PyTorch and the images), else of
    tensors on the GPU.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if sys.platform == "linux":  # whose getrusage counts what the parent process had when it started this one
        (used,) = re.findall(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        return int(used) * 2**10
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used if sys.platform == "darwin" else used * 2**10


def largest_batch(
    train: Callable[[int], object],
    gib: float,
    device: torch.device,
    peak: Callable[[torch.device], int] = peak_memory,
) -> int:
    """The largest power of two, up to `LARGEST`, of episodes per step that stays within so many GiB.

    `train(batch)` makes training steps of that size. It is called with 1, 2, 4, ... as long as the next one, if memory
    grows in proportion, will fit: so that the search itself stays within the budget.

    Raises:
        UserError: a single episode does not fit.
    """
    budget = gib * 2**30
    fits, used = 0, peak(device)
    for exponent in range(LARGEST[device.type].bit_length()):
        batch = 2**exponent
        train(batch)
        before, used = used, peak(device)
        if used > budget:
            break
        fits = batch
        growth = (used - before) / (batch - batch // 2)  # per episode
        if used + growth * batch > budget:
            break
    if not fits:
        raise UserError(
            f"train.memory_gib: a training step on one episode takes {used / 2**30:.1f} GiB (on a CPU with Python and"
            f" the images), more than the {gib:g} allowed; raise it, or use fewer ways, shots, queries or channels"
        )
    return fits
