"""Prototypical networks (Snell, Swersky, Zemel, NeurIPS 2017)."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import Episode
from methods.method import Method, Setting
from methods.networks import BLOCKS, KERNEL_SIZE, convolve, feature_count, flatten, group_tasks
from methods.registry import register


@dataclass(frozen=True)
class ProtoNetConfig:
    """Width of the embedding network: `channels` of each of its four blocks (the paper uses 64)."""

    channels: int = 8


@register("protonet", "nearest class mean in a learned embedding")
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
        self.features = feature_count(setting.image_shape, config.channels)
        inputs = [setting.image_shape[0]] + [config.channels] * (BLOCKS - 1)
        self.blocks = nn.ModuleList(_Block(width, config.channels) for width in inputs)

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N): minus the squared distances."""
        embedded = self.embed(torch.cat([episode.support_images, episode.query_images], dim=1))
        support, query = embedded.tensor_split([episode.support_images.shape[1]], dim=1)
        return -squared_distances(query, prototypes(support, episode.support_labels, episode.ways))

    def embed(self, images: Tensor) -> Tensor:
        """Embeddings (T, B, D) of images (T, B, C, H, W)."""
        x = group_tasks(images)
        for block in self.blocks:
            x = block(x, tasks=len(images))
        return flatten(x, len(images))

    def solver_parameters(self, ways: int) -> int:
        """Kernels and biases of the embedding, and one prototype per class."""
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        return sum(p.numel() for module in convolutions for p in module.parameters()) + ways * self.features


class _Block(nn.Module):
    """One block of the embedding, in the grouped layout of `methods.networks`; all tasks share its parameters."""

    MOMENTUM = 0.1
    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, KERNEL_SIZE)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_variance", torch.ones(outputs))

    def forward(self, x: Tensor, tasks: int) -> Tensor:
        """(B, T*outputs, H/2, W/2) from x (B, T*inputs, H, W)."""
        kernel, bias = self.convolution.weight, self.convolution.bias
        assert bias is not None
        x = convolve(x, kernel.expand(tasks, *kernel.shape), bias.expand(tasks, -1), padding=KERNEL_SIZE // 2)
        mean, variance = self.running_mean.repeat(tasks), self.running_variance.repeat(tasks)
        scale, offset = self.scale.repeat(tasks), self.offset.repeat(tasks)
        x = F.batch_norm(x, mean, variance, scale, offset, self.training, self.MOMENTUM)
        if self.training:  # each task's copy has moved
            self.running_mean.copy_(mean.unflatten(0, (tasks, -1)).mean(0))
            self.running_variance.copy_(variance.unflatten(0, (tasks, -1)).mean(0))
        return F.relu(F.max_pool2d(x, 2))  # the ReLU of the maximum is the maximum of the ReLUs


def prototypes(embedded: Tensor, labels: Tensor, ways: int) -> Tensor:
    """Class means (T, N, D) of embeddings (T, S, D) with labels (T, S); the unlabelled belong to no class."""
    members = (labels.unsqueeze(1) == torch.arange(ways, device=labels.device).unsqueeze(1)).to(embedded.dtype)
    return members @ embedded / members.sum(-1, keepdim=True)


def squared_distances(query: Tensor, means: Tensor) -> Tensor:
    """(T, Q, N) squared Euclidean distances of (T, Q, D) to (T, N, D)."""
    cross = query @ means.transpose(1, 2)
    return query.square().sum(-1, keepdim=True) - 2 * cross + means.square().sum(-1).unsqueeze(1)
