"""A progress bar on the terminal, and nothing where there is none (log files, tests)."""

from collections.abc import Iterable
from typing import TypeVar

import rich.progress
from rich.console import Console

T = TypeVar("T")


def progress(items: Iterable[T], what: str) -> Iterable[T]:
    """Iterate over `items`, showing how far it is."""
    console = Console(stderr=True)
    return rich.progress.track(items, what, console=console, transient=True, disable=not console.is_terminal)
