"""What continual learners have in common: sequences, prototypes, and what may depend on what."""

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
import torch.nn.functional as F

from methods.episode import UNLABELLED
from methods.registry import get
from methods.sequences import ContinualMethod, Prototypes, Scenario, TaskSequence
from tests.methods.helpers import (
    assert_batched_equals_loop,
    assert_tasks_are_independent,
    gradients,
    random_episode,
    setting_for,
)

NAMES = ["ht-continual", "ht-merged", "protonet-continual"]
SCENARIOS: tuple[Any, ...] = get_args(Scenario)
SMALL: dict[str, Any] = {"channels": 4, "transformer_layers": 2, "embedding": 8, "shared_features": 6}
WAYS = 2


def random_sequence(scenario: Any = "class-incremental", steps: int = 3, tasks: int = 2, seed: int = 0) -> TaskSequence:
    """Noise around a mean per class, in float64: two ways, two shots and one unlabelled image per class and step."""
    parts = [random_episode(tasks, WAYS, shots=2, queries=2, unlabelled=1, seed=seed + step) for step in range(steps)]
    shift = [0 if scenario == "mini-batch" else WAYS * step for step in range(steps)]
    labels = [p.support_labels + s * (p.support_labels != UNLABELLED) for p, s in zip(parts, shift, strict=True)]
    asked = parts[:1] if scenario == "mini-batch" else parts
    return TaskSequence(
        support_images=torch.cat([p.support_images for p in parts], dim=1),
        support_labels=torch.cat(labels, dim=1),
        query_images=torch.cat([p.query_images for p in asked], dim=1),
        query_labels=torch.cat([p.query_labels + s for p, s in zip(asked, shift, strict=False)], dim=1),
        ways=WAYS * len(asked),
        steps=steps,
        scenario=scenario,
    )


def build(name: str, **options: Any) -> Any:
    """A small float64 learner in eval mode, its running statistics not those it starts with."""
    torch.manual_seed(0)
    given = {"channels": 4} if name.startswith("protonet") else {**SMALL, **options}
    method = get(name).build(given, setting_for(random_episode(ways=WAYS))).double().eval()
    for name, buffer in method.named_buffers():
        buffer.uniform_(*((-0.3, 0.0) if name.endswith("mean") else (0.5, 1.5)))
    return method


def all_answers(method: ContinualMethod, sequence: TaskSequence) -> list[torch.Tensor]:
    return list(method.answers(sequence, range(1, sequence.steps + 1)))


