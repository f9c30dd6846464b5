"""Fine-tuning, replay, EWC and MAML++ on task sequences against plain loops over one learner at a time."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.cells.folder import ExperimentFolder
from benchmark.execution.cell import run
from benchmark.grid import read_grid
from methods.episode import UNLABELLED
from methods.finetune.model import classify, first_of_each_class, fisher, grown
from methods.registry import get
from methods.sequences import TaskSequence
from tests.benchmark.helpers import write_grid
from tests.methods.helpers import (
    assert_batched_equals_loop,
    assert_tasks_are_independent,
    gradients,
    keep_queries,
    random_episode,
    relabel,
    setting_for,
)
from tests.methods.test_sequences import (
    SCENARIOS,
    WAYS,
    all_answers,
    assert_later_tasks_change_nothing_before_them,
    random_sequence,
)

TUNED = ["finetune", "replay", "ewc"]
NAMES = [*TUNED, "maml++-continual"]
FAST: dict[str, Any] = {"channels": 4, "inner_steps": 2, "inner_learning_rate": 0.1}
D = 4
"""Features of 16x16 images behind four poolings of four channels."""


def with_classes(sequence: TaskSequence) -> TaskSequence:
    """Which training classes they are, as training sequences say."""
    return replace(sequence, classes=torch.arange(sequence.ways).expand(sequence.tasks, -1))


def build(name: str, tasks: int = 3, **options: Any) -> Any:
    """A small float64 learner in eval mode, its statistics, rates and normalisation not those it starts with."""
    torch.manual_seed(0)
    setting = replace(setting_for(random_episode(ways=WAYS)), tasks=tasks)
    method: Any = get(name).build({**FAST, **options}, setting).double()
    with torch.no_grad():
        for name, parameter in method.named_parameters():
            if "scale" in name or "offset" in name:
                parameter.add_(torch.randn_like(parameter) / 5)
            if name == "rates":
                parameter.copy_(0.1 + torch.rand_like(parameter) / 5)
        if hasattr(method, "network"):  # running statistics as training would leave them
            for _ in range(20):
                method.network.train()(torch.rand(20, 1, 16, 16, dtype=torch.float64))
    return method.eval()


def plain_features(method: Any, images: Tensor, weights: list[Tensor]) -> Tensor:
    """(B, D) of one learner's images, in the pre-trained network's own order: batch normalisation by itself."""
    for block, kernel, bias in zip(method.network.embedding, weights[0:8:2], weights[1:8:2], strict=True):
        spread = (block.running_variance + block.EPS).sqrt()
        x = F.conv2d(images, kernel * spread[:, None, None, None] / block.scale[:, None, None, None], padding=1)
        shift = (bias - block.offset) * spread / block.scale + block.running_mean
        x = (x + shift[:, None, None] - block.running_mean[:, None, None]) / spread[:, None, None]
        images = F.max_pool2d(F.relu(x * block.scale[:, None, None] + block.offset[:, None, None]), 2)
    return images.flatten(1)


def plain_start(method: Any) -> list[Tensor]:
    """Kernel and bias of each block with the normalisation folded in, by hand."""
    found = []
    for block in method.network.embedding:
        slope = block.scale / (block.running_variance + block.EPS).sqrt()
        found.append(block.convolution.weight * slope[:, None, None, None])
        found.append((block.convolution.bias - block.running_mean) * slope + block.offset)
    return [w.detach() for w in found]


def allowed(labels: Tensor, ways: int, scenario: str) -> Tensor:
    """(B, ways) bool, by hand: which classes compete for images with these labels."""
    if scenario != "task-incremental":
        return torch.ones(len(labels), ways, dtype=torch.bool)
    return torch.tensor([[c // WAYS == label // WAYS for c in range(ways)] for label in labels.tolist()])


def plain_log_likelihoods(method: Any, weights: list[Tensor], images: Tensor, labels: Tensor, scenario: str) -> Tensor:
    """(B,) of one learner's labelled images."""
    logits = plain_features(method, images, weights) @ weights[8].T + weights[9]
    logits = logits.masked_fill(~allowed(labels, len(weights[9]), scenario), -torch.inf)
    return logits.log_softmax(-1)[torch.arange(len(labels)), labels]


