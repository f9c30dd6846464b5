"""ht-static, the control for ht-all: convolutions written from learned constants, a last layer from the support set."""

from typing import Any

import pytest
import torch

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.inspection import attention_to_support
from methods.registry import get
from tests.methods.helpers import (
    assert_batched_equals_loop,
    assert_tasks_are_independent,
    gradients,
    random_episode,
    setting_for,
)

SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}


def build(**options) -> Any:
    """A small float64 ht-static for `random_episode`, in eval mode."""
    torch.manual_seed(0)
    return get("ht-static").build({**SMALL, **options}, setting_for(random_episode())).double().eval()


@pytest.mark.parametrize("options", [{}, {"generator": "separate"}, {"generate_bias": True, "residual_weights": True}])
def test_convolutions_are_the_same_for_every_task_and_support_set(options):
    model = build(**options)
    one, other = (model.solver(random_episode(seed=seed)) for seed in (0, 1))
    for left, right in zip(one.blocks, other.blocks, strict=True):
        for name in ("kernel", "scale", "offset"):
            mine, theirs = getattr(left, name), getattr(right, name)
            assert torch.equal(mine, theirs)
            assert torch.equal(mine, mine[:1].expand_as(mine))
    assert not torch.allclose(one.linear.weight, other.linear.weight)
    assert not torch.allclose(one.linear.weight[0], one.linear.weight[1])


def test_nothing_is_between_tasks():
    with torch.no_grad():
        shares = build().diagnostics(random_episode())
    assert [shares[f"ht/variation_share.conv{n}.kernel"] for n in range(1, 5)] == pytest.approx([0] * 4, abs=1e-20)
    assert shares["ht/variation_share.linear.weight"] > 1e-4


@pytest.mark.parametrize("generator", ["encoder", "encoder-decoder", "separate"])
def test_tasks_at_once_equal_tasks_one_by_one(generator):
    model = build(generator=generator).train()
    assert_batched_equals_loop(model, random_episode(unlabelled=1))
    assert_tasks_are_independent(model, random_episode())


def test_every_parameter_learns():
    found = gradients(build().train(), random_episode(unlabelled=1))
    del found["linear.generator.transformer.encoder.1.feed_forward_norm.bias"]  # the same for all classes
    assert [name for name, gradient in found.items() if gradient is None or gradient.abs().max() < 1e-9] == []


def test_hidden_support_images_are_hidden_from_the_last_layer_only():
    model = build(drop_labelled=1.0).train()
    torch.manual_seed(1)
    one, other = model.solver(random_episode()), model.solver(random_episode())
    assert torch.equal(one.blocks[3].kernel, other.blocks[3].kernel)
    assert not torch.allclose(one.linear.weight, other.linear.weight)


def test_only_the_last_layer_attends_to_support_images():
    assert list(attention_to_support(build(), random_episode())) == ["linear"]


def test_number_of_parameters():
    """As `ht-all`, less local extractors and label tables of the convolutions, plus 20 constants for each."""

    def transformer(width):
        return 3 * (6 * (width**2 + width) + 2 * 2 * width)

    # 32 numbers for the embedding, 32 shared features, 8 for each local convolution that ht-all has there: two, but for
    # layer 4, whose 3x3 images have room for one. Weight tokens are 32 + 9 * 8 wide, in front of layer 1 32 + 9.
    constants = 20 * (32 + 32 + 16) * 3 + 20 * (32 + 32 + 8)
    convolutions = transformer(32 + 48) + 3 * transformer(32 + 72) + 4 * 8 * 32 + constants
    logits_only, trained_kernels = 117_728, 9 * 8 + 3 * 9 * 8 * 8

    setting = setting_for(random_episode(ways=20, image_shape=(1, 28, 28)))
    size = sum(p.numel() for p in get("ht-static").build({}, setting).parameters())
    assert size == logits_only - trained_kernels + convolutions


def test_constants_need_something_to_write():
    with pytest.raises(ValueError, match="convolution_tokens 'learned' needs generated convolutions"):
        HyperTransformerConfig(convolution_tokens="learned", generated_layers="logits")
