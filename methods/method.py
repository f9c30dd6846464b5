"""The one interface every few-shot learner implements."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import Episode


@dataclass(frozen=True)
class Setting:
    """What a method is built for: fixed by the experiment, not tuned.

    Attributes:
        ways: classes per task while training (testing may use fewer or more if the method allows it).
        shots: labelled support images per class.
        image_shape: (C, H, W).
        training_classes: number of distinct training classes, for losses over all of them.
        tasks: steps of the sequences it is trained on, 1 for single tasks.
    """

    ways: int
    shots: int
    image_shape: tuple[int, int, int]
    training_classes: int
    tasks: int = 1


@dataclass(frozen=True)
class Loss:
    """A training loss: `total` (scalar) is minimised; `parts` (scalars) are logged under their names."""

    total: Tensor
    parts: dict[str, Tensor]


class Method(nn.Module, ABC):
    """A few-shot learner.

    A subclass declares `Config`, a frozen dataclass whose fields are the method's options, takes
    `(config, setting)` in its constructor, and implements `forward` and `solver_parameters`.
    Tasks are independent: in `eval` mode nothing may flow between the T tasks of one call.
    """

    Config: ClassVar[type[Any]]
    fixed_ways: ClassVar[bool] = False
    """Whether the method only works with the number of ways it was trained for."""
    every_image: ClassVar[bool] = False
    """Whether it is tested with all images of a task's classes, but the queries, as support: a reference to compare
    few-shot learners with, not one of them."""
    size_axis: ClassVar[str] = "channels"
    """The option that is the width of the network a task is solved with: only methods of the same width are compared,
    and it stands in every cell's name. A method whose Config has no such option has no width."""

    @abstractmethod
    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N) of the query images."""

    def loss(self, episode: Episode, progress: float) -> Loss:
        """The training loss on T tasks; `progress` in [0, 1) is the fraction of training done.

        Default: mean cross-entropy of the query logits.
        """
        logits = self(episode)
        total = F.cross_entropy(logits.flatten(0, 1), episode.query_labels.flatten())
        accuracy = (logits.detach().argmax(-1) == episode.query_labels).float().mean()
        return Loss(total, {"cross_entropy": total.detach(), "accuracy": accuracy})

    def diagnostics(self, episode: Episode) -> dict[str, float]:
        """Numbers worth watching over training besides accuracy, on validation tasks in `eval` mode; default: none.

        Names are as logged, and begin with the method's own word: `ht/variation_share`.
        """
        return {}

    def learned_parameters(self) -> list[nn.Parameter]:
        """What training changes; nothing, for a method that is only tested."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    @abstractmethod
    def solver_parameters(self, ways: int) -> int:
        """Numbers in the network that classifies the queries of one task.

        Kernels, biases and class vectors count; normalisation scales and offsets do not, as in the
        HyperTransformer paper's sizes.
        """
