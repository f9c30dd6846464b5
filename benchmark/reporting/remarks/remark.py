"""What a remark on a row is."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmark.reporting.rows import Row


@dataclass(frozen=True)
class Remark:
    """A remark on some rows: `of` says it of a row, or nothing (""), and `rule` tells readers when it is made.

    It is about the trainings, and made once, or about the test accuracies, and then made of every domain's, too.
    """

    of: Callable[[Row], str]
    rule: str
    about_accuracy: bool = False
