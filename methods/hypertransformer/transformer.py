"""Post-normalisation transformers (Vaswani et al. 2017) from weight and sample tokens to weights.

As in the original HyperTransformer: no positional encoding (so support images have no order), layer normalisation with
epsilon 1e-6 after each residual sum and none besides. Only the outputs at the
weight tokens are read, so the last layer computes no others.

Shapes: T tasks, L tokens, D token width. `dropped` (T, L) is True for tokens nobody may attend to.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.hypertransformer.config import Activation, HyperTransformerConfig

LAYER_NORM_EPS = 1e-6
_ACTIVATIONS: dict[Activation, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": nn.GELU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
}


class Attention(nn.Module):
    """Multi-head attention from tokens of width `width` to tokens of width `memory_width`."""

    def __init__(self, width: int, memory_width: int, config: HyperTransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.sigmoid = config.attention == "sigmoid"
        self.key_width = _inner(config.key_query_width, width, config.heads)
        self.value_width = _inner(config.value_width, width, config.heads)
        self.query = nn.Linear(width, self.key_width)
        self.key_value = nn.Linear(memory_width, self.key_width + self.value_width)
        self.output = nn.Linear(self.value_width, width)

    def forward(self, x: Tensor, memory: Tensor, dropped: Tensor | None) -> Tensor:
        """(T, L, D) from x (T, L, D) and the memory (T, M, memory_width) it attends to."""
        query = self._split(self.query(x))
        key, value = map(self._split, self.key_value(memory).split([self.key_width, self.value_width], dim=-1))
        kept = None if dropped is None else ~dropped[:, None, None]
        if self.sigmoid:
            attended = _sigmoid_attention(query, key, value, kept)
        else:
            attended = F.scaled_dot_product_attention(query, key, value, attn_mask=kept)
        return self.output(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)


class Layer(nn.Module):
    """Self-attention, then attention to a memory if `memory_width` is given, then a feed-forward network; each is
    added to its input and normalised. An encoder layer has no memory, a decoder layer has one.
    """

    def __init__(
        self, width: int, config: HyperTransformerConfig, memory_width: int | None = None, linear: bool = False
    ) -> None:
        super().__init__()
        self.attention = Attention(width, width, config)
        self.attention_norm = nn.LayerNorm(width, LAYER_NORM_EPS)
        self.memory_attention: Attention | None = None
        if memory_width is not None:
            self.memory_attention = Attention(width, memory_width, config)
            self.memory_norm = nn.LayerNorm(width, LAYER_NORM_EPS)
        self.feed_forward: nn.Module | None = None
        if config.inner_width > 0:
            self.feed_forward = _feed_forward(width, config, linear)
            self.feed_forward_norm = nn.LayerNorm(width, LAYER_NORM_EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        dropped: Tensor | None = None,
        memory: Tensor | None = None,
        memory_dropped: Tensor | None = None,
        outputs: int | None = None,
    ) -> Tensor:
        """The first `outputs` (default: all) of the L new tokens; (T, outputs, D) from x (T, L, D)."""
        first = x[:, :outputs]
        first = self.attention_norm(first + self.dropout(self.attention(first, x, dropped)))
        if self.memory_attention is not None:
            attended = self.memory_attention(first, memory, memory_dropped)
            first = self.memory_norm(first + self.dropout(attended))
        if self.feed_forward is not None:
            first = self.feed_forward_norm(first + self.dropout(self.feed_forward(first)))
        return first


class WeightTransformer(nn.Module):
    """Reads the tokens of one layer of the generated network and writes at the weight tokens.

    The config's `generator` decides how. "encoder": one encoder over weight tokens followed by sample tokens.
    "encoder-decoder": that encoder, then a decoder over the same tokens which attends to the encoder's output.
    "separate": an encoder over the sample tokens and a decoder over the weight tokens.
    """

    def __init__(self, weight_width: int, sample_width: int, config: HyperTransformerConfig) -> None:
        super().__init__()
        self.joint = config.generator != "separate"
        depth = config.transformer_layers
        decodes = config.generator != "encoder"
        linear = [config.linear_last_layer and layer == depth - 1 for layer in range(depth)]
        self.encoder = nn.ModuleList(
            Layer(sample_width, config, linear=linear[layer] and not decodes) for layer in range(depth)
        )
        self.decoder = nn.ModuleList(
            Layer(weight_width, config, memory_width=sample_width, linear=linear[layer])
            for layer in range(depth if decodes else 0)
        )

    def forward(self, weights: Tensor, samples: Tensor, dropped: Tensor | None = None) -> Tensor:
        """(T, tokens, weight_width) from weight tokens and sample tokens, of which some (T, S) may be dropped."""
        count = weights.shape[1]
        if self.joint:
            weights = samples = torch.cat([weights, samples], dim=1)
            dropped = None if dropped is None else F.pad(dropped, (count, 0))
        last = len(self.encoder) - 1
        for index, layer in enumerate(self.encoder):
            finished = index == last and not self.decoder
            samples = layer(samples, dropped, outputs=count if finished else None)
        if not self.decoder:
            return samples
        for index, layer in enumerate(self.decoder):
            outputs = count if index == last else None
            weights = layer(weights, dropped if self.joint else None, samples, dropped, outputs)
        return weights


def _inner(size: float, width: int, heads: int) -> int:
    """A width given as a fraction of `width` (up to 3) or in numbers, rounded up to a multiple of `heads`."""
    return math.ceil(int(width * size if size <= 3 else size) / heads) * heads


def _feed_forward(width: int, config: HyperTransformerConfig, linear: bool) -> nn.Sequential:
    inner = _inner(config.inner_width, width, config.heads)
    activation = nn.Identity() if linear else _ACTIVATIONS[config.transformer_activation]()
    return nn.Sequential(nn.Linear(width, inner), activation, nn.Linear(inner, width))


def _sigmoid_attention(query: Tensor, key: Tensor, value: Tensor, kept: Tensor | None) -> Tensor:
    scores = torch.sigmoid(query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]))
    return (scores if kept is None else scores * kept) @ value
