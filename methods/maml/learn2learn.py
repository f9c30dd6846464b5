"""MAML, FOMAML and ANIL as learn2learn runs them, to compare `methods.maml` with: the same network, task by task.

learn2learn (Arnold et al. 2020, arXiv 2008.12284) copies a module for each task and adapts the copy.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.episode import UNLABELLED, Episode
from methods.maml.config import MAMLLearn2LearnConfig
from methods.method import Method, Setting
from methods.networks.architecture import BLOCKS, KERNEL_SIZE
from methods.networks.conv4 import NORM_EPS, feature_count, input_channels


class MAMLLearn2Learn(Method):
    """The same function as `methods.maml.model.MAML`, several times slower. Needs learn2learn.

    From the same seed both start with the same weights, so they differ by rounding alone, which training amplifies.
    """

    Config = MAMLLearn2LearnConfig
    fixed_ways = True

    def __init__(self, config: MAMLLearn2LearnConfig, setting: Setting) -> None:
        super().__init__()
        self.config = config
        # Outside the networks: learn2learn adapts all parameters of a module, MAML not those of normalisation.
        self.scales = nn.ParameterList(torch.ones(config.channels) for _ in range(BLOCKS))
        self.offsets = nn.ParameterList(torch.zeros(config.channels) for _ in range(BLOCKS))
        self.network = _Network(setting, config.channels)

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N)."""
        first_order = not (self.config.second_order and torch.is_grad_enabled())
        tasks = zip(episode.support_images, episode.support_labels, episode.query_images, strict=True)
        return torch.stack([self._solve(support, labels, query, first_order) for support, labels, query in tasks])

    def _solve(self, support: Tensor, labels: Tensor, query: Tensor, first_order: bool) -> Tensor:
        """Logits (Q, N) of one task's queries."""
        from learn2learn.algorithms import MAML

        config = self.config
        steps = config.inner_steps
        if not self.training and config.test_inner_steps is not None:
            steps = config.test_inner_steps
        inputs: tuple[Any, ...] = (self.scales, self.offsets)
        adapted: nn.Module = self.network
        if config.adapt == "head":
            support, query = (self.network.features(images, *inputs) for images in (support, query))
            adapted, inputs = self.network.head, ()
        with torch.inference_mode(False), torch.enable_grad():
            support, labels = support.clone(), labels.clone()  # autograd cannot keep tensors made in inference mode
            learner = MAML(adapted, lr=config.inner_learning_rate, first_order=first_order).clone()
            for _ in range(steps):
                learner.adapt(F.cross_entropy(learner(support, *inputs), labels, ignore_index=UNLABELLED))
        logits: Tensor = learner(query, *inputs)
        return logits

    def solver_parameters(self, ways: int) -> int:
        """Kernels and the linear layer."""
        kernels = sum(parameter.numel() for parameter in self.network.convolutions.parameters())
        return kernels + ways * (self.network.head.in_features + 1)


class _Network(nn.Module):
    """One task's network; scales and offsets of its normalisation are arguments."""

    def __init__(self, setting: Setting, channels: int) -> None:
        super().__init__()
        inputs = input_channels(setting.image_shape, channels)
        # Without weights of their own, so that those drawn below are the ones `MAML` draws from the same seed.
        self.convolutions = nn.ModuleList(
            nn.utils.skip_init(nn.Conv2d, width, channels, KERNEL_SIZE, padding="same", bias=False) for width in inputs
        )
        self.head = nn.utils.skip_init(nn.Linear, feature_count(setting.image_shape, channels), setting.ways)
        for layer in (*self.convolutions, self.head):
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(self.head.bias)

    def features(self, x: Tensor, scales: nn.ParameterList, offsets: nn.ParameterList) -> Tensor:
        """Features (B, D) of images (B, C, H, W)."""
        for convolution, scale, offset in zip(self.convolutions, scales, offsets, strict=True):
            x = F.batch_norm(convolution(x), None, None, scale, offset, training=True, eps=NORM_EPS)
            x = F.max_pool2d(F.relu(x), 2)
        return x.flatten(1)

    def forward(self, x: Tensor, scales: nn.ParameterList, offsets: nn.ParameterList) -> Tensor:
        """Logits (B, N)."""
        logits: Tensor = self.head(self.features(x, scales, offsets))
        return logits
