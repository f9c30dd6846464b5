"""What a cell's method says about itself, for code that also meets cells whose method is not here.

Records in results/ may be of a learner in somebody's own file. What such a learner declares is then unknown, and it
counts as one that declares nothing: see `methods.method.Method`.
"""

from typing import TYPE_CHECKING, Any

from benchmark.cells.config import CellConfig

if TYPE_CHECKING:
    from methods.registry import Registered


def size_axis(method: str) -> str:
    """The option that is the width of its network."""
    from methods.method import Method

    found = _find(method)
    return Method.size_axis if found is None else found.learner.size_axis


def size(config: CellConfig) -> int | None:
    """The width of the network that solves a task; None if the method has no such option."""
    width = config.model.get(size_axis(config.method))
    # A record may hold anything, and this becomes part of a folder's name.
    return width if isinstance(width, int) and not isinstance(width, bool) else None


def is_reference(method: str) -> bool:
    """Whether it sees more than a learner may: a reference, no bound, shown beside the others and never compared."""
    found = _find(method)
    return found is not None and found.learner.every_image


def fixed_option(method: str, option: str) -> Any:
    """The value of an option that is part of the method's name; None if the name leaves it open."""
    found = _find(method)
    return None if found is None else found.fixed.get(option)


def _find(method: str) -> "Registered | None":
    """Imported here, as torch takes seconds and whoever only names folders may never ask."""
    from methods import registry

    return registry.find(method)
