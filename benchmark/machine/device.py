"""Which device, and how many processes at a time."""

import os

from benchmark.errors import UserError


def resolve_workers(workers: int, device: str) -> int:
    """How many processes `--workers` means: 0 is one per core, or one on a GPU."""
    return workers or (1 if device.startswith("cuda") else len(os.sched_getaffinity(0)))


def resolve_device(device: str) -> str:
    """The device that `--device` means.

    Raises:
        UserError: no such device here.
    """
    import torch

    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    if device != "cpu" and not device.startswith("cuda"):
        raise UserError(f"--device {device}: choose auto, cpu, cuda or cuda:N")
    return device
