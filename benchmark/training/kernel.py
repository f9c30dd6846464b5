"""Which arithmetic a cell is trained with, and keeping to it: PyTorch's or that of `methods.compiled`.

The two round differently. A training that changed from one to the other half-way could be repeated on neither.
"""

from collections.abc import Sequence

from benchmark.errors import UserError
from methods.compiled import library


def continue_with(taken: Sequence[str]) -> str:
    """What to choose ("auto", "compiled" or "torch") for a training that has taken these paths so far.

    The path it took last, unless --kernel or HTBENCH_KERNEL asks for one by name: then somebody wants the change, and
    the record names both.

    Raises:
        UserError: the path taken last is the compiled one, which is not open here.
    """
    asked = library.choice()
    if asked != "auto":
        return asked
    if taken[-1] == "torch":
        return "torch"
    if library.load() is None:
        raise UserError(
            f"training began with the kernel {taken[-1]!r}, and here it would continue with {library.describe()!r},"
            " which rounds differently; to continue all the same, run with --kernel torch --retry-failed,"
            " and the record names both"
        )
    return "compiled"


def name(taken: Sequence[str]) -> str:
    """For a record: the paths taken, in the order of time."""
    return " then ".join(taken) or "torch"
