"""Semi-supervised prototypical networks (Ren et al., "Meta-learning for semi-supervised few-shot classification",
ICLR 2018): unlabelled support images refine the prototypes.
"""

import math

import torch
from torch import Tensor, nn

from methods.episode import UNLABELLED, members
from methods.method import Setting
from methods.protonet.config import SemiProtoNetConfig
from methods.protonet.model import ProtoNet, squared_distances

INITIAL_RADIUS = 100.0
"""Of the distractor cluster, in the authors' code."""


class SemiProtoNet(ProtoNet):
    """Prototypes move once towards the unlabelled images that may belong to them; queries as in ProtoNet.

    The equations are the paper's. Without unlabelled images this is ProtoNet. Where no gradient flows (through soft
    k-means' assignments and the mask's statistics), and how the mask's network ends and starts, the paper does not
    say and this follows the authors' code. That code differs from the equations in three ways that are not followed:
    it divides distances by 2 r^2 instead of r^2 and lets the distractor cluster compete for queries, both with the
    cluster only, and it applies the mask twice.

    The tasks of one call have equally many unlabelled images.
    """

    Config = SemiProtoNetConfig

    def __init__(self, config: SemiProtoNetConfig, setting: Setting) -> None:
        super().__init__(config, setting)
        self.config = config
        if config.refinement == "soft-kmeans-cluster":
            self.log_radius = nn.Parameter(torch.tensor(math.log(INITIAL_RADIUS)))
        if config.refinement == "masked":
            self.mask_network = nn.Sequential(nn.Linear(5, 20), nn.Tanh(), nn.Linear(20, 2))
            for layer in self.mask_network:
                if isinstance(layer, nn.Linear):
                    nn.init.normal_(layer.weight, std=0.01)
                    nn.init.zeros_(layer.bias)

    def means(self, support: Tensor, labels: Tensor, ways: int) -> Tensor:
        """The refined prototypes (T, N, D), equations 4 and 8, given support embeddings (T, S, D), labels (T, S)."""
        means = super().means(support, labels, ways)
        hidden = labels == UNLABELLED
        if not hidden.any() or (self.training and not self.config.refine_in_training):
            return means
        unlabelled = support[hidden].unflatten(0, (len(support), -1))
        memberships = self.memberships(unlabelled, means)
        labelled = members(labels, ways).sum(-1, keepdim=True)  # of each class, (T, N, 1)
        gathered = labelled * means + memberships.transpose(1, 2) @ unlabelled
        return gathered / (labelled + memberships.sum(1).unsqueeze(-1))

    def memberships(self, unlabelled: Tensor, means: Tensor) -> Tensor:
        """How much each unlabelled embedding (T, M, D) counts for each class, (T, M, N), given prototypes (T, N, D)."""
        distances = squared_distances(unlabelled, means)
        if self.config.refinement == "soft-kmeans-cluster":  # equation 5, without the constant that cancels
            to_origin = unlabelled.square().sum(-1, keepdim=True)
            distractor = -to_origin * torch.exp(-2 * self.log_radius) - self.log_radius
            return torch.cat([-distances, distractor], dim=-1).softmax(-1)[..., :-1]
        assignments = (-distances).softmax(-1)
        if self.config.refinement == "soft-kmeans":
            return assignments.detach()
        return assignments * self.mask(distances)

    def mask(self, distances: Tensor) -> Tensor:
        """Numbers from 0 to 1 (T, M, N) for the distances (T, M, N) of unlabelled images, equations 6 to 8."""
        relative = distances / _or_one(distances.mean(1, keepdim=True))
        threshold, slope = self.mask_network(_shape(relative.detach())).exp().unsqueeze(1).unbind(-1)
        return torch.sigmoid(-slope * (relative - threshold))


def _shape(values: Tensor) -> Tensor:
    """Minimum, maximum, variance, skewness and excess kurtosis, (T, N, 5), of values (T, M, N) over M."""
    centred = values - values.mean(1, keepdim=True)
    variance = centred.square().mean(1)
    spread = _or_one(variance)
    skewness = centred.pow(3).mean(1) / spread.pow(1.5)
    kurtosis = centred.pow(4).mean(1) / spread.square() - 3
    return torch.stack([values.amin(1), values.amax(1), variance, skewness, kurtosis], dim=-1)


def _or_one(divisor: Tensor) -> Tensor:
    """One where nothing varies and 0 would be divided by 0: a single unlabelled image, or equal ones."""
    return divisor.where(divisor > 0, 1.0)
