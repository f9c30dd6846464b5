"""What a cell's method says about itself, for code that also meets cells whose method is not here.

Records in results/ may be of a learner in somebody's own file. What such a learner declares is then unknown, and it
counts as one that declares nothing: see `methods.method.Method`.
"""

from typing import Any

from benchmark.cells.config import CellConfig
from methods import registry
from methods.registry import WIDTH


def size_axis(method: str) -> str:
    """The option that is the width of its network."""
    found = registry.find(method)
    return WIDTH if found is None else found.size_axis


def size(config: CellConfig) -> int | None:
    """The width of the network that solves a task; None if the method has no such option."""
    width = config.model.get(size_axis(config.method))
    # A record may hold anything, and this becomes part of a folder's name.
    return width if isinstance(width, int) and not isinstance(width, bool) else None


def is_reference(method: str) -> bool:
    """Whether it sees more than a learner may: a reference, no bound, shown beside the others and never compared."""
    found = registry.find(method)
    return found is not None and found.every_image


def fixed_option(method: str, option: str) -> Any:
    """The value of an option that is part of the method's name; None if the name leaves it open."""
    found = registry.find(method)
    return None if found is None else found.fixed.get(option)
