"""Where to look for the values of a method's options when it is tuned.

@dataclass(frozen=True)
class Config:
    channels: int = 8
    inner_learning_rate: float = searched(0.1, Range(0.01, 1.0, log=True))
    activation: Literal["relu", "leaky_relu"] = searched("relu", ("relu", "leaky_relu"))
"""

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included, whole ones if both are; spread evenly, or evenly in logarithm."""

    low: float
    high: float
    log: bool = False

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}{' (logarithmic)' if self.log else ''}"


Space = Range | tuple[Any, ...]
"""A range of numbers, or the values to choose from."""


def searched(default: Any, space: Space) -> Any:
    """A field of a Config that tuning varies within `space`."""
    return field(default=default, metadata={"search": space})


def spaces(config: type[Any]) -> dict[str, Space]:
    """The options of a Config that tuning varies, each with its space."""
    return {one.name: one.metadata["search"] for one in fields(config) if "search" in one.metadata}
