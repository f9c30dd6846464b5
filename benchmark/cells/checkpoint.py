"""Training state on disk, readable without running any code from the file (`weights_only`)."""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from benchmark.errors import UserError
from benchmark.machine.files import write_whole

FORMAT = 2
"""Version of the file; others are refused."""


def save(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them, whole or not at all."""
    buffer = io.BytesIO()  # torch hides a full disk behind a RuntimeError of its own
    torch.save({"format": FORMAT, "sha256": content_sha256(state), "state": state}, buffer)
    write_whole(path, lambda file: file.write(buffer.getbuffer()))


def load(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read what `save` wrote, to the last bit.

    Raises:
        UserError: the file is damaged, is not a checkpoint, or was written by another htbench.
    """
    remedy = f"delete {path.parent} to run the cell from the start"
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is not a readable checkpoint ({reason}); {remedy}") from error
    except Exception as error:  # a flipped bit of a pickle may become any error
        raise UserError(f"{path} is not a readable checkpoint ({type(error).__name__}); {remedy}") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise UserError(f"{path} is not an htbench checkpoint; {remedy}")
    if content["format"] != FORMAT:
        version = "a newer" if content["format"] > FORMAT else "an older"
        raise UserError(
            f"{path} was written by {version} htbench (format {content['format']}, this one reads {FORMAT});"
            f" use that one, or {remedy}"
        )
    state = content.get("state")
    if not isinstance(state, dict) or content_sha256(state) != content.get("sha256"):
        raise UserError(f"{path} is damaged: its content is not what was written; {remedy}")
    return state


def content_sha256(value: Any) -> str:
    """SHA-256 of tensors, numbers, strings and containers of them: types, shapes, every bit, the order of keys.

    torch's own file format has checksums that its reader does not look at.
    """
    digest = hashlib.sha256()

    def add(part: Any) -> None:
        if isinstance(part, torch.Tensor):
            digest.update(f"tensor {part.dtype} {list(part.shape)}:".encode())
            digest.update(part.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        elif isinstance(part, dict):
            digest.update(f"dict {len(part)}:".encode())
            for key, item in part.items():
                add(key)
                add(item)
        elif isinstance(part, list | tuple):
            digest.update(f"{type(part).__name__} {len(part)}:".encode())
            for item in part:
                add(item)
        else:
            digest.update(f"{type(part).__name__} {part!r}:".encode())

    add(value)
    return digest.hexdigest()
