"""MAML and its kin against a plain loop over tasks with hand-written normalisation, and their invariances."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.data import load
from benchmark.data.configs import GlyphsConfig
from benchmark.episodes.sampling import sample
from methods import Setting
from methods.maml.config import MAMLConfig, MAMLPlusPlusConfig
from methods.maml.model import multi_step_shares
from methods.networks.conv4 import NORM_EPS
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
GLYPH = (1, 28, 28)


def build(name: str = "maml", episode: Any = EPISODE, **options: Any) -> Any:
    """A learner in float64 with random normalisation (scales of both signs) and a random last bias."""
    torch.manual_seed(0)
    model: Any = get(name).build({"channels": 4, "inner_steps": 2, **options}, setting_for(episode)).double()
    with torch.no_grad():
        for tensor in [*model.scales, *model.offsets, model.bias]:
            tensor.copy_(torch.randn_like(tensor))
        if model.config.learned_rates:
            model.rates.copy_(torch.rand_like(model.rates) / 5)
    return model


def plain_network(model: Any, images: Tensor, weights: list[Tensor], row: int, others: Tensor | None = None) -> Tensor:
    """Logits (B, N) of one task's images, in MAML++'s order, with convolution biases; `others` give the statistics."""
    *convolutions, weight, bias = weights
    for block in range(4):
        scale, offset = (rows[block][min(row, len(rows[block]) - 1)] for rows in (model.scales, model.offsets))
        kernel, shift = convolutions[block], convolutions[block + 4]

        def normalised(x, reference, scale=scale, offset=offset):
            mean = reference.mean((0, 2, 3), keepdim=True)
            variance = ((reference - mean) ** 2).mean((0, 2, 3), keepdim=True)
            x = (x - mean) / (variance + NORM_EPS) ** 0.5 * scale[:, None, None] + offset[:, None, None]
            return F.max_pool2d(torch.where(x > 0, x, model.config.negative_slope * x), 2)

        images = F.conv2d(images, kernel, shift, padding="same")
        if others is None:
            images = normalised(images, images)
        else:
            others = F.conv2d(others, kernel, shift, padding="same")
            images, others = normalised(images, others), normalised(others, others)
    return images.flatten(1) @ weight.T + bias


def plain_losses(model: Any, episode: Any, second_order: bool) -> Tensor:
    """Query loss after each inner step, mean over tasks, one task after the other."""
    config, losses = model.config, []
    for task in range(episode.tasks):
        support, labels = episode.support_images[task], episode.support_labels[task]
        weights = [*model.kernels, *torch.randn(4, 4, dtype=torch.float64).requires_grad_(), model.weight, model.bias]
        others = support if config.query_statistics == "support" else None
        after = []
        for step in range(config.inner_steps):
            logits = plain_network(model, support, weights, step)
            loss = F.cross_entropy(logits[labels >= 0], labels[labels >= 0])
            found = torch.autograd.grad(loss, weights, create_graph=second_order)
            # Rates have no rows for the convolution biases: any will do, their gradients are zero.
            rates = torch.cat([model.rates[:4], model.rates[:4], model.rates[-2:]])[:, step]
            if config.adapt == "head":
                rates = torch.cat([torch.zeros(8), model.rates[:, step]])
            weights = [w - rate * g for w, rate, g in zip(weights, rates, found, strict=True)]
            query_logits = plain_network(model, episode.query_images[task], weights, step, others)
            after.append(F.cross_entropy(query_logits, episode.query_labels[task]))
        losses.append(torch.stack(after))
    return torch.stack(losses).mean(0)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "one step": ("maml", {"inner_steps": 1}),
    "three steps": ("maml", {"inner_steps": 3, "inner_learning_rate": 0.3}),
    "support statistics": ("maml", {"query_statistics": "support"}),
    "first order": ("fomaml", {"inner_steps": 3}),
    "head": ("anil", {}),
    "head, first order": ("anil", {"second_order": False}),
    "maml++": ("maml++", {"inner_steps": 3}),
    "maml++, support statistics": ("maml++", {"query_statistics": "support"}),
}


@pytest.mark.parametrize("unlabelled", [0, 2])
@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradients_of_a_plain_loop(case, unlabelled):
    name, options = CASES[case]
    episode = random_episode(tasks=2, unlabelled=unlabelled)
    model = build(name, episode, **options)
    progress = 0.04
    ours = gradients(model, episode, progress)
    shares = torch.tensor([0.0] * (model.config.inner_steps - 1) + [1.0])
    if name == "maml++":
        shares = torch.tensor([0.2, 0.2, 0.6] if model.config.inner_steps == 3 else [0.3, 0.7], dtype=torch.float64)
    model.zero_grad(set_to_none=True)
    expected = (shares * plain_losses(model, episode, model.config.second_order)).sum()
    expected.backward()
    torch.testing.assert_close(model.loss(episode, progress).total, expected, rtol=1e-9, atol=1e-10)
    for parameter_name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(ours[parameter_name], parameter.grad, rtol=1e-6, atol=1e-9)


def test_first_and_second_order_differ():
    model, first_order = build(inner_steps=3), build("fomaml", inner_steps=3)
    torch.testing.assert_close(model(EPISODE), first_order(EPISODE))
    pairs = zip(gradients(model, EPISODE).values(), gradients(first_order, EPISODE).values(), strict=True)
    assert all(not torch.allclose(a, b, rtol=1e-2) for a, b in pairs if a is not None)


def test_multi_step_shares_of_the_paper_code():
    """Examples of MAML++'s code with 5 inner steps: done = epoch / epochs of the phase."""
    assert multi_step_shares(5, 0.0) == pytest.approx([0.2] * 5)
    assert multi_step_shares(5, 5 / 10) == pytest.approx([0.1] * 4 + [0.6])
    assert multi_step_shares(5, 9 / 10) == pytest.approx([0.02] * 4 + [0.92])
    assert multi_step_shares(5, 14 / 15) == pytest.approx([0.2 / 15] * 4 + [0.9466667])
    assert multi_step_shares(5, 0.999) == pytest.approx([0.006] * 4 + [0.976])  # the floor, 0.03 / 5
    for steps in (1, 2, 5):
        for done in (0.0, 0.3, 0.99):
            assert sum(multi_step_shares(steps, done)) == pytest.approx(1)


