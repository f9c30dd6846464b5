"""Few-shot learners in plain PyTorch, usable without the benchmark around them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from methods.registry import register
from methods.search import Range, searched

if TYPE_CHECKING:
    from methods.episode import UNLABELLED, Episode
    from methods.method import Loss, Method, Setting

__all__ = ["UNLABELLED", "Episode", "Loss", "Method", "Range", "Setting", "register", "searched"]

_WITH_TORCH = {
    "UNLABELLED": "methods.episode",
    "Episode": "methods.episode",
    "Loss": "methods.method",
    "Method": "methods.method",
    "Setting": "methods.method",
}
"""Imported when first asked for: who only wants to know which learners there are need not wait for torch."""


def __getattr__(name: str) -> Any:
    if name not in _WITH_TORCH:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_WITH_TORCH[name]), name)
