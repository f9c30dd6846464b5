"""`methods.maml` against learn2learn's MAML on the same network: logits and meta-gradients."""

from typing import Any

import pytest
import torch

from methods.registry import get
from tests.methods.helpers import gradients, random_episode, setting_for

pytest.importorskip("learn2learn")

EPISODE = random_episode(tasks=2, ways=3, shots=2, queries=2)


def pair(**options: Any) -> tuple[Any, Any]:
    """Our learner and learn2learn's with the same parameters, in the order ours names them."""
    torch.manual_seed(0)
    options = {"channels": 4, "inner_learning_rate": 0.3, **options}
    ours: Any
    theirs: Any
    ours, theirs = (get(name).build(options, setting_for(EPISODE)).double() for name in ("maml", "maml-l2l"))
    with torch.no_grad():
        ours.rates.fill_(0.3)  # made in float32
        for our, their in matched(ours, theirs):
            our.copy_(torch.randn_like(our))
            their.copy_(our.reshape(their.shape))
    return ours, theirs


def matched(ours: Any, theirs: Any) -> list[tuple[Any, Any]]:
    """Pairs of the same parameter."""
    ours_listed = [*ours.kernels, ours.weight, ours.bias, *ours.scales, *ours.offsets]
    theirs_listed = [*theirs.network.parameters(), *theirs.scales, *theirs.offsets]
    return list(zip(ours_listed, theirs_listed, strict=True))


@pytest.mark.parametrize("adapt", ["all", "head"])
@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("inner_steps", [1, 3])
def test_logits_and_meta_gradients_equal(inner_steps, second_order, adapt):
    ours, theirs = pair(inner_steps=inner_steps, second_order=second_order, adapt=adapt)
    torch.testing.assert_close(ours(EPISODE), theirs(EPISODE), rtol=1e-6, atol=1e-8)
    gradients(ours, EPISODE)
    gradients(theirs, EPISODE)
    for our, their in matched(ours, theirs):
        assert their.grad.abs().max() > 1e-6
        torch.testing.assert_close(our.grad, their.grad.reshape(our.shape), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("adapt", ["all", "head"])
def test_evaluation_equal(adapt):
    ours, theirs = pair(inner_steps=2, test_inner_steps=4, adapt=adapt)
    with torch.inference_mode():
        inside = EPISODE.to(dtype=torch.float64)
        torch.testing.assert_close(ours.eval()(inside), theirs.eval()(inside), rtol=1e-6, atol=1e-8)
    with torch.no_grad():
        assert not theirs(EPISODE).requires_grad


def test_sizes_equal():
    ours, theirs = pair()
    assert theirs.solver_parameters(3) == ours.solver_parameters(3)
    assert theirs.fixed_ways


def test_the_same_seed_trains_the_same():
    ours, theirs = built = [started(name) for name in ("maml", "maml-l2l")]
    for our, their in matched(ours, theirs):
        assert torch.equal(our, their.reshape(our.shape))
    for model in built:
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
        for step in range(10):
            optimizer.zero_grad()
            model.loss(random_episode(tasks=2, ways=3, shots=2, queries=2, seed=step), step / 10).total.backward()
            optimizer.step()
    for our, their in matched(ours, theirs):
        torch.testing.assert_close(our, their.reshape(our.shape), rtol=1e-6, atol=1e-8)


def started(name: str) -> Any:
    """With the weights that the seed gives."""
    torch.manual_seed(0)
    model: Any = get(name).build({"channels": 4}, setting_for(EPISODE)).double()
    if name == "maml":
        model.rates.data.fill_(0.1)  # made in float32
    return model
