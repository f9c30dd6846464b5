"""Refined prototypes against Ren et al.'s equations, written once more for one task at a time."""

import math
from dataclasses import replace
from typing import Any

import pytest
import scipy.stats
import torch

from methods.protonet.config import ProtoNetConfig, SemiProtoNetConfig
from methods.protonet.model import ProtoNet
from methods.protonet.semi_supervised import SemiProtoNet
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

REFINEMENTS = ["soft-kmeans", "soft-kmeans-cluster", "masked"]
NAMES = ["soft-kmeans", "soft-kmeans-cluster", "masked", "semi-inference"]
EPISODE = random_episode(tasks=2, ways=3, shots=2, queries=2, unlabelled=2)


def trained(refinement: Any, **options: Any) -> Any:
    """In eval mode, with running statistics of some images and its own parameters away from where they start."""
    torch.manual_seed(0)
    config = SemiProtoNetConfig(channels=4, refinement=refinement, **options)
    model = SemiProtoNet(config, setting_for(EPISODE)).double()
    for seed in range(3):
        model(random_episode(tasks=2, seed=seed + 1))
    for name, parameter in model.named_parameters():
        if name == "log_radius":
            torch.nn.init.constant_(parameter, 0.4)
        if name.startswith("mask_network"):
            torch.nn.init.normal_(parameter, std=0.5)
    return model.eval()


def refined_by_hand(model: Any, support: list[Any], labels: list[int], ways: int) -> list[Any]:
    """The refined prototypes of one task from its support embeddings, image by image."""
    known = [(h, label) for h, label in zip(support, labels, strict=True) if label >= 0]
    unknown = [h for h, label in zip(support, labels, strict=True) if label < 0]
    start = [sum(h for h, label in known if label == c) / sum(label == c for _, label in known) for c in range(ways)]
    distance = [[((h - p) ** 2).sum() for p in start] for h in unknown]
    if model.config.refinement == "soft-kmeans-cluster":  # equation 5; radius 1 for classes
        radius = model.log_radius.exp()
        constants = [0.5 * math.log(2 * math.pi)] * ways + [0.5 * math.log(2 * math.pi) + radius.log()]
        distance = [
            [d + a for d, a in zip([*row, (h**2).sum() / radius**2], constants, strict=True)]
            for h, row in zip(unknown, distance, strict=True)
        ]
    z = [torch.stack([torch.exp(-d) for d in row]) for row in distance]
    z = [row / row.sum() for row in z]
    if model.config.refinement == "masked":  # equations 6 to 8
        relative = [[row[c] / (sum(r[c] for r in distance) / len(unknown)) for c in range(ways)] for row in distance]
        for c in range(ways):
            column = [float(row[c].detach()) for row in relative]
            moments = [scipy.stats.moment(column, 2), scipy.stats.skew(column), scipy.stats.kurtosis(column)]
            features = torch.tensor([min(column), max(column), *moments], dtype=torch.float64)
            beta, gamma = model.mask_network(features).exp()
            for j in range(len(unknown)):
                z[j] = z[j].clone()
                z[j][c] *= 1 / (1 + torch.exp(gamma * (relative[j][c] - beta)))
    refined = []
    for c in range(ways):
        total = sum(h for h, label in known if label == c) + sum(h * row[c] for h, row in zip(unknown, z, strict=True))
        refined.append(total / (sum(label == c for _, label in known) + sum(row[c] for row in z)))
    return refined


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_equations(refinement):
    model = trained(refinement)
    support, query = model.embed(EPISODE.support_images), model.embed(EPISODE.query_images)
    logits = model(EPISODE)
    for task in range(2):
        means = refined_by_hand(model, list(support[task]), EPISODE.support_labels[task].tolist(), 3)
        expected = torch.stack([torch.stack([-((q - p) ** 2).sum() for p in means]) for q in query[task]])
        torch.testing.assert_close(logits[task], expected, rtol=1e-8, atol=1e-8)


def test_soft_k_means_on_numbers():
    """Classes at 0 and 2, an unlabelled image between them: half of it goes to each."""
    model = trained("soft-kmeans")
    support = torch.tensor([[[0.0], [2.0], [1.0]]])
    means = model.means(support, torch.tensor([[0, 1, -1]]), 2)
    torch.testing.assert_close(means, torch.tensor([[[0.5 / 1.5], [2.5 / 1.5]]]))