def test_multi_step_loss_ends():
    model = build("maml++", multi_step_loss=0.2)
    only_last = F.cross_entropy(model(EPISODE).flatten(0, 1), EPISODE.query_labels.flatten())
    torch.testing.assert_close(model.loss(EPISODE, 0.2).total, only_last)
    assert not torch.allclose(model.loss(EPISODE, 0.1).total, only_last)


def test_derivative_order_annealing():
    model = build(derivative_order_annealing=0.5)
    for progress, name in ((0.49, "fomaml"), (0.5, "maml")):
        annealed, expected = gradients(model, EPISODE, progress), gradients(build(name), EPISODE)
        for key in ("kernels.0", "weight", "scales.3"):
            torch.testing.assert_close(annealed[key], expected[key])


@pytest.mark.parametrize("name", ["maml", "anil"])
def test_what_the_inner_loop_adapts(name):
    model = build(name)
    before, *_, after = model.adaptation(EPISODE, 2, second_order=False)
    unchanged = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert unchanged == [name == "anil"] * 4 + [False, False]
    assert not torch.allclose(after[-1][0], after[-1][1])  # each task its own way


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_every_rate_and_every_normalisation_row_learns(progress):
    found = gradients(build("maml++", inner_steps=3), EPISODE, progress)
    rows = [found["rates"].T, *(found[f"{kind}.{block}"] for kind in ("scales", "offsets") for block in range(4))]
    for gradient in rows:
        assert len(gradient) == 3  # a row for each step
        assert gradient.abs().amin(0).max() > 1e-8
        assert (gradient != 0).all()


def test_plain_maml_learns_no_rates_and_normalises_every_step_alike():
    model = build()
    assert gradients(model, EPISODE)["rates"] is None
    assert all(scale.shape == (1, 4) for scale in model.scales)


def test_support_order_does_not_matter():
    model = build("maml++")
    torch.testing.assert_close(model(EPISODE), model(reorder_support(EPISODE, torch.tensor([3, 1, 5, 0, 2, 4]))))


def test_permuting_labels_and_head_permutes_logits():
    model, permutation = build("maml++"), torch.tensor([2, 0, 1])
    logits = model(EPISODE)
    with torch.no_grad():
        for tensor in (model.weight, model.bias):
            tensor[permutation] = tensor.clone()
    torch.testing.assert_close(logits, model(relabel(EPISODE, permutation))[..., permutation])


