"""Learners with every kind of option, and reading grids written in a test."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from torch import Tensor

from benchmark.errors import UserError
from benchmark.grid import Grid, read_grid
from methods import Episode, Method, Setting, register


class Toy(Method):
    def __init__(self, config: Any, setting: Setting) -> None:
        super().__init__()

    def forward(self, episode: Episode) -> Tensor:
        raise NotImplementedError

    def solver_parameters(self, ways: int) -> int:
        return 0


@register("toy-near", "knows only channels")
class Near(Toy):
    @dataclass(frozen=True)
    class Config:
        channels: int = 8


@register("toy", "knows more")
@register("toy-all", "fixes an option", generates="all")
class Hyper(Toy):
    @dataclass(frozen=True)
    class Config:
        channels: int = 8
        generates: Literal["logits", "all"] = "logits"
        dropout: float = 0.0
        blocks: tuple[int, ...] = (1, 1)
        wide: bool = False

        def __post_init__(self) -> None:
            if self.channels % 2:
                raise ValueError(f"channels should be even, got {self.channels}")


@register("toy-plain", "has no channels, and an option without a default")
class Plain(Toy):
    @dataclass(frozen=True)
    class Config:
        depth: int


BASE = """\
name: test
dataset: {name: glyphs}
episodes: {ways: 5, shots: 1}
train: {batch: 4, steps: 10}
"""


def read(tmp_path: Path, text: str) -> Grid:
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    return read_grid(path)


def errors(tmp_path: Path, text: str) -> list[tuple[int, str]]:
    """The (line, message) pairs a file is refused with."""
    with pytest.raises(UserError) as error:
        read(tmp_path, text)
    prefix = f"{tmp_path / 'grid.yaml'}:"
    found = []
    for line in str(error.value).splitlines():
        assert line.startswith(prefix)
        number, message = line.removeprefix(prefix).split(": ", 1)
        found.append((int(number), message))
    return found