def test_the_cluster_takes_distractors_away():
    """An unlabelled image at the origin, far from classes at 10 and 12, belongs to the cluster."""
    support, labels = torch.tensor([[[10.0], [12.0], [0.0]]]), torch.tensor([[0, 1, -1]])
    moved = trained("soft-kmeans").means(support, labels, 2)
    kept = trained("soft-kmeans-cluster").means(support, labels, 2)
    torch.testing.assert_close(moved, torch.tensor([[[5.0], [12.0]]]))
    torch.testing.assert_close(kept.detach().float(), torch.tensor([[[10.0], [12.0]]]))


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_without_unlabelled_images_it_is_protonet(refinement):
    model, episode = trained(refinement).train(), random_episode(tasks=2)
    plain = ProtoNet(ProtoNetConfig(channels=4), setting_for(episode)).double()
    plain.load_state_dict({name: value for name, value in model.state_dict().items() if name.startswith("blocks")})
    for training in (True, False):
        assert torch.equal(model.train(training)(episode), plain.train(training)(episode))


def test_inference_only_trains_as_protonet():
    model, refined = trained("soft-kmeans", refine_in_training=False), trained("soft-kmeans")
    assert torch.equal(model(EPISODE), refined(EPISODE))
    plain = ProtoNet(ProtoNetConfig(channels=4), setting_for(EPISODE)).double()
    plain.load_state_dict(model.state_dict())
    expected = plain.train()(EPISODE)
    assert torch.equal(model.train()(EPISODE), expected)
    assert not torch.allclose(refined.train()(EPISODE), expected)
    with pytest.raises(ValueError, match="'masked' has parameters to train"):
        SemiProtoNetConfig(refinement="masked", refine_in_training=False)


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_order_and_labels_are_arbitrary(refinement):
    model, permutation = trained(refinement), torch.tensor([2, 0, 1])
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    logits = model(EPISODE)
    torch.testing.assert_close(logits, model(reorder_support(EPISODE, order)))
    torch.testing.assert_close(logits, model(relabel(EPISODE, permutation))[..., permutation])
    torch.testing.assert_close(logits[:, :2], model(keep_queries(EPISODE, 2)))


@pytest.mark.parametrize("refinement", REFINEMENTS)
@pytest.mark.parametrize("training", [False, True])
def test_tasks_are_independent(refinement, training):
    model = trained(refinement).train(training)
    assert_tasks_are_independent(model, EPISODE)
    assert_batched_equals_loop(model, EPISODE)


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_every_parameter_but_the_cancelled_biases_learns(refinement):
    names = []
    for name, gradient in gradients(trained(refinement).train(), EPISODE).items():
        assert gradient is not None
        cancelled = name.endswith("convolution.bias")  # batch normalisation subtracts the bias in front of it
        assert (gradient.abs().max() < 1e-10) == cancelled, name
        names.append(name.split(".")[0])
    assert {"soft-kmeans-cluster": "log_radius", "masked": "mask_network"}.get(refinement, "blocks") in names


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_one_unlabelled_image_or_equal_ones(refinement):
    """Nothing to take a variance of: the numbers and the gradients stay finite."""
    model = trained(refinement).train()
    labels = torch.tensor([[0, 1, 2, -1], [1, 2, 0, -1]])
    images = EPISODE.support_images[:, :4]
    for count in (1, 3):
        repeated = torch.cat([images, images[:, 3:].expand(-1, count - 1, -1, -1, -1)], dim=1)
        hidden = torch.cat([labels, labels[:, 3:].expand(-1, count - 1)], dim=1)
        episode = replace(EPISODE, support_images=repeated, support_labels=hidden)
        for name, gradient in gradients(model, episode).items():
            assert gradient is not None and gradient.isfinite().all(), name
    gone = model.means(torch.zeros(1, 4, 4, dtype=torch.float64), labels[:1], 3)
    assert torch.equal(gone, torch.zeros_like(gone))


@pytest.mark.parametrize("refinement", REFINEMENTS)
def test_the_network_for_a_task_has_the_refined_prototypes(refinement):
    model = trained(refinement)
    query, linear = model.embed(EPISODE.query_images), model.solver(EPISODE).linear
    exported = query @ linear.weight.mT + linear.bias.unsqueeze(1)
    torch.testing.assert_close(exported.softmax(-1), model(EPISODE).softmax(-1))


@pytest.mark.parametrize("name", NAMES)
def test_registered(name):
    model: Any = get(f"protonet-{name}").build({}, setting_for(EPISODE))
    assert model.config.refinement == (name if name in REFINEMENTS else "soft-kmeans")
    assert model.config.refine_in_training == (name in REFINEMENTS)
    assert model.solver_parameters(20) == get("protonet").build({}, setting_for(EPISODE)).solver_parameters(20)