def plain_answers(method: Any, name: str, sequence: TaskSequence, learner: int) -> list[Tensor]:
    """Logits (Q, N) after each step, of one learner."""
    config, scenario = method.config, sequence.scenario
    weights = [*plain_start(method), torch.zeros(0, D).double(), torch.zeros(0).double()]
    importance = [torch.zeros_like(w) for w in weights]
    memory: dict[int, list[Tensor]] = {}
    answers = []
    for step, (all_images, all_labels) in enumerate(sequence.arrivals(), start=1):
        known = all_labels[learner] >= 0
        images, labels = all_images[learner][known], all_labels[learner][known]
        new = torch.zeros(WAYS * (scenario != "mini-batch" or step == 1), D).double()
        anchor = [*weights[:8], torch.cat([weights[8], new]), torch.cat([weights[9], new[:, 0]])]
        importance = [*importance[:8], torch.cat([importance[8], new]), torch.cat([importance[9], new[:, 0]])]
        old = [(image, label) for label, kept in memory.items() for image in kept]
        seen_images = torch.stack([*images, *(image for image, _ in old)])
        seen_labels = torch.tensor([*labels.tolist(), *(label for _, label in old)])
        anchor = [w.detach() for w in anchor]
        weights = [w.clone().requires_grad_() for w in anchor]
        optimizer = torch.optim.Adam(weights, config.inner_learning_rate)
        for _ in range(config.inner_steps):
            optimizer.zero_grad()
            (-plain_log_likelihoods(method, weights, seen_images, seen_labels, scenario).mean()).backward()
            for w, a, f in zip(weights, anchor, importance, strict=True):
                assert w.grad is not None
                if name == "ewc":  # the penalty's gradient by hand
                    w.grad += config.strength * f * (w.detach() - a)
            optimizer.step()
        if name == "replay":
            for image, label in zip(images, labels.tolist(), strict=True):
                memory[label] = [*memory.get(label, []), image][: config.exemplars]
        if name == "ewc":
            squares = []
            for image, label in zip(images, labels, strict=True):
                one = plain_log_likelihoods(method, weights, image[None], label[None], scenario).sum()
                squares.append([g.square() for g in torch.autograd.grad(one, weights)])
            importance = [
                f + torch.stack(s).mean(0) for f, s in zip(importance, zip(*squares, strict=True), strict=True)
            ]
        seen = sequence.first(step)
        logits = plain_features(method, seen.query_images[learner], weights) @ weights[8].T + weights[9]
        answers.append(logits.masked_fill(~allowed(seen.query_labels[learner], seen.ways, scenario), -torch.inf))
    return answers


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", TUNED)
def test_all_learners_at_once_are_plain_loops_one_by_one(name, scenario):
    method, sequence = build(name), random_sequence(scenario)
    expected = [plain_answers(method, name, sequence, learner) for learner in range(sequence.tasks)]
    for step, logits in enumerate(all_answers(method, sequence)):
        one_by_one = torch.stack([answers[step] for answers in expected])
        torch.testing.assert_close(logits, one_by_one, rtol=1e-6, atol=1e-7)
        assert torch.equal(logits.isneginf(), one_by_one.isneginf())


@pytest.mark.parametrize("name", NAMES)
def test_the_training_loss_of_all_sequences_is_the_mean_of_each(name):
    assert_batched_equals_loop(build(name), with_classes(random_sequence()))


def test_the_kinds_differ_in_the_second_step_and_not_in_the_first():
    sequence = random_sequence()
    plain, replay, ewc = (all_answers(build(name), sequence) for name in TUNED)
    for other in (replay, ewc):
        assert torch.equal(other[0], plain[0])
        assert not torch.allclose(other[1], plain[1], rtol=1e-3)


def test_ewc_without_strength_is_fine_tuning():
    sequence = random_sequence()
    for free, plain in zip(
        all_answers(build("ewc", strength=0.0), sequence), all_answers(build("finetune"), sequence), strict=True
    ):
        assert torch.equal(free, plain)


def test_ewc_keeps_what_mattered():
    sequence = random_sequence("task-incremental")
    distance = {}
    for strength in (0.0, 1e4):
        first, *_, last = all_answers(
            build("ewc", strength=strength, inner_steps=20, inner_learning_rate=0.01), sequence
        )
        distance[strength] = float((last[:, :4, :WAYS] - first).square().mean())
    assert 0 < distance[1e4] < distance[0.0] / 2


def test_fisher_of_a_linear_layer_by_hand():
    """With constant features x, the gradient of log p(label) for row n of the layer is (1[n = label] - p_n) x."""
    method, sequence = build("finetune"), random_sequence(steps=1, tasks=1)
    images, labels = sequence.support_images, sequence.support_labels
    weights = grown(method.beginners(sequence).weights, WAYS)
    weights[-2] = torch.randn(1, WAYS, D, dtype=torch.float64)
    *_, rows, bias = fisher(weights, images, labels, sequence)
    known = labels[0] >= 0
    x = plain_features(method, images[0][known], [w[0] for w in weights])
    errors = F.one_hot(labels[0][known], WAYS) - (x @ weights[-2][0].T).softmax(-1)
    torch.testing.assert_close(rows[0], (errors**2).T @ x**2 / known.sum())
    torch.testing.assert_close(bias[0], (errors**2).mean(0))


