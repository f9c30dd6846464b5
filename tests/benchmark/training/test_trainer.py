"""Training and scoring, in this process and on small glyphs."""

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import data
from benchmark.cells.config import CellConfig, EpisodesConfig, TrainConfig
from benchmark.cells.metrics import VALIDATION_ACCURACY, MetricsLine
from benchmark.data.configs import OmniglotConfig
from benchmark.data.dataset import Dataset
from benchmark.episodes.draw import stream
from benchmark.episodes.sampling import sample
from benchmark.scoring import scoring
from benchmark.training.build import build
from benchmark.training.optimizer import learning_rate
from benchmark.training.trainer import DivergedError, Trainer
from methods import Method, registry
from tests.benchmark.helpers import SCRATCH_METHODS, untimed

registry.load_plugin(SCRATCH_METHODS)
GLYPHS = {"name": "glyphs", "train_classes": 30, "validation_classes": 10, "test_classes": 10, "images_per_class": 10}


class Notebook:
    """Keeps what training hands over, in memory."""

    def __init__(self) -> None:
        self.lines: list[MetricsLine] = []
        self.best: list[dict[str, Any]] = []
        self.members: dict[int, dict[str, Any]] = {}
        self.states: dict[int, dict[str, Any]] = {}

    def log(self, line: MetricsLine) -> None:
        """Append a line."""
        self.lines.append(line)

    def keep_best(self, step: int, weights: dict[str, Any]) -> None:
        """Copy the weights."""
        self.best.append(copy.deepcopy(weights))

    def keep_member(self, step: int, weights: dict[str, Any]) -> None:
        """Copy the weights, by step."""
        self.members[step] = copy.deepcopy(weights)

    def keep_last(self, state: dict[str, Any]) -> None:
        """Copy the state, by step."""
        self.states[state["progress"]["step"]] = copy.deepcopy(state)


def configure(method: str = "linear-mean", model: dict[str, Any] | None = None, **train: Any) -> CellConfig:
    """A cell of a few steps."""
    budget = {"batch": 4, "steps": 30, "validate_every": 10, "validation_episodes": 20}
    if "minutes" in train:
        del budget["steps"]
    return CellConfig.model_validate(
        {
            "dataset": GLYPHS,
            "episodes": {"ways": 3, "shots": 1, "queries": 4},
            "method": method,
            "model": model or {},
            "train": {**budget, **train},
        }
    )


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return data.load(configure().dataset)


def trainer_for(config: CellConfig, dataset: Dataset) -> tuple[Trainer, Method]:
    method = build(config, dataset)
    return Trainer(config, method, dataset.splits["train"], dataset.splits["validation"]), method


def test_continued_training_equals_uninterrupted_training(dataset: Dataset) -> None:
    config = configure(model={"dropout": 0.3})
    whole, notes = trainer_for(config, dataset)[0], Notebook()
    whole.run(notes, checkpoint_seconds=0)

    torch.manual_seed(99)
    second, rest = trainer_for(config, dataset)[0], Notebook()
    second.restore(notes.states[13])  # between two validations: the sums of the losses must survive too
    second.run(rest)

    for name, value in whole.method.state_dict().items():
        assert torch.equal(value, second.method.state_dict()[name])
    assert [untimed(line) for line in notes.lines if line.step > 10] == [untimed(line) for line in rest.lines]


def test_the_best_weights_are_those_of_the_best_validation(dataset: Dataset) -> None:
    trainer, notes = trainer_for(configure(learning_rate=0.3), dataset)[0], Notebook()
    trainer.run(notes)
    accuracy = [line.values[VALIDATION_ACCURACY] for line in notes.lines]
    assert trainer.progress.best_accuracy == max(accuracy)
    assert trainer.progress.best_step == 10 * (1 + accuracy.index(max(accuracy)))
    trainer.method.load_state_dict(notes.best[-1])
    again = scoring.accuracies(
        trainer.method, dataset.splits["validation"], trainer.config.test_episodes, stream("validation", 0), 20
    )
    assert float(again.mean()) == max(accuracy)


def test_minutes_become_steps_without_touching_the_method(dataset: Dataset) -> None:
    trainer, method = trainer_for(configure(model={"dropout": 0.3}, minutes=0.02), dataset)
    before, random = copy.deepcopy(method.state_dict()), torch.get_rng_state()
    trainer.calibrate()
    assert trainer.progress.step == 0
    assert 10 < trainer.progress.steps < 100_000
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in method.state_dict().items())


def test_a_loss_that_is_not_a_number_ends_training(dataset: Dataset) -> None:
    with pytest.raises(DivergedError, match=r"not finite at step 10 .*lower train.learning_rate"):
        trainer_for(configure("diverges"), dataset)[0].run(Notebook())


