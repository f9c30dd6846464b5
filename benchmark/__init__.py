"""htbench: few-shot learners on identical test episodes, from one YAML grid to a table with honest intervals.

From Python, see docs/python.md: `read_grid`, `run` and `load_results` do what `htbench plan`, `run` and `report` do.
They are imported when they are first used, so that `import benchmark` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.api import Grid, Results, UserError, load_results, read_grid, run

__all__ = ["Grid", "Results", "UserError", "load_results", "read_grid", "run"]


def __getattr__(name: str) -> Any:
    """What `__all__` names, from where it is."""
    if name not in __all__:
        raise AttributeError(f"module 'benchmark' has no attribute {name!r}")
    return getattr(importlib.import_module("benchmark.api"), name)


def __dir__() -> list[str]:
    """What there is to find: the names for users."""
    return sorted([*globals(), *__all__])