def test_replay_of_everything_is_one_support_set_of_everything():
    """In the last step, if what went before has moved no weight."""
    method, sequence = build("replay", exemplars=2), random_sequence()
    learners = method.beginners(sequence)
    method.config = replace(method.config, inner_steps=0)
    for step, (images, labels) in enumerate(sequence.first(2).arrivals(), start=1):
        learners = method.learn(learners, images, labels, sequence.first(step))
    method.config = replace(method.config, inner_steps=3)
    *_, (images, labels) = sequence.arrivals()
    replayed = method.learn(learners, images, labels, sequence)
    nothing = method.beginners(sequence)
    jointly = method.learn(nothing, sequence.support_images, sequence.support_labels, sequence)
    # Answers, not weights: Adam enlarges rounding where a gradient is all but zero and the weight without effect.
    replayed_logits, joint_logits = (classify(sequence.query_images, one.weights) for one in (replayed, jointly))
    torch.testing.assert_close(replayed_logits, joint_logits, rtol=1e-6, atol=1e-7)


def test_which_images_are_exemplars():
    labels = torch.tensor([[0, 0, UNLABELLED, 1, 0, 1, 1, 2], [2, UNLABELLED, 1, 1, 1, 0, 0, 0]])
    chosen = first_of_each_class(labels, 3, 2)
    assert chosen.int().tolist() == [[1, 1, 0, 1, 0, 1, 0, 1], [1, 0, 1, 1, 0, 1, 1, 0]]


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_is_a_sequence_of_one_task_in_every_scenario(name):
    method, episode = build(name), random_episode(ways=WAYS, unlabelled=1)
    expected = method(episode)
    assert expected.shape == (3, 4, WAYS)
    for scenario in SCENARIOS:
        assert torch.equal(method(TaskSequence(**vars(episode), scenario=scenario)), expected)


@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("query_statistics", ["batch", "support"])
def test_one_task_is_learnt_as_by_maml_with_no_classes_to_begin_with(query_statistics, second_order):
    options = {"query_statistics": query_statistics, "second_order": second_order}
    method, episode = build("maml++-continual", tasks=1, **options), random_episode(ways=WAYS, unlabelled=1)
    options |= {"multi_step_loss": 0.0, **FAST}
    plain: Any = get("maml++").build(options, setting_for(episode)).double().eval()
    state = {**method.state_dict(), "weight": torch.zeros(WAYS, D), "bias": torch.zeros(WAYS)}
    plain.load_state_dict(state)
    assert torch.equal(method(episode), plain(episode))
    ours, theirs = gradients(method, episode), gradients(plain, episode)
    for name, gradient in ours.items():
        if name not in ("weight", "bias"):
            torch.testing.assert_close(gradient, theirs[name], rtol=1e-9, atol=1e-12)


