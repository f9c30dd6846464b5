"""Reading a record: whole, of a known version, and what its class says it is."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from benchmark.cells.arrays import DamagedError, brief
from benchmark.cells.result import FORMAT
from benchmark.machine.files import parse_json

R = TypeVar("R", bound=BaseModel)


def read_record(path: Path, kind: type[R]) -> R | None:
    """The record in a JSON file, None if there is no file.

    Raises:
        DamagedError: it is damaged, or was written by a newer htbench.
    """
    if not path.exists():
        return None
    try:
        record = parse_json(path.read_bytes())
        if not isinstance(record, dict):
            raise ValueError("it holds no record")
        written = record.get("format", 0)
        if isinstance(written, int) and written > FORMAT:
            raise DamagedError(
                f"{path} was written by a newer htbench (format {written}, this one reads {FORMAT}); upgrade"
            )
        return kind.model_validate(record)
    except (OSError, ValueError, ValidationError) as error:
        raise DamagedError(f"{path} is damaged ({brief(error)})") from error
