"""What a grid file sets, each value with where it was written, so that problems can be told at their line."""

from dataclasses import dataclass
from typing import Any

from benchmark.grid.axes import AxisPath
from benchmark.grid.source import KeyPath


@dataclass(frozen=True)
class Setting:
    """A value, and where in the file it is."""

    value: Any
    where: KeyPath


Settings = dict[AxisPath, Setting]
"""Such as `{("train", "steps"): Setting(100, ("overrides", 0, "train", "steps")), ("seed",): ...}`."""
