"""The generator of one layer: from the support set's activations in front of a layer to the layer's weights."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.extractors import LocalFeatures
from methods.hypertransformer.tokens import Tokens
from methods.hypertransformer.transformer import WeightTransformer
from methods.networks.conv4 import flatten

LOCAL_LAYERS = 2
"""Convolutions of the local extractor in front of a convolution; the last, linear layer's has one."""


class LayerGenerator(nn.Module):
    """Local features, tokens and a transformer, for a layer of `weight_tokens` blocks of `block` numbers.

    Args:
        local: extractor of local features.
        passthrough: how many activations to use as features besides, flattened (all or none).
        weight_tokens: how many blocks.
        block: numbers in each.
        ways: N.
        config: the options.
    """

    def __init__(
        self,
        local: LocalFeatures,
        passthrough: int,
        weight_tokens: int,
        block: int,
        ways: int,
        config: HyperTransformerConfig,
    ) -> None:
        super().__init__()
        self.local = local
        self.passthrough = passthrough
        self.block = block
        features = local.width + passthrough + (config.shared_features if config.shared_layers else 0)
        self.tokens = Tokens(ways, weight_tokens, config.embedding)
        self.weight_width, self.sample_width = token_widths(block, features, config)
        self.transformer = WeightTransformer(self.weight_width, self.sample_width, config)

    def forward(
        self,
        x: Tensor,
        labels: Tensor,
        shared: Tensor | None = None,
        dropped: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Blocks (T, weight_tokens, block).

        Args:
            x: (S, T*C, H, W), the support set's activations in front of the layer, grouped.
            labels: (T, S).
            shared: (T, S, shared features).
            dropped: (T, S), True for support images to hide.
            previous: blocks of an earlier network of the same learners, to start from.
        """
        tasks = labels.shape[0]
        features = [flatten(x, tasks)] if self.passthrough else []
        if self.local.width:
            features.append(self.local(x, tasks))
        if shared is not None:
            features.append(shared)
        samples = self.tokens.sample_tokens(torch.cat(features, dim=-1), labels, self.sample_width)
        weights = self.tokens.weight_tokens(tasks, self.weight_width, previous)
        return self.tokens.read_weights(self.transformer(weights, samples, dropped), self.block)


class StaticGenerator(nn.Module):
    """As `LayerGenerator`, but the transformer reads learned constants instead of support images.

    Nothing of the support set reaches it, so it writes the same blocks for every task: an ordinary trained convolution,
    expressed through a transformer. The constants are drawn from N(0, 1), and each has as many numbers as a support
    image's token would have, so that the transformer has the same size.

    Args:
        samples: how many constants.
        features: numbers in each, besides the embedding and the shared features.
        weight_tokens: how many blocks.
        block: numbers in each.
        config: the options.
    """

    def __init__(
        self, samples: int, features: int, weight_tokens: int, block: int, config: HyperTransformerConfig
    ) -> None:
        super().__init__()
        self.block = block
        features += config.shared_features if config.shared_layers else 0
        self.tokens = Tokens(None, weight_tokens, config.embedding)
        self.weight_width, self.sample_width = token_widths(block, features, config)
        self.samples = nn.Parameter(torch.randn(samples, config.embedding + features))
        self.transformer = WeightTransformer(self.weight_width, self.sample_width, config)

    def forward(
        self,
        x: Tensor,
        labels: Tensor,
        shared: Tensor | None = None,
        dropped: Tensor | None = None,
        previous: Tensor | None = None,
    ) -> Tensor:
        """Blocks (T, weight_tokens, block), written once and expanded over tasks; see `LayerGenerator`.

        They depend on `previous` if that is given, and on nothing else.
        """
        tasks = 1 if previous is None else len(previous)
        samples = F.pad(self.samples, (0, self.sample_width - self.samples.shape[-1])).expand(tasks, -1, -1)
        weights = self.tokens.weight_tokens(tasks, self.weight_width, previous)
        blocks = self.tokens.read_weights(self.transformer(weights, samples), self.block)
        return blocks.expand(len(labels), -1, -1)


def token_widths(block: int, features: int, config: HyperTransformerConfig) -> tuple[int, int]:
    """Widths of weight tokens for blocks of `block` numbers and of sample tokens with `features` features."""
    weight, sample = config.embedding + block, config.embedding + features
    if config.generator != "separate":  # one sequence, one width
        weight = sample = max(weight, sample)
    return weight, sample


def convolution_generator(
    inputs: int, side: int, ways: int, config: HyperTransformerConfig
) -> LayerGenerator | StaticGenerator:
    """The generator of a convolution with `inputs` input channels on images of `side` pixels."""
    outputs = config.channels
    area = config.kernel_size**2
    if config.allocation == "output":
        weight_tokens, block = outputs, inputs * area + config.generate_bias + 2 * config.generate_normalization
    else:
        weight_tokens, block = area, inputs * outputs
    features = max(inputs, outputs) if config.local_features is None else config.local_features
    local = LocalFeatures(inputs, features, side, LOCAL_LAYERS, config.local_dropout, kernel_size=config.kernel_size)
    if config.convolution_tokens == "learned":
        return StaticGenerator(ways, local.width, weight_tokens, block, config)  # of `local` only its width counts
    return LayerGenerator(local, 0, weight_tokens, block, ways, config)


def linear_generator(inputs: int, side: int, flat: int, ways: int, config: HyperTransformerConfig) -> LayerGenerator:
    """The generator of the last layer, with `flat` inputs, from activations of `inputs` channels of `side` pixels."""
    features = inputs if config.local_features is None else config.local_features
    layers = 0 if config.logits_features == "passthrough" else 1
    local = LocalFeatures(inputs, features, side, layers, config.local_dropout, config.nonlinear_logits_features)
    passthrough = 0 if config.logits_features == "default" else flat
    return LayerGenerator(local, passthrough, ways, flat + 1, ways, config)


def conv_weights(blocks: Tensor, config: HyperTransformerConfig) -> dict[str, Tensor]:
    """A convolution's generated tensors from its blocks (T, tokens, block).

    "output": block j is filter j as (kernel row, kernel column, input channel), then its bias, scale and offset, if
    they are generated. "spatial": block (i, j) is kernel position (i, j) as (input channel, output channel).

    Returns:
        "kernel" (T, Cout, Cin, k, k) and, if generated, "bias", "scale" and "offset" (T, Cout).
    """
    k = config.kernel_size
    if config.allocation == "spatial":
        kernel = blocks.unflatten(2, (-1, config.channels)).unflatten(1, (k, k)).permute(0, 4, 3, 1, 2)
        return {"kernel": kernel}
    size = blocks.shape[-1] - config.generate_bias - 2 * config.generate_normalization
    parts = {"kernel": blocks[..., :size].unflatten(2, (k, k, -1)).permute(0, 1, 4, 2, 3)}
    if config.generate_bias:
        parts["bias"] = blocks[..., size]
    if config.generate_normalization:
        parts["scale"], parts["offset"] = blocks[..., -2], blocks[..., -1]
    return parts


def conv_blocks(parts: dict[str, Tensor], config: HyperTransformerConfig) -> Tensor:
    """The blocks (T, tokens, block) that `conv_weights` reads as these tensors."""
    if config.allocation == "spatial":
        return parts["kernel"].permute(0, 3, 4, 2, 1).flatten(3).flatten(1, 2)
    vectors = [parts[name].unsqueeze(-1) for name in ("bias", "scale", "offset") if name in parts]
    return torch.cat([parts["kernel"].permute(0, 1, 3, 4, 2).flatten(2), *vectors], dim=-1)


def linear_weights(blocks: Tensor) -> dict[str, Tensor]:
    """The last layer's "weight" (T, N, D) and "bias" (T, N): block j is class j, its last number the bias."""
    return {"weight": blocks[..., :-1], "bias": blocks[..., -1]}
