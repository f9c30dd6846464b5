"""Only sound answers are scored: their shape and finiteness, hidden labels, an order that tells nothing."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark import data
from benchmark.cells.config import EpisodesConfig
from benchmark.cells.folder import CellFolder
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import stream
from benchmark.episodes.exam import examine
from benchmark.episodes.sampling import sample
from benchmark.execution.cell import run
from benchmark.scoring import scoring
from benchmark.scoring.ensemble import Ensemble
from benchmark.scoring.sound import UnsoundError, check_weights
from methods import UNLABELLED, Episode, Method, registry
from methods.method import Setting
from methods.sequences import TaskSequence
from tests.benchmark.trained_runs import configure

SHAPE = EpisodesConfig(ways=5, shots=1, queries=3)
TEST = stream("test", 7)


@pytest.fixture(scope="module")
def images() -> ClassImages:
    return data.load(configure("protonet").dataset).splits["test"]


class Answers(Method):
    """Whatever a test wants it to answer."""

    def __init__(self, answer: Callable[[Episode], Tensor]) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, episode: Episode) -> Tensor:
        return self.answer(episode)

    def solver_parameters(self, ways: int) -> int:
        return 0


def one_hot(labels: Tensor, ways: int) -> Tensor:
    return torch.nn.functional.one_hot(labels.clamp_min(0), ways).float()


def nan_in_one_place(episode: Episode) -> Tensor:
    logits = one_hot(episode.query_labels, episode.ways)
    logits[-1, -1, -1] = torch.nan
    return logits


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (nan_in_one_place, "1 of 750 logits are not finite"),
        (lambda e: one_hot(e.query_labels, e.ways) / 0, "not finite"),
        (lambda e: one_hot(e.query_labels, e.ways + 1), r"\(10, 15, 5\), found \(10, 15, 6\)"),
        (lambda e: one_hot(e.query_labels, e.ways)[:, :1], "should be"),
        (lambda e: one_hot(e.query_labels, e.ways).long(), "floating-point"),
        (lambda e: None, "a tensor"),
    ],
)
def test_unsound_answers_are_not_scored(images: ClassImages, answer: Callable[[Episode], Tensor], message: str) -> None:
    with pytest.raises(UnsoundError, match=message):
        scoring.accuracies(Answers(answer), images, SHAPE, TEST, 10)
    with pytest.raises(UnsoundError):
        scoring.accuracies(Ensemble([Answers(answer)]), images, SHAPE, TEST, 10)


def test_reading_labels_or_positions_gains_nothing(images: ClassImages) -> None:
    """Chance is 20 %; without the hiding and the shuffling both would score 100 %."""
    places = torch.arange(15) // 3
    by_position = Answers(lambda e: one_hot(places.expand(e.tasks, -1), e.ways))
    by_label = Answers(lambda e: one_hot(e.query_labels, e.ways))
    for method in (by_position, by_label):
        # 1500 answers: the standard error of 20 % is 1 point
        assert abs(scoring.accuracies(method, images, SHAPE, TEST, 100).mean() - 0.2) < 0.05
    some = sample(images, SHAPE, TEST, 0, 4)
    assert scoring.measure_order_dependence(by_position, some)
    assert not scoring.measure_order_dependence(registry.get("protonet").build({"channels": 4}, setting()), some)


def setting() -> Setting:
    return Setting(5, 1, (1, 28, 28), 60)


@pytest.mark.parametrize("statistics", ["batch", "support"])
def test_accuracy_is_that_of_the_unshuffled_episodes(images: ClassImages, statistics: str) -> None:
    """Each episode's accuracy against a plain loop over the episodes as drawn, labels and all."""
    torch.manual_seed(0)
    method = registry.get("ht-logits").build({"channels": 4, "query_statistics": statistics}, setting()).eval()
    found = scoring.accuracies(method, images, SHAPE, TEST, 25)
    with torch.inference_mode():
        episodes = [sample(images, SHAPE, TEST, index, 1) for index in range(25)]
        plain = [float((method(e).argmax(-1) == e.query_labels).float().mean()) for e in episodes]
    assert np.array_equal(found, np.array(plain, np.float32))


def test_the_order_depends_on_stream_and_index_alone(images: ClassImages) -> None:
    together = examine(sample(images, SHAPE, TEST, 0, 6), TEST, 0)
    assert bool((together.episode.query_labels == UNLABELLED).all())
    for index in range(6):
        alone = examine(sample(images, SHAPE, TEST, index, 1), TEST, index)
        assert torch.equal(alone.episode.query_images[0], together.episode.query_images[index])
        assert torch.equal(alone.labels[0], together.labels[index])
        assert alone.labels[0].bincount().tolist() == [3] * 5
    assert len({tuple(row.tolist()) for row in together.labels}) == 6


def test_images_and_labels_are_shuffled_alike(images: ClassImages) -> None:
    plain = sample(images, SHAPE, TEST, 3, 1)
    exam = examine(plain, TEST, 3)
    known = {image.numpy().tobytes(): int(label) for image, label in
             zip(plain.query_images[0], plain.query_labels[0], strict=True)}  # fmt: skip
    assert [known[image.numpy().tobytes()] for image in exam.episode.query_images[0]] == exam.labels[0].tolist()


