"""Looking inside: what the transformers attend to. Nothing here runs while training."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from methods.episode import Episode
from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.generator import LayerGenerator
from methods.hypertransformer.layers import ConvLayer, LinearLayer
from methods.hypertransformer.transformer import Attention


class WeightsGenerator(Protocol):
    """A HyperTransformer, continual or not."""

    config: HyperTransformerConfig
    convolutions: nn.ModuleList

    def generated_weights(self, episode: Episode) -> dict[str, Tensor]:
        """What it writes for each task, each (T, ...)."""


def attention_to_support(model: WeightsGenerator, episode: Episode) -> dict[str, dict[str, Tensor]]:
    """How much the weight tokens of each generated layer attend to each support image.

    Of a task sequence, in the last step, and to the support images that are read then. Layers whose transformer reads
    learned constants are left out.

    Returns:
        By generated layer ("conv1" to "conv4", "linear"), then by attention ("encoder 1", "decoder 2 memory"):
        (T, heads, weight tokens, S). Over S softmax weights sum to at most one: the rest goes to other weight tokens.
    """
    last = getattr(model, "linear", None)
    generators = {"linear": last.generator} if isinstance(last, LinearLayer) else {}
    for number, layer in enumerate(model.convolutions, start=1):
        if isinstance(layer, ConvLayer) and isinstance(layer.generator, LayerGenerator):
            generators[f"conv{number}"] = layer.generator
    with ExitStack() as stack:
        recorded = {n: stack.enter_context(recorded_attention(g.transformer)) for n, g in generators.items()}
        model.generated_weights(episode)
    separate = model.config.generator == "separate"
    found: dict[str, dict[str, Tensor]] = {}
    for place, generator in sorted(generators.items()):
        tokens = len(generator.tokens.weights)
        found[place] = {}
        for attention, weights in recorded[place].items():
            stage, depth, kind = attention.split(".")
            if separate and kind != "memory_attention":
                continue  # samples among themselves, or weights among themselves
            words = [stage, str(int(depth) + 1), *(["memory"] if kind == "memory_attention" else [])]
            found[place][" ".join(words)] = weights[:, :, :tokens, 0 if separate else tokens :]
    return found


@contextmanager
def recorded_attention(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """While active, collects how much each token attends to each other, by name of the `Attention` inside `module`.

    Each is (T, heads, L, M), from L tokens to M, computed a second time next to the one `Attention` itself uses.
    """
    found: dict[str, Tensor] = {}

    def recorder(name: str) -> Any:
        def record(attention: Attention, inputs: tuple[Any, ...], output: Tensor) -> None:
            found[name] = attention_weights(attention, *inputs).detach()

        return record

    hooks = [
        child.register_forward_hook(recorder(name))
        for name, child in module.named_modules()
        if isinstance(child, Attention)
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def attention_weights(attention: Attention, x: Tensor, memory: Tensor, dropped: Tensor | None) -> Tensor:
    """What `Attention.forward` weighs values by, (T, heads, L, M), from its arguments.

    Softmax weights sum to one over M; sigmoid weights need not.
    """
    heads = (attention.heads, -1)
    query = attention.query(x).unflatten(-1, heads).transpose(1, 2)
    key = attention.key_value(memory)[..., : attention.key_width].unflatten(-1, heads).transpose(1, 2)
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if dropped is not None:
        scores = scores.masked_fill(dropped[:, None, None], -math.inf)
    return torch.sigmoid(scores) if attention.sigmoid else scores.softmax(-1)
