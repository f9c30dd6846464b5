"""The oracle: an ordinary network trained on all images of a task's classes, a reference for few-shot learners."""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import UNLABELLED, Episode
from methods.method import Method, Setting
from methods.networks.architecture import KERNEL_SIZE
from methods.networks.conv4 import (
    ConvWeights,
    LinearWeights,
    NetworkWeights,
    activate,
    classify,
    feature_count,
    group_tasks,
    input_channels,
    normalise,
)
from methods.networks.normalisation import statistics
from methods.oracle.config import OracleConfig


class Oracle(Method):
    """Trains Conv4 from scratch for each task, on all images of its classes but the queries.

    The upper curve in Figure 3 of HyperTransformer (Zhmoginov, Sandler, Vladymyrov, ICML 2022): what a network of this
    size can do with as many images as there are. How the authors trained it, and whether it saw the queries, is not
    known to us; here it does not. With 20 images per class (Omniglot) it is a reference, not a bound: a few-shot
    learner also knows other classes.

    Nothing is learnt from the training split. All tasks start from the same random convolutions (of the cell's seed)
    and a linear layer of zeros, so testing may use any number of ways. Training normalises with the statistics of
    all images of the task; with those at its end queries are normalised. Unlabelled images only take part in those.
    """

    Config = OracleConfig
    every_image = True

    def __init__(self, config: OracleConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        inputs = input_channels(setting.image_shape, config.channels)
        kernels = (torch.empty(config.channels, width, KERNEL_SIZE, KERNEL_SIZE) for width in inputs)
        self.kernels = nn.ParameterList(nn.init.xavier_uniform_(kernel) for kernel in kernels).requires_grad_(False)
        self.features = feature_count(setting.image_shape, config.channels)

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N); trains networks even where the caller wants no gradients (no_grad, inference_mode)."""
        network = self.trained(episode.support_images, episode.support_labels, episode.ways)
        with torch.no_grad():
            blocks = with_statistics(episode.support_images, network.blocks)
            return classify(episode.query_images, replace(network, blocks=blocks))

    @torch.inference_mode(False)
    @torch.enable_grad()
    def trained(self, images: Tensor, labels: Tensor, ways: int) -> NetworkWeights:
        """T networks, trained on images (T, S, C, H, W) with labels (T, S)."""
        images, labels = images.clone(), labels.clone()  # autograd cannot keep tensors made in inference mode
        tasks, channels = len(images), self.config.channels
        network = NetworkWeights(
            [
                ConvWeights(
                    kernel.repeat(tasks, 1, 1, 1, 1),
                    images.new_ones(tasks, channels),
                    images.new_zeros(tasks, channels),
                )
                for kernel in self.kernels
            ],
            LinearWeights(images.new_zeros(tasks, ways, self.features), images.new_zeros(tasks, ways)),
        )
        convolutions = [w for block in network.blocks for w in (block.kernel, block.scale, block.offset)]
        weights = [w.requires_grad_() for w in (*convolutions, network.linear.weight, network.linear.bias)]
        # Adam treats every number by itself, so one optimiser for T networks is T optimisers.
        optimizer = torch.optim.Adam(weights, lr=self.config.learning_rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.config.steps)
        labelled = int((labels[0] != UNLABELLED).sum())
        for _ in range(self.config.steps):
            logits = classify(images, network)
            total = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=UNLABELLED, reduction="sum")
            optimizer.zero_grad()
            (total / labelled).backward()
            optimizer.step()
            schedule.step()
        return network

    def solver_parameters(self, ways: int) -> int:
        """Kernels and the linear layer."""
        return sum(kernel.numel() for kernel in self.kernels) + ways * (self.features + 1)


def with_statistics(images: Tensor, blocks: Sequence[ConvWeights]) -> list[ConvWeights]:
    """The blocks, to normalise from now on with the statistics of these images (T, S, C, H, W)."""
    x, fixed = group_tasks(images), []
    for block in blocks:
        x = activate(x, block)
        known = statistics(x)
        fixed.append(replace(block, statistics=known))
        x = normalise(x, block.scale, block.offset, known)
    return fixed