@pytest.mark.parametrize("scenario", ["class-incremental", "task-incremental"])
def test_queries_of_a_sequence_stay_within_their_task(images: ClassImages, scenario: str) -> None:
    shape = EpisodesConfig.model_validate({"ways": 2, "shots": 1, "queries": 3, "tasks": 3, "scenario": scenario})
    plain = TaskSequence.of(sample(images, shape, TEST, 0, 8))
    exam = examine(plain, TEST, 0)
    assert torch.equal(exam.labels // 2, plain.query_labels // 2)
    told = exam.labels // 2 * 2 if scenario == "task-incremental" else torch.full_like(exam.labels, UNLABELLED)
    assert torch.equal(exam.episode.query_labels, told)


def test_weights_are_checked(images: ClassImages) -> None:
    method = registry.get("protonet").build({"channels": 4}, setting())
    check_weights(method)
    with torch.no_grad():
        next(method.parameters()).flatten()[3] = torch.inf
    with pytest.raises(UnsoundError, match="not finite"):
        check_weights(method)


class NanInEval(Method):
    """Its logits are NaN outside training."""

    def __init__(self, inner: Method) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, episode: Episode) -> Tensor:
        logits: Tensor = self.inner(episode)
        return logits if self.training else logits * torch.nan

    def solver_parameters(self, ways: int) -> int:
        return 0


def test_a_cell_without_sound_answers_fails_and_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = registry.Registered.build
    monkeypatch.setattr(
        registry.Registered, "build", lambda self, options, setting: NanInEval(build(self, options, setting))
    )
    store = CellFolder(tmp_path / "cell")
    store.create(configure("protonet"))
    result = run(store, "cpu")
    assert result.failure is not None and result.failure.kind == "unsound" and result.test is None
    assert "logits are not finite" in result.failure.reason
    assert not store.best_checkpoint.exists()


SEMI = EpisodesConfig(ways=5, shots=1, unlabelled=3, distractors=2, queries=3)


def places_of(shown: Tensor, plain: Tensor) -> list[int]:
    """Where each of the images shown (B, ...) stands in `plain` (B, ...), which has each of them once."""
    known = {image.numpy().tobytes(): place for place, image in enumerate(plain)}
    assert len(known) == len(plain)
    return [known[image.numpy().tobytes()] for image in shown]


def test_places_of_unlabelled_images_tell_nothing(images: ClassImages) -> None:
    """As drawn they come class by class, distractors last. Chance is 1 in 7; unshuffled, all would be right."""
    plain = sample(images, SEMI, TEST, 0, 100)
    exam = examine(plain, TEST, 0).episode
    assert torch.equal(exam.support_labels, plain.support_labels)
    assert torch.equal(exam.support_images[:, :5], plain.support_images[:, :5])
    right = 0
    for shown, drawn in zip(exam.support_images[:, 5:], plain.support_images[:, 5:], strict=True):
        places = places_of(shown, drawn)
        assert sorted(places) == list(range(21))
        right += sum(place // 3 == at // 3 for at, place in enumerate(places))
    assert abs(right / 2100 - 1 / 7) < 0.03  # a standard error is 0.008
    alone = examine(sample(images, SEMI, TEST, 41, 1), TEST, 41).episode
    assert torch.equal(alone.support_images[0], exam.support_images[41])


def test_the_queries_order_tells_nothing_of_the_unlabelled_images(images: ClassImages) -> None:
    """With as many queries as unlabelled images, the same permutation would give a query away by its neighbour."""
    shape = SEMI.model_copy(update={"distractors": 0})
    plain = sample(images, shape, TEST, 0, 60)
    exam = examine(plain, TEST, 0)
    same = 0
    for task, labels in enumerate(exam.labels.tolist()):
        places = places_of(exam.episode.support_images[task, 5:], plain.support_images[task, 5:])
        same += sum(place // 3 == label for place, label in zip(places, labels, strict=True))
    assert abs(same / 900 - 1 / 5) < 0.05


@pytest.mark.parametrize("scenario", ["class-incremental", "task-incremental", "mini-batch"])
def test_unlabelled_images_of_a_sequence_stay_within_their_step(images: ClassImages, scenario: str) -> None:
    shape = EpisodesConfig.model_validate(
        {"ways": 2, "shots": 1, "unlabelled": 2, "queries": 1, "tasks": 2, "scenario": scenario}
    )
    plain = TaskSequence.of(sample(images, shape, TEST, 0, 8))
    exam = TaskSequence.of(examine(plain, TEST, 0).episode)
    moved = False
    for (shown, labels), (drawn, drawn_labels) in zip(exam.arrivals(), plain.arrivals(), strict=True):
        assert torch.equal(labels, drawn_labels)
        for some, all_of_them in zip(shown, drawn, strict=True):
            places = places_of(some, all_of_them)
            assert places[:2] == [0, 1]
            assert sorted(places) == list(range(6))
            moved |= places != list(range(6))
    assert moved


def test_dependence_on_the_order_of_unlabelled_images_is_measured(images: ClassImages) -> None:
    def first_unlabelled(episode: Episode) -> Tensor:
        similar = (episode.query_images * episode.support_images[:, 5:6]).mean((-1, -2, -3))
        return similar[..., None] * torch.arange(1.0, 6)

    some = sample(images, SEMI, TEST, 0, 4)
    assert scoring.measure_order_dependence(Answers(first_unlabelled), some)


@pytest.mark.parametrize("name", [n for n in registry.built_in_names() if n != "maml-l2l"])
def test_no_built_in_method_depends_on_the_order(images: ClassImages, name: str) -> None:
    torch.manual_seed(0)
    fields = registry.get(name).learner.Config.__dataclass_fields__
    method = registry.get(name).build({"channels": 4} if "channels" in fields else {}, setting())
    assert not scoring.measure_order_dependence(method, sample(images, SEMI, TEST, 0, 4))