def change_after(sequence: TaskSequence, step: int) -> TaskSequence:
    """Other support images and queries from `step` on (counted from 0); queries of one task stay as they are."""
    support, query = sequence.support_images.clone(), sequence.query_images.clone()
    support[:, support.shape[1] // sequence.steps * step :] = torch.rand(()) / 2
    if sequence.tasks_in_sequence > 1:
        query[:, query.shape[1] // sequence.steps * step :] = torch.rand(()) / 2
    return replace(sequence, support_images=support, query_images=query)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_first_steps_of_a_sequence(scenario):
    sequence = random_sequence(scenario)
    seen = sequence.first(2)
    tasks = 1 if scenario == "mini-batch" else 2
    assert (seen.steps, seen.ways, seen.task_ways) == (2, WAYS * tasks, WAYS)
    assert torch.equal(seen.support_images, sequence.support_images[:, :12])
    assert torch.equal(seen.query_labels, sequence.query_labels[:, : 4 * tasks])
    assert int(seen.support_labels.max()) == seen.ways - 1
    arrivals = list(sequence.arrivals())
    assert torch.equal(torch.cat([images for images, _ in arrivals], dim=1), sequence.support_images)
    for _, labels in arrivals:
        assert sorted(sequence.labels_within_tasks(labels)[0].tolist()) == [-1, -1, 0, 0, 1, 1]


def test_who_competes():
    logits = torch.arange(24.0).expand(1, 12, 24)[..., :6]
    for scenario in SCENARIOS[:2]:
        sequence = random_sequence(scenario, tasks=1)
        competing = sequence.compete(logits).isfinite()
        for query, label in enumerate(sequence.query_labels[0].tolist()):
            own = [label // WAYS * WAYS + way for way in range(WAYS)]
            expected = own if scenario == "task-incremental" else list(range(6))
            assert competing[0, query].nonzero().flatten().tolist() == expected


def test_prototypes_are_running_means_and_others_keep_theirs_bit_for_bit():
    draw = torch.Generator().manual_seed(0)
    parts = [torch.randn(2, 4, 5, generator=draw) for _ in range(3)]
    labels = [torch.tensor([[0, 1, 1, -1]]), torch.tensor([[2, 2, 3, 2]]), torch.tensor([[0, 1, 0, -1]])]
    known, ways = Prototypes.none(parts[0]), [2, 4, 4]
    history = []
    for embedded, label, count in zip(parts, labels, ways, strict=True):
        known = known.updated(embedded, label.expand(2, -1), count)
        history.append(known.means)
    assert torch.equal(history[1][:, :2], history[0]) and torch.equal(history[2][:, 2:], history[1][:, 2:])
    everything, all_labels = torch.cat(parts, dim=1), torch.cat(labels, dim=1)[0]
    for way in range(4):
        torch.testing.assert_close(known.means[:, way], everything[:, all_labels == way].mean(1))


@pytest.mark.parametrize("name", NAMES)
def test_an_episode_is_a_sequence_of_one_task_in_every_scenario(name):
    method, episode = build(name), random_episode(ways=WAYS, unlabelled=1)
    expected = method(episode)
    assert expected.shape == (3, 4, WAYS)
    fields = {key: value for key, value in vars(episode).items()}
    for scenario in SCENARIOS:
        assert torch.equal(method(TaskSequence(**fields, scenario=scenario)), expected)
    by_hand = F.cross_entropy(expected.flatten(0, 1), episode.query_labels.flatten())
    torch.testing.assert_close(method.loss(episode, 0).total, by_hand, rtol=1e-12, atol=0)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", NAMES)
def test_later_tasks_change_nothing_before_them(name, scenario):
    assert_later_tasks_change_nothing_before_them(build(name), random_sequence(scenario))


def assert_later_tasks_change_nothing_before_them(method, sequence):
    before, after = all_answers(method, sequence), all_answers(method, change_after(sequence, 2))
    for step in (0, 1):
        torch.testing.assert_close(after[step], before[step], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(after[2], before[2])
    shorter = all_answers(method, sequence.first(2))
    for left, right in zip(shorter, before[:2], strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", NAMES)
def test_forward_is_the_last_answer_and_the_loss_the_mean_over_pairs(name, scenario):
    method, sequence = build(name), random_sequence(scenario)
    answers = all_answers(method, sequence)
    torch.testing.assert_close(method(sequence), answers[-1])
    pairs = []
    for step, logits in enumerate(answers, start=1):
        for task in range(sequence.first(step).tasks_in_sequence):
            mine, labels = logits[:, 4 * task : 4 * task + 4], sequence.query_labels[:, 4 * task : 4 * task + 4]
            if scenario == "task-incremental":  # by hand: only the task's own prototypes, labels within the task
                mine, labels = mine[..., WAYS * task : WAYS * task + WAYS], labels - WAYS * task
            pairs.append(F.cross_entropy(mine.flatten(0, 1), labels.flatten()))
    assert len(pairs) == (3 if scenario == "mini-batch" else 6)
    torch.testing.assert_close(method.loss(sequence, 0).total, torch.stack(pairs).mean())


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("name", ["ht-continual", "ht-merged"])
@pytest.mark.parametrize("query_statistics", ["batch", "support", "image"])
def test_sequences_at_once_equal_sequences_one_by_one(name, scenario, query_statistics):
    assert_batched_equals_loop(build(name, query_statistics=query_statistics), random_sequence(scenario))


def test_sequences_at_once_equal_sequences_one_by_one_in_the_constant_embedding():
    assert_batched_equals_loop(build("protonet-continual"), random_sequence())


@pytest.mark.parametrize("name", NAMES)
def test_sequences_are_independent(name):
    assert_tasks_are_independent(build(name), random_sequence())


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name):
    found = gradients(build(name).train(), random_sequence())
    # Embeddings are compared by differences: what the last layer adds to prototypes and queries alike cancels. So does
    # a bias in front of a normalisation by the statistics of the images themselves.
    last = {"convolutions.3.norm.offset", "blocks.3.offset"}
    cancelled = last | {n for n in found if n.endswith("convolution.bias")}
    assert {n for n, gradient in found.items() if gradient is None or gradient.abs().max() < 1e-9} <= cancelled


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_constant_embedding_forgets_nothing(scenario):
    """In task-incremental sequences the answers on a task never change; elsewhere only the competitors do."""
    method, sequence = build("protonet-continual"), random_sequence(scenario)
    answers = all_answers(method, sequence)
    first = answers[0]
    for later in answers[1:]:
        same = torch.allclose(later[:, :4, :WAYS], first, rtol=1e-12)
        assert same == (scenario != "mini-batch")
    if scenario == "task-incremental":
        assert bool((answers[-1][:, :4, WAYS:] == -torch.inf).all())


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_constant_embedding_is_a_protonet_on_everything_seen(scenario):
    method, sequence = build("protonet-continual"), random_sequence(scenario)
    plain: Any = get("protonet").build({"channels": 4}, setting_for(random_episode(ways=WAYS))).double().eval()
    plain.load_state_dict(method.state_dict())
    for step, logits in enumerate(all_answers(method, sequence), start=1):
        seen = sequence.first(step)
        torch.testing.assert_close(logits, seen.compete(plain(seen)))
