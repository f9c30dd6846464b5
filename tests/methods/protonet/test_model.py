"""ProtoNet against a hand computation and its invariances."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.protonet.config import ProtoNetConfig
from methods.protonet.model import ProtoNet, prototypes, squared_distances
from methods.registry import get
from tests.methods.helpers import (
    assert_batched_equals_loop,
    assert_tasks_are_independent,
    gradients,
    keep_queries,
    random_episode,
    relabel,
    reorder_support,
    setting_for,
)

EPISODE = random_episode(tasks=2, ways=3, shots=2, queries=2)


def trained() -> Any:
    """A ProtoNet in eval mode whose running statistics have seen some images."""
    torch.manual_seed(0)
    model = ProtoNet(ProtoNetConfig(channels=4), setting_for(EPISODE)).double()
    for seed in range(3):
        model(random_episode(tasks=2, seed=seed + 1))
    return model.eval()


def plain_embedding(model: Any, images: Tensor, training: bool) -> Tensor:
    """Embeddings (B, D) of one task's images (B, C, H, W), in the paper's order."""
    x = images
    for block in model.blocks:
        x = F.conv2d(x, block.convolution.weight, block.convolution.bias, padding="same")
        mean, variance = block.running_mean.clone(), block.running_variance.clone()
        x = F.batch_norm(x, mean, variance, block.scale, block.offset, training)
        x = F.max_pool2d(F.relu(x), 2)
    return x.flatten(1)


@pytest.mark.parametrize("training", [False, True])
def test_logits_by_hand(training):
    model = trained().train(training)
    logits = []
    for task in range(2):
        images = torch.cat([EPISODE.support_images[task], EPISODE.query_images[task]])
        embedded = plain_embedding(model, images, training)
        support, query, labels = embedded[:6], embedded[6:], EPISODE.support_labels[task]
        means = [torch.stack([support[i] for i in range(6) if labels[i] == way]).mean(0) for way in range(3)]
        logits.append(torch.stack([torch.stack([-((q - mean) ** 2).sum() for mean in means]) for q in query]))
    torch.testing.assert_close(model(EPISODE), torch.stack(logits), rtol=1e-9, atol=1e-9)


def test_running_statistics_move_towards_the_mean_of_the_tasks():
    model = trained()
    images = torch.cat([EPISODE.support_images, EPISODE.query_images], dim=1)
    block = model.blocks[0]
    before, each = block.running_variance.clone(), []
    for task in images:
        norm = nn.BatchNorm2d(4).double()
        norm.running_var = before.clone()
        norm(F.conv2d(task, block.convolution.weight, block.convolution.bias, padding="same"))
        each.append(norm.running_var)
    model.train()(EPISODE)
    torch.testing.assert_close(block.running_variance, torch.stack(each).mean(0))


def test_prototypes_and_distances_on_numbers():
    embedded = torch.tensor([[[0.0, 0.0], [2.0, 2.0], [5.0, 1.0], [9.0, 9.0]]])
    means = prototypes(embedded, torch.tensor([[0, 0, 1, -1]]), ways=2)
    assert means.tolist() == [[[1.0, 1.0], [5.0, 1.0]]]
    assert squared_distances(torch.tensor([[[1.0, 4.0]]]), means).tolist() == [[[9.0, 25.0]]]


def test_support_order_does_not_matter():
    model = trained()
    torch.testing.assert_close(model(EPISODE), model(reorder_support(EPISODE, torch.tensor([3, 1, 5, 0, 2, 4]))))


def test_permuting_labels_permutes_logits():
    model, permutation = trained(), torch.tensor([2, 0, 1])
    torch.testing.assert_close(model(EPISODE), model(relabel(EPISODE, permutation))[..., permutation])


def test_unlabelled_images_are_ignored():
    model = trained()
    episode = random_episode(unlabelled=2)
    images, labels = episode.support_images, episode.support_labels
    altered = torch.where(labels[..., None, None, None] == -1, torch.rand_like(images), images)
    torch.testing.assert_close(model(episode), model(type(episode)(altered, labels, *_rest(episode))))


def _rest(episode):
    return episode.query_images, episode.query_labels, episode.ways


def test_once_trained_a_query_does_not_depend_on_the_others():
    model = trained()
    torch.testing.assert_close(model(EPISODE)[:, :2], model(keep_queries(EPISODE, 2)))
    model.train()
    assert not torch.allclose(model(EPISODE)[:, :2], model(keep_queries(EPISODE, 2)))


@pytest.mark.parametrize("training", [False, True])
def test_tasks_are_independent(training):
    assert_tasks_are_independent(trained().train(training), EPISODE)


def test_tasks_at_once_equal_tasks_one_by_one():
    model = trained()
    assert_batched_equals_loop(model, EPISODE)
    assert_batched_equals_loop(model.train(), EPISODE)


def test_other_ways_than_trained_for():
    assert trained()(random_episode(ways=5)).shape == (3, 10, 5)


def test_every_parameter_but_the_cancelled_biases_learns():
    for name, gradient in gradients(trained().train(), EPISODE).items():
        assert gradient is not None
        cancelled = name.endswith("convolution.bias")  # batch normalisation subtracts the bias in front of it
        assert (gradient.abs().max() < 1e-10) == cancelled, name


def test_registered_and_sized():
    model = get("protonet").build({}, setting_for(random_episode(image_shape=(1, 28, 28))))
    # kernels and biases of 1 -> 8 -> 8 -> 8 -> 8 channels, and 20 prototypes of 8 numbers
    assert model.solver_parameters(20) == (72 + 8) + 3 * (576 + 8) + 20 * 8
