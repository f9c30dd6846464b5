"""Options of MAML and MAML++."""

from dataclasses import dataclass
from typing import Literal

from methods.search import Range, searched


@dataclass(frozen=True)
class MAMLConfig:
    """Options; the defaults are MAML's on 20-way Omniglot, but for the width (the papers use 64 channels).

    The network:
        channels: width of its four convolutions (32 to 64 in the papers).
        activation: ReLU, or leaky ReLU with slope 0.01.
        query_statistics: queries are normalised with the statistics of the query images ("batch", as published; a
            prediction then depends on the other queries) or of the support images ("support", inductive).

    The inner loop:
        inner_steps, test_inner_steps: gradient steps on the support set, in training and once trained (None: as
            many). Where there are rates or normalisation for each step, a step beyond the last uses those of the last.
        inner_learning_rate: of these steps (0.01 for mini-ImageNet in the papers).
        adapt: what they change: all kernels and the linear layer ("all") or the linear layer only ("head", ANIL).
            Normalisation scales and offsets are trained by the outer loop only.
        second_order: whether the outer gradient goes through the gradients of the inner loop.

    MAML++:
        derivative_order_annealing: until this fraction of training, gradients are first-order (0 in the released
            settings).
        multi_step_loss: until this fraction of training, the outer loss counts the queries after every inner step,
            not only after the last (the first 10 of 100 epochs for Omniglot, 15 for mini-ImageNet); 0: never.
        learned_rates: each adapted tensor learns a rate for each inner step.
        per_step_normalization: each inner step has its own normalisation scales and offsets.

    Raises:
        ValueError: for values out of range, and options that contradict each other or would have no effect.
    """

    channels: int = 8
    activation: Literal["relu", "leaky_relu"] = "relu"
    query_statistics: Literal["batch", "support"] = "batch"

    inner_steps: int = searched(5, Range(1, 5))
    test_inner_steps: int | None = None
    inner_learning_rate: float = searched(0.1, Range(0.01, 1.0, log=True))
    adapt: Literal["all", "head"] = "all"
    second_order: bool = True

    derivative_order_annealing: float = 0.0
    multi_step_loss: float = 0.0
    learned_rates: bool = False
    per_step_normalization: bool = False

    def __post_init__(self) -> None:
        check_inner_steps(self.inner_steps, self.test_inner_steps)
        for name in ("derivative_order_annealing", "multi_step_loss"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a fraction of training, 0 to 1, not {getattr(self, name):g}")
        if self.derivative_order_annealing and not self.second_order:
            raise ValueError("derivative_order_annealing needs second_order")
        if self.per_step_normalization and self.adapt == "head":
            raise ValueError("per_step_normalization needs adapt 'all': with 'head' no inner step normalises")

    @property
    def negative_slope(self) -> float:
        """Slope of the activation below zero."""
        return 0.01 if self.activation == "leaky_relu" else 0.0


@dataclass(frozen=True)
class MAMLPlusPlusConfig(MAMLConfig):
    """Options; the defaults are the authors' released settings for Omniglot, but for the width (theirs is 64)."""

    activation: Literal["relu", "leaky_relu"] = "leaky_relu"
    multi_step_loss: float = 0.1
    learned_rates: bool = True
    per_step_normalization: bool = True


@dataclass(frozen=True)
class ContinualMAMLConfig(MAMLPlusPlusConfig):
    """Options of MAML++, less some about single tasks: in a sequence the outer loss counts the queries after each of
    its tasks, not after each inner step, and tables of rates and normalisation have a place for each inner step.

    Raises:
        ValueError: also for those.
    """

    multi_step_loss: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("multi_step_loss", "derivative_order_annealing", "test_inner_steps"):
            if getattr(self, name):
                raise ValueError(f"{name} is for single tasks, not for sequences")


@dataclass(frozen=True)
class MAMLLearn2LearnConfig:
    """Options, as of the same names in `MAMLConfig`."""

    channels: int = 8
    inner_steps: int = searched(5, Range(1, 5))
    test_inner_steps: int | None = None
    inner_learning_rate: float = searched(0.1, Range(0.01, 1.0, log=True))
    adapt: Literal["all", "head"] = "all"
    second_order: bool = True

    def __post_init__(self) -> None:
        check_inner_steps(self.inner_steps, self.test_inner_steps)


def check_inner_steps(training: int, test: int | None) -> None:
    """Refuse impossible numbers of steps.

    Raises:
        ValueError: no step in training, or fewer than none in testing.
    """
    if training < 1:
        raise ValueError(f"inner_steps is at least 1, not {training}")
    if test is not None and test < 0:
        raise ValueError(f"test_inner_steps is at least 0, not {test}")
