"""Task sequences as they are drawn."""

from typing import Any

import pytest
import torch

from benchmark.cells.config import EpisodesConfig
from benchmark.episodes.draw import stream
from benchmark.episodes.sampling import check_possible, fingerprint, sample
from benchmark.errors import UserError
from methods.sequences import TaskSequence
from tests.benchmark.episodes.test_sampling import numbered

SCENARIOS: list[Any] = ["class-incremental", "task-incremental", "mini-batch"]
IMAGES = numbered([30] * 12, "per-class")


def shape(scenario: Any, tasks: int = 3, unlabelled: int = 1) -> EpisodesConfig:
    return EpisodesConfig(ways=3, shots=2, queries=4, unlabelled=unlabelled, tasks=tasks, scenario=scenario)


def drawn(scenario: Any, count: int = 50, **changes: Any) -> TaskSequence:
    sequence = sample(IMAGES, shape(scenario, **changes), stream("test", 0), 0, count, train=True)
    assert isinstance(sequence, TaskSequence)
    return sequence


def identity(images: torch.Tensor) -> torch.Tensor:
    """Class and number of each drawing (..., 2); they are in one corner's pixels, wherever that was turned to."""
    corners = [torch.rot90(images, -turns, dims=(-2, -1))[..., 0, 0, :2] for turns in range(4)]
    return (torch.stack(corners).amax(0) * 255).round().long()


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("unlabelled", [0, 1])
def test_every_step_brings_its_own_classes_and_images(scenario, unlabelled):
    sequence = drawn(scenario, unlabelled=unlabelled)
    assert (sequence.steps, sequence.scenario) == (3, scenario)
    assert sequence.ways == (3 if scenario == "mini-batch" else 9)
    for step, (images, labels) in enumerate(sequence.arrivals()):
        assert images.shape[1] == labels.shape[1] == 3 * (2 + unlabelled)
        first = 0 if scenario == "mini-batch" else 3 * step
        for t in range(50):
            counts = torch.bincount(labels[t] + 1, minlength=sequence.ways + 1).tolist()
            expected = [0] * (sequence.ways + 1)
            expected[0] = 3 * unlabelled
            expected[first + 1 : first + 4] = [2, 2, 2]
            assert counts == expected


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_classes_are_distinct_and_no_image_comes_twice(scenario):
    images = numbered([30] * 12)
    sequence = sample(images, shape(scenario), stream("test", 0), 0, 50, train=True)
    assert isinstance(sequence, TaskSequence) and sequence.classes is not None
    for t in range(50):
        classes = sequence.classes[t]
        assert len(set(classes.tolist())) == sequence.ways
        pixels = torch.cat([sequence.support_images[t], sequence.query_images[t]])[:, 0, 0, :2]
        seen = [tuple(pair) for pair in (pixels * 255).round().long().tolist()]
        assert len(set(seen)) == len(seen) == 3 * 3 * 3 + (12 if scenario == "mini-batch" else 36)
        labels = torch.cat([sequence.support_labels[t], sequence.query_labels[t]])
        shown = (pixels[:, 0] * 255).round().long()
        assert torch.equal(shown[labels >= 0], classes[labels[labels >= 0]])
        # An unlabelled image arrives with the task its class belongs to.
        for arriving, arriving_labels in sequence.arrivals():
            known, unlabelled = (arriving[t, :, 0, 0, 0] * 255).round().long(), arriving_labels[t] < 0
            assert set(known[unlabelled].tolist()) == set(known[~unlabelled].tolist())
    assert torch.equal(sequence.query_labels, sequence.query_labels.sort(dim=1).values)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_an_index_is_the_same_sequence_in_every_batch(scenario):
    whole, part = drawn(scenario, 7), sample(IMAGES, shape(scenario), stream("test", 0), 4, 3)
    for name in ("support_images", "support_labels", "query_images", "query_labels"):
        assert torch.equal(getattr(whole, name)[4:], getattr(part, name))


@pytest.mark.parametrize("scenario", SCENARIOS[:2])
def test_a_longer_sequence_begins_as_a_shorter_one(scenario):
    longer, shorter = drawn(scenario, tasks=4).first(3), drawn(scenario, tasks=3)
    for name in ("support_images", "support_labels", "query_images", "query_labels", "classes"):
        assert torch.equal(getattr(longer, name), getattr(shorter, name))


def test_one_task_is_an_ordinary_episode():
    plain = EpisodesConfig(ways=3, shots=2, queries=4, unlabelled=1)
    for scenario in SCENARIOS:
        episode = sample(IMAGES, shape(scenario, tasks=1), stream("test", 0), 0, 5)
        assert not isinstance(episode, TaskSequence)
        assert torch.equal(episode.support_images, sample(IMAGES, plain, stream("test", 0), 0, 5).support_images)


def test_the_fingerprint_sees_length_and_scenario():
    shapes = [shape("class-incremental", 3), shape("class-incremental", 4), *(shape(s, 3) for s in SCENARIOS[1:])]
    assert len({fingerprint("data", IMAGES, one, stream("test", 0), 10) for one in shapes}) == 4


@pytest.mark.parametrize(
    ("impossible", "message"),
    [
        (shape("class-incremental", 5), "sequences of 5 tasks of 3 ways are impossible: the test split has 12 classes"),
        (shape("mini-batch", 9), r"need 31 images of each class \(18 shots \+ 9 unlabelled \+ 4 queries\)"),
        (shape("mini-batch", 2).model_copy(update={"distractors": 1}), "distractors: 1 is for single tasks"),
    ],
)
def test_impossible_sequences_are_refused(impossible: EpisodesConfig, message: str):
    with pytest.raises(UserError, match=message):
        check_possible(IMAGES, impossible, "test")
    check_possible(IMAGES, shape("mini-batch", 8), "test")
    check_possible(IMAGES, shape("task-incremental", 4), "test")
