"""Training state on disk, readable without running any code from the file (`weights_only`)."""

import io
import pickle
from pathlib import Path
from typing import Any

import torch

from benchmark.errors import UserError
from benchmark.machine.files import write_whole

FORMAT = 1
"""Version of the file; a newer one is refused."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them, whole or not at all."""
    buffer = io.BytesIO()  # torch hides a full disk behind a RuntimeError of its own
    torch.save({"format": FORMAT, **state}, buffer)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save` wrote.

    Raises:
        UserError: the file is damaged, is not a checkpoint, or was written by a newer htbench.
    """
    remedy = f"delete {path.parent} to run the cell from the start"
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is not a readable checkpoint ({reason}); {remedy}") from error
    if not isinstance(state, dict) or "format" not in state:
        raise UserError(f"{path} is not an htbench checkpoint; {remedy}")
    if state["format"] > FORMAT:
        raise UserError(
            f"{path} was written by a newer htbench (format {state['format']}, this one reads {FORMAT});"
            f" upgrade, or {remedy}"
        )
    return state
