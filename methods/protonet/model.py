"""Prototypical networks (Snell, Swersky, Zemel, NeurIPS 2017)."""

import torch
from torch import Tensor

from methods.episode import Episode, members
from methods.method import Method, Setting
from methods.networks.conv4 import LinearWeights, NetworkWeights
from methods.networks.embedding import Embedding
from methods.protonet.config import ProtoNetConfig


class ProtoNet(Method):
    """Classify a query by the squared Euclidean distance to the mean embedding of each class (equations 1 and 2).

    The embedding is the paper's: four times [3x3 convolution with bias -> batch normalisation -> ReLU -> 2x2 max-pool],
    flattened. As in the authors' code, training normalises with the statistics of a task's support and query images
    together; once trained (`eval` mode) the running statistics are used, so a query's prediction does not depend on
    the other queries. The authors make one step per task; here one step of T tasks moves the running statistics
    towards the mean of theirs.

    Unlabelled support images only take part in those training statistics. Testing may use any number of ways.
    """

    Config = ProtoNetConfig

    def __init__(self, config: ProtoNetConfig, setting: Setting) -> None:
        super().__init__()
        self.blocks = Embedding(setting.image_shape, config.channels)
        self.features = self.blocks.features

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N): minus the squared distances."""
        embedded = self.embed(torch.cat([episode.support_images, episode.query_images], dim=1))
        support, query = embedded.tensor_split([episode.support_images.shape[1]], dim=1)
        return -squared_distances(query, self.means(support, episode.support_labels, episode.ways))

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (T, B, D) of images (T, B, C, H, W)."""
        return self.blocks(images)

    def means(self, support: Tensor, labels: Tensor, ways: int) -> Tensor:
        """What stands for each class, (T, N, D), given the support embeddings (T, S, D) and labels (T, S)."""
        return prototypes(support, labels, ways)

    def solver(self, episode: Episode) -> NetworkWeights:
        """What classifies the queries of each task, once trained, as an ordinary Conv4.

        Minus a squared distance is 2 q.m - m.m - q.q, and q.q is the same for all classes: without it the prototypes
        m are a linear layer (section 2.4 of the paper). So these logits differ from `forward`'s by a number per image.
        Distances are taken around the prototypes' centre c, since far from 0 float32 would lose digits.
        """
        means = self.means(self.embed(episode.support_images), episode.support_labels, episode.ways)
        centre = means.mean(1, keepdim=True)
        around = means - centre
        linear = LinearWeights(2 * around, -(around * (around + 2 * centre)).sum(-1))
        return NetworkWeights(self.blocks.folded(episode.tasks), linear)

    def solver_parameters(self, ways: int) -> int:
        """Kernels and biases of the embedding, and one prototype per class."""
        return self.blocks.kernels_and_biases() + ways * self.features


def prototypes(embedded: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Class means (T, N, D) of embeddings (T, S, D) with labels (T, S); the unlabelled belong to no class."""
    belongs = members(labels, ways).to(embedded.dtype)
    return belongs @ embedded / belongs.sum(-1, keepdim=True)


def squared_distances(query: Tensor, means: Tensor) -> Tensor:
    """(T, Q, N) squared Euclidean distances of (T, Q, D) to (T, N, D)."""
    cross = query @ means.transpose(1, 2)
    return query.square().sum(-1, keepdim=True) - 2 * cross + means.square().sum(-1).unsqueeze(1)
