"""Time spent working."""

import time

import torch


def clock(device: torch.device) -> float:
    """Seconds of work: processor time on a CPU, so that a busy machine does not count, else wall time.

    Only differences mean something. On a GPU it waits until all that was asked of it is done.
    """
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.monotonic()