@pytest.mark.parametrize("clip", [{"clip": 1e-3}, {"clip_value": 1e-5}])
def test_gradients_are_clipped_together_or_one_by_one(dataset: Dataset, clip: dict[str, Any]) -> None:
    config = configure("protonet", optimizer="sgd", learning_rate=1.0, schedule="constant", **clip)
    trainer, method = trainer_for(config, dataset)
    before = {name: p.detach().clone() for name, p in method.named_parameters()}
    trainer.train_step()
    moved = torch.cat([(p - before[name]).detach().flatten() for name, p in method.named_parameters()])
    size = moved.norm() if "clip" in clip else moved.abs().max()
    assert float(size) == pytest.approx(next(iter(clip.values())), rel=1e-2)


def test_learning_rates() -> None:
    cosine = TrainConfig(steps=100, learning_rate=0.2)
    assert [learning_rate(cosine, step, 100) for step in (0, 50)] == pytest.approx([0.2, 0.1])
    assert learning_rate(cosine, 25, 100) == pytest.approx(0.1 * (1 + math.sqrt(0.5)))
    rising = TrainConfig(steps=100, learning_rate=0.2, schedule="constant", warmup_steps=4)
    assert [learning_rate(rising, step, 100) for step in range(5)] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.2])
    assert learning_rate(cosine.model_copy(update={"warmup_steps": 51}), 50, 100) == pytest.approx(0.1)
    script = TrainConfig(steps=4_000_000, schedule="exponential", learning_rate=0.02, optimizer="sgd")
    # The HyperTransformer's scripts end at 0.95 ** 40 = 0.1285 of their first rate.
    assert learning_rate(script, 4_000_000, 4_000_000) == pytest.approx(0.02 * 0.1285, rel=1e-3)


def test_scores_do_not_depend_on_how_episodes_are_grouped(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    config = configure("protonet")
    method = build(config, dataset)
    arguments = (method, dataset.splits["test"], config.test_episodes, stream("test", 1), 23)
    together = scoring.accuracies(*arguments)
    monkeypatch.setattr(scoring, "CHUNK", 7)
    assert np.array_equal(together, scoring.accuracies(*arguments))


@pytest.mark.parametrize(
    ("name", "model", "transductive"),
    [
        ("linear-mean", {}, False),
        ("protonet", {}, False),
        ("ht-all", {"channels": 4, "query_statistics": "batch"}, True),
        ("ht-all", {"channels": 4, "query_statistics": "support"}, False),
        ("ht-logits", {"channels": 4, "query_statistics": "batch"}, True),
    ],
)
def test_transduction_is_measured(dataset: Dataset, name: str, model: dict[str, Any], transductive: bool) -> None:
    config = configure(name, model)
    episode = sample(dataset.splits["validation"], config.test_episodes, stream("validation", 0), 0, 4)
    assert scoring.measure_transductive(build(config, dataset), episode) is transductive


def test_the_seed_decides_the_initial_weights(dataset: Dataset) -> None:
    def weights(seed: int) -> torch.Tensor:
        method = build(configure("protonet").model_copy(update={"seed": seed}), dataset)
        return torch.cat([p.detach().flatten() for p in method.parameters()])

    assert torch.equal(weights(0), weights(0))
    assert not torch.equal(weights(0), weights(1))


def test_protonet_learns(dataset: Dataset) -> None:
    """A hundred steps on thirty glyphs raise the accuracy on ten others well beyond what chance allows."""
    config = configure("protonet", steps=100, learning_rate=3e-3, validate_every=100)
    trainer, method = trainer_for(config, dataset)
    arguments = (dataset.splits["test"], config.test_episodes, stream("test", 0), 200)
    before = scoring.accuracies(method, *arguments)
    trainer.run(Notebook())
    gain = scoring.accuracies(method, *arguments) - before
    assert gain.mean() > 0.03 + 2 * gain.std() / math.sqrt(len(gain))


def test_protonet_learns_real_characters(omniglot_root: Path) -> None:
    """Eighty steps on Omniglot, 8 channels: far above an untrained embedding (about 45 %) on unseen characters."""
    config = configure("protonet", steps=80, batch=16, learning_rate=3e-3, validate_every=80).model_copy(
        update={"dataset": OmniglotConfig(name="omniglot"), "episodes": EpisodesConfig(ways=5, shots=1, queries=5)}
    )
    omniglot = data.load(config.dataset, omniglot_root)
    trainer, method = trainer_for(config, omniglot)
    trainer.run(Notebook())
    scores = scoring.accuracies(method, omniglot.splits["test"], config.test_episodes, stream("test", 0), 200)
    assert scores.mean() > 0.6