@pytest.mark.parametrize(("statistics", "inductive"), [("batch", False), ("support", True)])
def test_query_statistics(statistics, inductive):
    model = build(query_statistics=statistics).eval()
    assert torch.allclose(model(EPISODE)[:, :2], model(keep_queries(EPISODE, 2))) == inductive


@pytest.mark.parametrize("name", ["maml", "anil", "maml++"])
def test_works_where_gradients_are_off(name):
    model = build(name, query_statistics="support").eval()
    expected = model(EPISODE)
    with torch.no_grad():
        logits = model(EPISODE)
    assert not logits.requires_grad
    torch.testing.assert_close(logits, expected)
    with torch.inference_mode():
        inside = EPISODE.to(dtype=torch.float32).to(dtype=torch.float64)  # tensors made in inference mode
        assert inside.support_images.is_inference()
        torch.testing.assert_close(model(inside).clone(), expected.detach(), rtol=1e-4, atol=1e-4)
        assert not torch.is_grad_enabled()
    model.train().loss(EPISODE, 0.0).total.backward()  # and training goes on


@pytest.mark.parametrize("name", ["maml", "anil", "maml++"])
def test_tasks_are_independent(name):
    assert_tasks_are_independent(build(name), EPISODE)


@pytest.mark.parametrize("name", ["maml", "fomaml", "anil", "maml++"])
def test_tasks_at_once_equal_tasks_one_by_one(name):
    assert_batched_equals_loop(build(name), EPISODE)


def test_inner_steps_when_testing():
    model = build("maml++", inner_steps=2, test_inner_steps=3)
    train_logits, test_logits = model(EPISODE), model.eval()(EPISODE)
    assert not torch.allclose(train_logits, test_logits)
    *_, weights = model.adaptation(EPISODE, 3, second_order=False)
    torch.testing.assert_close(test_logits, model.classify(weights, model.streams(EPISODE), 3))
    unadapted = build("maml++", test_inner_steps=0).eval()
    expected = [
        plain_network(unadapted, images, [*unadapted.kernels, *torch.zeros(4, 4), unadapted.weight, unadapted.bias], 0)
        for images in EPISODE.query_images
    ]
    torch.testing.assert_close(unadapted(EPISODE), torch.stack(expected))


@pytest.mark.parametrize("name", ["maml", "maml++"])
def test_adaptation_is_what_training_learns(name):
    glyphs = GlyphsConfig(name="glyphs", train_classes=60, validation_classes=2, test_classes=20, images_per_class=4)
    splits, shape, setting = load(glyphs).splits, EpisodesConfig(ways=5, shots=1, queries=2), Setting(5, 1, GLYPH, 60)
    options = {"channels": 8, "inner_steps": 2, "inner_learning_rate": 0.3}
    torch.manual_seed(0)
    model = get(name).build(options, setting)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for step in range(20):
        optimizer.zero_grad()
        model.loss(sample(splits["train"], shape, 0, step * 8, 8), step / 20).total.backward()
        optimizer.step()
    unadapted = get(name).build({**options, "test_inner_steps": 0}, setting)
    unadapted.load_state_dict(model.state_dict())
    episode = sample(splits["test"], shape, 1, 0, 40)
    with torch.inference_mode():
        right = [(one.eval()(episode).argmax(-1) == episode.query_labels).float().mean() for one in (unadapted, model)]
    assert right[0] < 0.3  # chance is 0.2
    assert right[1] > 0.4


def test_registered_and_sized():
    setting = setting_for(random_episode(ways=20, image_shape=(1, 28, 28)))
    for name in ("maml", "fomaml", "anil", "maml++"):
        model = get(name).build({"channels": 64}, setting)
        assert model.fixed_ways
        # MAML++'s network has 112,724 numbers, 4 * 64 of them convolution biases
        assert model.solver_parameters(20) == 112_724 - 4 * 64
    assert get("maml++").learner.Config is MAMLPlusPlusConfig


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inner_steps": 0}, "inner_steps is at least 1"),
        ({"test_inner_steps": -1}, "test_inner_steps is at least 0"),
        ({"multi_step_loss": 15.0}, "multi_step_loss is a fraction"),
        ({"second_order": False, "derivative_order_annealing": 0.3}, "needs second_order"),
        ({"adapt": "head", "per_step_normalization": True}, "needs adapt 'all'"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MAMLConfig(**options)
