"""How many episodes a training step can take within a memory budget."""

from collections.abc import Callable

import torch

from benchmark.errors import UserError
from benchmark.machine.memory import peak_memory

LARGEST = {"cpu": 16, "cuda": 256}
"""Episodes per step beyond which nothing gets faster; on a CPU they no longer fit into its cache."""


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
    fits, used, growth = 0, peak(device), 0.0
    for exponent in range(LARGEST[device.type].bit_length()):
        batch = 2**exponent
        train(batch)
        before, used = used, peak(device)
        if used > budget:
            break
        fits = batch
        # Per episode, the most so far: a batch may find room in what was free beside the one before it.
        growth = max(growth, (used - before) / (batch - batch // 2))
        if used + growth * batch > budget:
            break
    if not fits:
        raise UserError(
            f"train.memory_gib: a training step on one episode takes {used / 2**30:.1f} GiB (on a CPU with Python and"
            f" the images), more than the {gib:g} allowed; raise it, or use fewer ways, shots, queries or channels"
        )
    return fits
