"""How much memory this process has used."""

import re
import resource
import sys
from pathlib import Path

import torch


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


def memory_in_use(device: torch.device) -> int:
    """Bytes in use now, of the same as `peak_memory`; on a system that does not tell, the most so far."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    if sys.platform == "linux":
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    return peak_memory(device)