def test_maml_goes_on_where_it_stopped():
    """Two inner steps in each of two parts with the same images are four inner steps on one task."""
    method = build("maml++-continual", tasks=2)
    once = random_episode(ways=WAYS)
    twice = TaskSequence(
        support_images=once.support_images.repeat(1, 2, 1, 1, 1),
        support_labels=once.support_labels.repeat(1, 2),
        query_images=once.query_images,
        query_labels=once.query_labels,
        ways=WAYS,
        steps=2,
        scenario="mini-batch",
    )
    plain = build("maml++-continual", tasks=1, inner_steps=4)
    plain.load_state_dict(method.state_dict())
    torch.testing.assert_close(method(twice), plain(once), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", NAMES)
def test_later_tasks_change_nothing_before_them(name, scenario):
    assert_later_tasks_change_nothing_before_them(build(name), random_sequence(scenario))


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", NAMES)
def test_sequences_longer_than_those_of_training(name, scenario):
    method = build(name, tasks=2)
    answers = all_answers(method, random_sequence(scenario, steps=4))
    assert answers[-1].shape[2] == (WAYS if scenario == "mini-batch" else 4 * WAYS)
    if name == "maml++-continual":  # beyond the length of training, the last task's rates: without them nothing moves
        method.rates.data[:, 2:] = 0
        first, *later = all_answers(method, random_sequence(scenario, steps=4))
        assert torch.equal(first, answers[0])
        for logits in later:
            torch.testing.assert_close(logits[:, :4, :WAYS], later[0][:, :4, :WAYS])
        assert not torch.allclose(later[0], answers[1])


@pytest.mark.parametrize("name", NAMES)
def test_classes_in_another_order_get_the_same_answers(name):
    method, sequence = build(name), random_sequence(steps=1)
    order = torch.tensor([1, 0])
    swapped = method(relabel(sequence, order))
    torch.testing.assert_close(swapped[..., order], method(sequence), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_every_trained_number_learns(name):
    method = build(name).train()
    found = gradients(method, with_classes(random_sequence()))
    trained = {n for n, p in method.named_parameters() if p.requires_grad and p.numel()}
    # A bias in front of a normalisation by the statistics of the images themselves changes nothing.
    cancelled = {n for n in trained if n.endswith("convolution.bias")}
    silent = {n for n in trained if found[n] is None or found[n].abs().max() < 1e-9}
    assert silent <= cancelled
    if name == "maml++-continual":  # only the last layer moves in the very first step: its zeros pass nothing back
        assert torch.equal(found["rates"][:, 1:] != 0, torch.ones(6, 5, dtype=torch.bool))
        assert not found["rates"][:4, 0].any()


def test_maml_sequences_are_independent():
    assert_tasks_are_independent(build("maml++-continual"), random_sequence())


@pytest.mark.parametrize("name", NAMES)
def test_queries_alone(name):
    """Only batch statistics make an answer depend on other queries, and they do so within a task."""
    sequence = random_sequence(steps=1)
    for statistics in ("batch", "support") if name == "maml++-continual" else (None,):
        options: dict[str, Any] = {} if statistics is None else {"query_statistics": statistics}
        method = build(name, **options)
        alone, together = method(keep_queries(sequence, 2)), method(sequence)[:, :2]
        assert torch.allclose(alone, together, rtol=1e-9) == (statistics != "batch")


def test_queries_of_each_task_are_normalised_by_themselves():
    method, sequence = build("maml++-continual"), random_sequence()
    other = sequence.query_images.clone()
    other[:, 4:] = torch.rand(other[:, 4:].shape, dtype=torch.float64)
    changed = method(replace(sequence, query_images=other))
    torch.testing.assert_close(changed[:, :4], method(sequence)[:, :4], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("name", NAMES)
def test_answers_are_the_same_where_gradients_are_not_wanted(name, inference):
    method, sequence = build(name), random_sequence()
    expected = all_answers(method, sequence)
    with torch.inference_mode() if inference else torch.no_grad():
        fresh = replace(sequence, support_images=sequence.support_images.clone())
        for ours, theirs in zip(all_answers(method, fresh), expected, strict=True):
            torch.testing.assert_close(ours, theirs.detach(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_numbers_carried(scenario):
    sequence = random_sequence(scenario)
    ways = WAYS if scenario == "mini-batch" else 3 * WAYS
    network = 9 * (1 + 3 * 4) * 4 + ways * (4 + 1)  # kernels, and the linear layer of four features and a bias
    with_biases = network + 4 * 4
    pixels = 16 * 16
    carried = {name: build(name).carried(sequence) for name in NAMES}
    assert carried == {
        "finetune": with_biases,
        "replay": with_biases + ways * pixels,
        "ewc": 2 * with_biases,
        "maml++-continual": network,
    }
    assert build("replay", exemplars=2).carried(sequence) == with_biases + ways * 2 * pixels
    shots = 6 if scenario == "mini-batch" else 2
    assert build("replay", exemplars=9).carried(sequence) == with_biases + ways * shots * pixels
    assert build("maml++-continual", query_statistics="support").carried(sequence) == network + 2 * 4 * 4


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("finetune", {"inner_steps": -1}, "inner_steps is at least 0"),
        ("replay", {"exemplars": 0}, "replay is finetune"),
        ("ewc", {"strength": -1.0}, "strength is at least 0"),
        ("maml++-continual", {"multi_step_loss": 0.1}, "multi_step_loss is for single tasks"),
        ("maml++-continual", {"test_inner_steps": 7}, "test_inner_steps is for single tasks"),
    ],
)
def test_options_that_make_no_sense(name, options, message):
    with pytest.raises(ValueError, match=message):
        build(name, **options)


def test_from_a_grid_to_records_of_sequences_longer_than_those_of_training(tmp_path: Path) -> None:
    path = write_grid(
        tmp_path,
        episodes={"ways": 2, "shots": 2, "queries": 2, "tasks": 2},
        test={"episodes": 10, "tasks": 3},
        model={"channels": 4, "inner_steps": 2},
        train={"batch": 2, "steps": 2, "validate_every": 2, "validation_episodes": 2, "clip": 1.0},
        grid={"method": NAMES},
    )
    for config in read_grid(path).cells:
        store = ExperimentFolder(tmp_path / "runs").cell(config)
        store.create(config)
        result = run(store, "cpu")
        assert result.failure is None, result.failure
        assert result.continual is not None and result.model is not None
        assert len(result.continual.carried) == 3
        assert result.model.transductive == (config.method == "maml++-continual")
        if config.method == "maml++-continual":  # kernels; per step normalisation of four blocks; rates of six tensors
            assert result.model.parameters == 9 * (1 + 3 * 4) * 4 + (2 * 2) * (4 * 2 * 4 + 6)
