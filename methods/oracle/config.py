"""Options of the oracle."""

from dataclasses import dataclass


@dataclass(frozen=True)
class OracleConfig:
    """Options.

    channels: width of each of the network's four convolutions.
    steps: of Adam on all images of a task at once.
    learning_rate: of Adam at first; it falls to zero along half a cosine.

    Raises:
        ValueError: fewer than one step.
    """

    channels: int = 8
    steps: int = 50
    learning_rate: float = 0.05

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps is at least 1, not {self.steps}")
