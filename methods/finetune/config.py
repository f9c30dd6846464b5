"""Options of sequential fine-tuning, replay and elastic weight consolidation."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FineTuningConfig:
    """Options.

    channels: width of each of the network's four convolutions.
    inner_steps: of Adam on what arrives in each step of a sequence.
    inner_learning_rate: of Adam, for all weights.

    Raises:
        ValueError: fewer than no steps.
    """

    channels: int = 8
    inner_steps: int = 50
    inner_learning_rate: float = 0.01

    def __post_init__(self) -> None:
        if self.inner_steps < 0:
            raise ValueError(f"inner_steps is at least 0, not {self.inner_steps}")


@dataclass(frozen=True)
class ReplayConfig(FineTuningConfig):
    """Options.

    exemplars: how many images of each class are kept, the first that arrived; all, if there are no more.

    Raises:
        ValueError: also for no exemplar.
    """

    exemplars: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.exemplars < 1:
            raise ValueError(f"exemplars is at least 1, not {self.exemplars}; without any, replay is finetune")


@dataclass(frozen=True)
class EWCConfig(FineTuningConfig):
    """Options.

    strength: lambda, the weight of the penalty.

    Raises:
        ValueError: also for a negative strength.
    """

    strength: float = 10_000.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength < 0:
            raise ValueError(f"strength is at least 0, not {self.strength:g}")
