"""Options of prototypical networks."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ProtoNetConfig:
    """Width of the embedding network: `channels` of each of its four blocks (the paper uses 64)."""

    channels: int = 8


@dataclass(frozen=True)
class SemiProtoNetConfig(ProtoNetConfig):
    """Options.

    channels: as for ProtoNet.
    refinement: how an unlabelled image is shared out among the prototypes (sections 3.1.1 to 3.1.3): softly among all
        classes, or also a cluster of distractors, or softly under a mask that shuts distractors out.
    refine_in_training: False trains a ProtoNet and refines in tests only, the paper's "semi-supervised inference".

    Raises:
        ValueError: a refinement with parameters of its own that would never be trained.
    """

    refinement: Literal["soft-kmeans", "soft-kmeans-cluster", "masked"] = "soft-kmeans"
    refine_in_training: bool = True

    def __post_init__(self) -> None:
        if not self.refine_in_training and self.refinement != "soft-kmeans":
            raise ValueError(f"refinement {self.refinement!r} has parameters to train: it needs refine_in_training")
