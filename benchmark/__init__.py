"""htbench: few-shot learners on identical test episodes, from one YAML grid to a table with honest intervals.

From Python, see docs/python.md: `read_grid`, `run` and `load_results` do what `htbench plan`, `run` and `report` do.
They are imported when they are first used, so that `import benchmark` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.api.results import Results, load_results
    from benchmark.api.running import read_grid, run
    from benchmark.errors import UserError
    from benchmark.grid import Grid

__all__ = ["Grid", "Results", "UserError", "load_results", "read_grid", "run"]

_HOMES = {
    "Grid": "benchmark.grid",
    "Results": "benchmark.api.results",
    "UserError": "benchmark.errors",
    "load_results": "benchmark.api.results",
    "read_grid": "benchmark.api.running",
    "run": "benchmark.api.running",
}


def __getattr__(name: str) -> Any:
    """What `__all__` names, from where it is."""
    if name not in _HOMES:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What there is to find: the names for users."""
    return sorted([*globals(), *__all__])
