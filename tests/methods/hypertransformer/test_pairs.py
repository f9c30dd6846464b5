"""Options in combination: whatever two of them are chosen together, the model trains and equals the loop over tasks."""

import random
from collections.abc import Iterator
from dataclasses import fields
from itertools import combinations
from typing import Any

import pytest
import torch

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.model import HyperTransformer
from methods.networks.conv4 import sides
from tests.methods.helpers import gradients, random_episode, setting_for

SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}
EPISODE = random_episode(tasks=2, unlabelled=1)

VALUES: dict[str, list[Any]] = {
    "network": ["maxpool4", "avgpool3", "avgpool4"],
    "kernel_size": [3, 2, 5],
    "stride": [None, 1],
    "activation": ["relu", "leaky_relu"],
    "generated_layers": ["all", "logits", 2, -1],
    "allocation": ["output", "spatial"],
    "generate_bias": [False, True],
    "generate_normalization": [False, True],
    "residual_weights": [False, True],
    "query_statistics": ["batch", "support", "image"],
    "separate_query_normalization": [False, True],
    "convolution_tokens": ["support", "learned"],
    "generator": ["encoder", "encoder-decoder", "separate"],
    "transformer_layers": [2, 1, 3],
    "heads": [2, 1, 4],
    "key_query_width": [1.0, 0.5, 8],
    "value_width": [1.0, 0.5],
    "inner_width": [1.0, 0, 1.5],
    "attention": ["softmax", "sigmoid"],
    "transformer_activation": ["relu", "gelu", "leaky_relu"],
    "linear_last_layer": [False, True],
    "shared_layers": [3, 0, 2, 4],
    "shared_padding": ["same", "valid"],
    "shared_normalization": [True, False],
    "shared_statistics": ["support", "image", "batch", "fixed"],
    "local_features": [None, 0, 3],
    "logits_features": ["default", "passthrough", "mix"],
    "nonlinear_logits_features": [False, True],
    "dropout": [0.0, 0.2],
    "local_dropout": [0.0, 0.2],
    "shared_dropout": [0.0, 0.2],
    "logits_dropout": [0.0, 0.2],
    "label_smoothing": [0.0, 0.1],
    "weight_penalty": [0.0, 1e-3],
    "variation_penalty": [0.0, 0.1],
    "drop_labelled": [0.0, 0.3],
    "drop_unlabelled": [0.0, 0.3],
    "class_loss": [0.0, 0.5],
    "pretrain": [0.0, 0.2],
    "warmup": [0.0, 0.3],
}

Pair = tuple[str, Any, str, Any]


def valid(options: dict[str, Any]) -> bool:
    """Whether a model of these options exists on 16x16 images."""
    try:
        config = HyperTransformerConfig(**{**SMALL, **options})
        sides((1, 16, 16), config.architecture)
    except ValueError:
        return False
    return not (config.shared_padding == "valid" and config.shared_layers > 3)  # that needs larger images


def some_options(draw: random.Random) -> dict[str, Any]:
    """Values drawn one after the other, those left out that contradict the ones before."""
    chosen: dict[str, Any] = {}
    for name in draw.sample(list(VALUES), len(VALUES)):
        changed = {**chosen, name: draw.choice(VALUES[name])}
        if valid(changed):
            chosen = changed
    return {name: chosen.get(name, values[0]) for name, values in VALUES.items()}


def pairs(options: dict[str, Any]) -> set[Pair]:
    return {(a, options[a], b, options[b]) for a, b in combinations(sorted(options), 2)}


def covering(seed: int = 0) -> Iterator[dict[str, Any]]:
    """Options until all pairs have come up that came up in many draws; each time those with most new pairs."""
    draw = random.Random(seed)
    drawn = [(options, pairs(options)) for options in (some_options(draw) for _ in range(300))]
    missing = {pair for _, found in drawn for pair in found}
    while missing:
        options, found = max(drawn, key=lambda one: len(missing & one[1]))
        missing -= found
        yield options


def built(options: dict[str, Any], seed: int = 0) -> Any:
    """The model with every tensor random: with the initial zeros and ones some gradients would vanish."""
    torch.manual_seed(seed)
    model = HyperTransformer(HyperTransformerConfig(**{**SMALL, **options}), setting_for(EPISODE)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) / 10)
    return model


def stages(options: dict[str, Any]) -> list[float]:
    """Progress at which each stage of training is under way, among them every warm-up head's."""
    pretrain, warmup = options["pretrain"], options["warmup"]
    return [0.0, *(pretrain + (1 - pretrain) * warmup * third / 3 for third in (0, 1, 2) if warmup), 0.99]


def has_no_effect(name: str, options: dict[str, Any], last: int) -> bool:
    """Parameters that the mathematics cancels: what is added to all classes alike, and, without local features, the
    support set's normalisation behind the last convolution, which nothing reads if queries have their own."""
    added_to_all_classes = name.startswith("linear.generator") and name.endswith("norm.bias")
    unread = options["local_features"] == 0 and name.startswith(f"convolutions.{last}.norm")
    return added_to_all_classes or unread


def without_gradient(model: Any, options: dict[str, Any]) -> set[str]:
    """Parameters that learn at no stage of training, though they should."""
    largest = dict.fromkeys((name for name, _ in model.named_parameters()), 0.0)
    for progress in stages(options):
        for name, gradient in gradients(model, EPISODE, progress).items():
            if gradient is not None:
                assert gradient.isfinite().all(), (name, options)
                largest[name] = max(largest[name], float(gradient.abs().max()))
    last = model.config.architecture.blocks - 1
    return {name for name, size in largest.items() if size < 1e-10 and not has_no_effect(name, options, last)}


def test_whatever_two_options_are_chosen_every_parameter_learns_and_tasks_stay_apart():
    seen: dict[str, set[Any]] = {name: set() for name in VALUES}
    for options in covering():
        model = built(options)
        dead = without_gradient(model, options)
        for seed in (1, 2):
            if dead:  # by chance all ReLUs of a convolution may be: not with other numbers, too
                dead &= without_gradient(built(options, seed=seed), options)
        assert dead == set(), options
        model.eval()
        with torch.no_grad():
            together, alone = model(EPISODE), torch.cat([model(EPISODE[task : task + 1]) for task in range(2)])
        torch.testing.assert_close(together, alone, rtol=1e-9, atol=1e-9, msg=str(options))
        for name, value in options.items():
            seen[name].add(value)
    assert seen == {name: set(values) for name, values in VALUES.items()}


def test_all_options_are_in_pairs():
    free = {field.name for field in fields(HyperTransformerConfig)} - SMALL.keys()
    assert free == VALUES.keys() - SMALL.keys()


@pytest.mark.parametrize("generator", ["encoder-decoder", "separate"])
def test_the_decoder_learns(generator):
    """A public port keeps its decoder's layers in a plain list, where no optimiser finds them."""
    model = built({"generator": generator})
    found = {name: gradient for name, gradient in gradients(model, EPISODE).items() if ".decoder." in name}
    layers = 2 * 5  # two in front of each of the four convolutions and the linear layer
    assert sum(name.endswith("memory_attention.key_value.weight") for name in found) == layers
    cancelled = [name for name in found if name.startswith("linear.generator") and name.endswith("norm.bias")]
    assert all(gradient.abs().max() > 1e-10 for name, gradient in found.items() if name not in cancelled)
