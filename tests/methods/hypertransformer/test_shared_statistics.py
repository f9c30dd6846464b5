"""What the shared extractor normalises with."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from methods.hypertransformer.config import HyperTransformerConfig
from methods.hypertransformer.extractors import SharedConv
from methods.hypertransformer.model import HyperTransformer
from methods.networks.conv4 import group_tasks
from tests.methods.helpers import assert_batched_equals_loop, assert_tasks_are_independent, random_episode, setting_for

SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}


def build(statistics: Any, **options: Any) -> HyperTransformer:
    torch.manual_seed(0)
    config = HyperTransformerConfig(**{**SMALL, "shared_statistics": statistics, **options})
    return HyperTransformer(config, setting_for(random_episode())).double()


@pytest.mark.parametrize("statistics", ["support", "image", "batch", "fixed"])
def test_tasks_are_independent_in_evaluation(statistics):
    model, episode = build(statistics), random_episode()
    model.loss(episode, 0.0)  # moves the running averages
    model.eval()
    assert_batched_equals_loop(model, episode)
    assert_tasks_are_independent(model, episode)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("statistics", ["support", "image", "batch", "fixed"])
def test_features_equal_plain_layers(statistics, training):
    extractor = build(statistics).shared
    assert extractor is not None
    extractor.train(training)
    images = random_episode().support_images
    tasks, support = images.shape[:2]
    norms = [torch.nn.BatchNorm2d(6, eps=1e-3).double().train(training) for _ in range(3)]
    x = images.flatten(0, 1)
    for layer, convolution in enumerate(extractor.convolutions):
        assert isinstance(convolution, SharedConv)
        x = F.relu(F.conv2d(x, convolution.kernel, convolution.bias, convolution.stride, 1))
        if statistics == "batch":
            x = norms[layer](x)
        elif statistics == "image":
            x = F.layer_norm(x, x.shape[1:], eps=1e-3)
        elif statistics == "fixed":
            x = x / (1 + 1e-3) ** 0.5
        else:
            parts = x.unflatten(0, (tasks, support))
            x = torch.cat([F.batch_norm(part, None, None, training=True, eps=1e-3) for part in parts])
    found = extractor(group_tasks(images), tasks)
    torch.testing.assert_close(found, x.mean((2, 3)).unflatten(0, (tasks, support)), rtol=1e-9, atol=1e-10)
    if statistics == "batch":
        torch.testing.assert_close(extractor.get_buffer("variance2"), norms[2].running_var)


def test_running_averages_are_saved():
    model, other, episode = build("batch"), build("batch"), random_episode()
    model.loss(episode, 0.0)
    assert not torch.allclose(model.eval()(episode), other.eval()(episode))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(episode), other(episode))
    assert not any("shared.mean" in name for name in build("support").state_dict())


@pytest.mark.parametrize("options", [{"shared_layers": 0}, {"shared_normalization": False}])
def test_statistics_need_a_normalisation(options):
    with pytest.raises(ValueError, match="shared_statistics 'batch' needs"):
        HyperTransformerConfig(shared_statistics="batch", **options)
