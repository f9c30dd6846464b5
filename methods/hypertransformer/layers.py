"""The layers of the network that HyperTransformer makes for a task: generated, trained, or the sum of both."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.generator import (
    conv_blocks,
    conv_weights,
    convolution_generator,
    linear_generator,
    linear_weights,
)
from methods.networks.conv4 import ConvWeights, LinearWeights, activate, normalise
from methods.networks.normalisation import statistics

Parts = dict[str, Tensor]
"""What the transformers wrote, by name, each (T, ...), before trained weights are added."""


class ConvLayer(nn.Module):
    """One convolution with its normalisation.

    Normalisation scales and offsets are trained, and shared by all tasks, unless the config has them generated. In a
    generated layer with `residual_weights`, each generated tensor has a trained one added to it.
    """

    def __init__(self, inputs: int, side: int, ways: int, generated: bool, config: HyperTransformerConfig) -> None:
        super().__init__()
        self.config = config
        outputs = config.channels
        residual = generated and config.residual_weights
        self.generator = convolution_generator(inputs, side, ways, config) if generated else None
        self.kernel: nn.Parameter | None = None
        if not generated or residual:
            kernel = torch.empty(outputs, inputs, config.kernel_size, config.kernel_size)
            self.kernel = nn.Parameter(nn.init.xavier_uniform_(kernel))
        self.bias = nn.Parameter(torch.zeros(outputs)) if residual and config.generate_bias else None
        self.norm: Norm | None = None
        self.query_norm: Norm | None = None
        if not (generated and config.generate_normalization) or residual:
            self.norm = Norm(outputs)
            self.query_norm = Norm(outputs) if config.separate_query_normalization else None

    def forward(
        self, x: Tensor, labels: Tensor, shared: Tensor | None, dropped: Tensor | None, previous: Parts | None = None
    ) -> tuple[Tensor, ConvWeights, Parts]:
        """Make the layer for T tasks and push their support sets through it.

        Args:
            x: (S, T*Cin, H, W), grouped activations of the support images in front of the layer.
            labels: (T, S).
            shared: (T, S, F) features shared by all layers, if any.
            dropped: (T, S), True for support images hidden from the transformer.
            previous: what was generated for an earlier network of the same learners, to start from.

        Returns:
            The activations behind the layer, the weights to use on queries, and what was generated of them.
        """
        parts: Parts = {}
        if self.generator is not None:
            start = None if previous is None else conv_blocks(previous, self.config)
            parts = conv_weights(self.generator(x, labels, shared, dropped, start), self.config)
        return *self.apply_parts(x, parts, labels.shape[0]), parts

    def apply_parts(self, x: Tensor, parts: Parts, tasks: int) -> tuple[Tensor, ConvWeights]:
        """Push support images x (S, T*Cin, H, W) through the layer that these parts make, of this task or another."""
        support = self._weights(parts, tasks, self.norm)
        query = support if self.query_norm is None else self._weights(parts, tasks, self.query_norm)
        x = activate(x, support, self.config.architecture)
        if self.config.query_statistics == "batch":
            return normalise(x, support.scale, support.offset), query
        known = statistics(x) if self.config.query_statistics == "support" else self.config.query_statistics
        return normalise(x, support.scale, support.offset, known), replace(query, statistics=known)

    @property
    def written(self) -> int:
        """How many numbers the transformer writes for one task."""
        return 0 if self.generator is None else self.generator.block * len(self.generator.tokens.weights)

    def variation(self, parts: Parts) -> Tensor:
        """Sum of squares of the generated kernels, mean over tasks, relative to that of the trained residual."""
        assert self.kernel is not None
        generated = parts["kernel"]
        return generated.square().sum() / generated.shape[0] / (1e-8 + self.kernel.square().sum())

    def _weights(self, parts: Parts, tasks: int, norm: "Norm | None") -> ConvWeights:
        def total(name: str, trained: Tensor | None) -> Tensor | None:
            if name not in parts:
                return None if trained is None else trained.expand(tasks, *trained.shape)
            return parts[name] if trained is None else parts[name] + trained

        kernel = total("kernel", self.kernel)
        scale = total("scale", None if norm is None else norm.scale)
        offset = total("offset", None if norm is None else norm.offset)
        assert kernel is not None and scale is not None and offset is not None
        return ConvWeights(kernel, scale, offset, total("bias", self.bias))


class Norm(nn.Module):
    """Trained scales and offsets of a normalisation."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.offset = nn.Parameter(torch.zeros(channels))


class LinearLayer(nn.Module):
    """The last layer, always generated; with `residual_weights` trained weights are added."""

    def __init__(self, inputs: int, side: int, flat: int, ways: int, config: HyperTransformerConfig) -> None:
        super().__init__()
        self.generator = linear_generator(inputs, side, flat, ways, config)
        self.residual: nn.Linear | None = None
        if config.residual_weights:
            self.residual = nn.Linear(flat, ways)
            nn.init.xavier_uniform_(self.residual.weight)
            nn.init.zeros_(self.residual.bias)

    def forward(
        self, x: Tensor, labels: Tensor, shared: Tensor | None, dropped: Tensor | None
    ) -> tuple[LinearWeights, Parts]:
        """The layer's weights for T tasks, and what was generated of them; arguments as in `ConvLayer`."""
        parts = linear_weights(self.generator(x, labels, shared, dropped))
        weight, bias = parts["weight"], parts["bias"]
        if self.residual is not None:
            weight, bias = weight + self.residual.weight, bias + self.residual.bias
        return LinearWeights(weight, bias), parts
