"""Few-shot learners in plain PyTorch, usable without the benchmark around them."""

from methods.episode import UNLABELLED, Episode
from methods.method import Loss, Method, Setting
from methods.registry import register
from methods.search import Range, searched

__all__ = ["UNLABELLED", "Episode", "Loss", "Method", "Range", "Setting", "register", "searched"]
