"""Batched logistic regression against scikit-learn's, and against its own conditions for a minimum."""

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression

from methods.networks.conv4 import linear
from methods.rfs.logistic_regression import fit


def examples(tasks=3, ways=4, shots=2, size=40, *, like_features=False, seed=0):
    """Features (T, S, D) and labels (T, S); `like_features`: unit vectors at or above zero, close to one another."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.stack([torch.arange(ways).repeat(shots)[torch.randperm(ways * shots, generator=draw)]] * tasks)
    centres = torch.randn(tasks, ways, size, generator=draw, dtype=torch.float64)
    noise = torch.randn(tasks, ways * shots, size, generator=draw, dtype=torch.float64)
    features = centres[torch.arange(tasks)[:, None], labels] + noise
    return (F.normalize(F.relu(features + 1), dim=-1) if like_features else features), labels


@pytest.mark.parametrize("C", [1.0, 1000.0])
@pytest.mark.parametrize(
    "shape",
    [
        {"like_features": True},
        {"like_features": True, "ways": 20, "shots": 1, "size": 16},
        {"like_features": True, "ways": 3, "shots": 20, "size": 8},
        {"ways": 5},
    ],
)
def test_probabilities_are_scikit_learns(shape, C):
    features, labels = examples(**shape)
    ways = int(labels.max()) + 1
    query, _ = examples(**shape, seed=1)
    found = linear(query, fit(features, labels, ways, C)).softmax(-1)
    for task in range(len(features)):
        oracle = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12)
        oracle.fit(features[task].numpy(), labels[task].numpy())
        expected = torch.from_numpy(oracle.predict_proba(query[task].numpy()))
        torch.testing.assert_close(found[task], expected, rtol=0, atol=1e-6)


def test_two_ways_are_softmax_too():
    """By autograd: at the minimum the gradient of the objective in the docstring is zero."""
    features, labels = examples(ways=2)
    solution = fit(features, labels, 2, C=3.0)
    weight, bias = solution.weight.requires_grad_(), solution.bias.requires_grad_()
    losses = F.cross_entropy(
        (features @ weight.mT + bias.unsqueeze(1)).flatten(0, 1), labels.flatten(), reduction="sum"
    )
    (weight.square().sum() / 2 + 3.0 * losses).backward()
    assert weight.grad is not None and bias.grad is not None
    assert max(weight.grad.abs().max(), bias.grad.abs().max()) < 1e-7


def test_examples_without_a_label_do_not_count():
    features, labels = examples()
    more, hidden = torch.cat([features, 5 * features], dim=1), torch.cat([labels, torch.full_like(labels, -1)], dim=1)
    alone, together = fit(features, labels, 4), fit(more, hidden, 4)
    torch.testing.assert_close(alone.weight, together.weight)
    torch.testing.assert_close(alone.bias, together.bias)


def test_a_task_does_not_notice_the_others():
    features, labels = examples(tasks=3)
    features[1] *= 100  # needs many more steps
    features[2] = 0  # needs none
    together = fit(features, labels, 4)
    for task in range(3):
        alone = fit(features[task : task + 1], labels[task : task + 1], 4)
        torch.testing.assert_close(together.weight[task], alone.weight[0], rtol=1e-10, atol=1e-12)
    assert torch.equal(together.weight[2], torch.zeros(4, 40, dtype=torch.float64))


def test_in_single_precision_and_inference_mode():
    features, labels = examples(like_features=True)
    with torch.inference_mode():
        single = fit(features.float(), labels, 4).weight
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), fit(features, labels, 4).weight, rtol=0, atol=1e-6)
