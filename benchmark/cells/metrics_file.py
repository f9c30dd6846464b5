"""Reading a cell's metrics."""

from pathlib import Path

from benchmark.cells.arrays import DamagedError, brief
from benchmark.cells.metrics import MetricsLine


def read_metrics(path: Path) -> list[MetricsLine]:
    """All lines in the order written; a torn one at the end (a kill while writing) is left out.

    Raises:
        DamagedError: some other line is none of metrics.
    """
    if not path.exists():
        return []
    try:
        content = path.read_bytes().splitlines(keepends=True)
    except OSError as error:
        raise DamagedError(f"{path} cannot be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(content, 1):
        try:
            found.append(MetricsLine.from_json(line.decode()))
        except ValueError as error:
            if number < len(content) or line.endswith(b"\n"):
                raise DamagedError(f"{path} is damaged in line {number} ({brief(error)})") from error
    return found
