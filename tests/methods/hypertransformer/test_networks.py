"""The other networks that HyperTransformer can write, and the sizes of images they take."""

from typing import Any

import pytest
import torch

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.model import HyperTransformer, warmup_weights
from tests.methods.helpers import assert_batched_equals_loop, gradients, random_episode, setting_for
from tests.methods.hypertransformer.test_options import build

NETWORKS: list[dict[str, Any]] = [
    {"network": "avgpool3"},
    {"network": "avgpool4", "stride": 1, "kernel_size": 2},
    {"kernel_size": 5, "stride": 1},
]


@pytest.mark.parametrize("generated_layers", ["logits", "all", 2, -1])
@pytest.mark.parametrize("network", NETWORKS, ids=str)
def test_other_networks_are_written_and_equal_the_loop(network, generated_layers):
    episode = random_episode(tasks=2, unlabelled=1)
    model = build(**network, generated_layers=generated_layers, generate_bias=generated_layers != "logits")
    assert_batched_equals_loop(model, episode)
    weights, written = model.solver(episode), model.generated_weights(episode)
    blocks = 3 if network.get("network") == "avgpool3" else 4
    generated = {"logits": [], "all": range(1, blocks + 1), 2: [blocks - 1, blocks], -1: [1]}[generated_layers]
    assert [name for name in written if name.endswith("kernel")] == [f"conv{n}.kernel" for n in generated]
    size = network.get("kernel_size", 3)
    assert [tuple(block.kernel.shape[1:]) for block in weights.blocks] == [
        (4, 4 if block else 1, size, size) for block in range(blocks)
    ]
    in_networks = [block.kernel for block in weights.blocks] + [weights.linear.weight, weights.linear.bias]
    in_networks += [block.bias for block in weights.blocks if block.bias is not None]
    assert model.solver_parameters(3) == sum(tensor[0].numel() for tensor in in_networks)


def test_trained_kernels_start_glorot_uniform_at_any_size():
    torch.manual_seed(0)
    config = HyperTransformerConfig(channels=32, kernel_size=5, generated_layers="logits")
    model: Any = HyperTransformer(config, setting_for(random_episode()))
    kernels = [layer.kernel for layer in model.convolutions]
    for kernel, inputs in zip(kernels, (1, 32, 32, 32), strict=True):
        limit = (6 / (25 * (inputs + 32))) ** 0.5
        assert 0.95 * limit < kernel.abs().max() <= limit
        assert float(kernel.detach().std()) == pytest.approx(limit / 3**0.5, rel=0.1)


def test_warmup_of_a_network_of_three_convolutions_has_two_stages():
    model = build(network="avgpool3", warmup=0.4)
    assert len(model.warmup_heads) == 2
    assert [warmup_weights(done, 2) for done in (0, 0.5, 0.75, 1)] == [(1, 0, 0), (0, 1, 0), (0, 0.5, 0.5), (0, 0, 1)]
    found = gradients(model, random_episode(), progress=0.2)
    assert found["warmup_heads.0.weight"] is None
    assert found["warmup_heads.1.weight"].abs().max() > 0


def test_shared_features_of_images_that_are_too_small_for_them():
    setting = setting_for(random_episode(image_shape=(1, 30, 40)))
    with pytest.raises(ValueError, match=r"4 shared_layers then need 31x31 pixels; use 'same', or fewer"):
        HyperTransformer(HyperTransformerConfig(shared_padding="valid", shared_layers=4), setting)
    options: list[dict[str, Any]] = [{"shared_layers": 2}, {"shared_layers": 3}, {"shared_layers": 4}]
    for given, side in zip(options, (16, 16, 31), strict=True):
        episode = random_episode(image_shape=(1, side, side)).to(dtype=torch.float32)
        model = HyperTransformer(HyperTransformerConfig(shared_padding="valid", **given), setting_for(episode))
        assert model(episode).isfinite().all()
