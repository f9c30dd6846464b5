"""Proposals of one method, without running anything."""

from typing import Any

import pytest

from benchmark.cells.config import CellConfig, TuneConfig
from benchmark.cells.result import Failure, Result, Training
from benchmark.tuning.search import Search, Trial
from benchmark.tuning.space import search_space
from methods.search import Range
from tests.benchmark.trained_runs import configure

pytest.importorskip("optuna", reason="pip install 'htbench[tune]'")


def result(trial: Trial, accuracy: float | None) -> Result:
    if accuracy is None:
        return Result(key=trial.config.key, config={}, failure=Failure(kind="diverged", reason="not finite"))
    numbers = {"steps": 4, "episodes": 16, "seconds": 1, "wall_seconds": 1, "episodes_per_second": 16, "best_step": 4}
    training = Training.model_validate({**numbers, "best_validation_accuracy": accuracy})
    return Result(key=trial.config.key, config={}, training=training)


def skill(trial: Trial) -> float | None:
    """Best at a learning rate of 0.01; fails above 0.02."""
    rate = trial.config.train.learning_rate
    return None if rate > 0.02 else 1 - abs(rate - 0.01)


def searched_by(method: str, settings: TuneConfig, *, backwards: bool = False, **changes: Any) -> Search:
    search = Search(configure(method, **changes), {"seed": (0, 1)}, settings)
    while batch := search.propose():
        assert search.propose() == []  # nothing more while these are out
        for trial in reversed(batch) if backwards else batch:
            search.tell(trial, result(trial, skill(trial)))
    return search


def test_as_many_trials_as_asked_for_and_the_grids_own_setting_first() -> None:
    search = searched_by("maml", TuneConfig(trials=14, steps=7))
    assert search.complete and len(search.trials) == 14
    assert search.trials[0].point == {
        "train.learning_rate": 1e-3,
        "model.inner_steps": 5,
        "model.inner_learning_rate": 0.1,
    }
    for trial in search.trials:
        assert 1e-4 <= trial.config.train.learning_rate <= 3e-2
        assert 1 <= trial.config.model.get("inner_steps", 5) <= 5
        assert 0.01 <= trial.config.model.get("inner_learning_rate", 0.1) <= 1
        assert trial.config.train.steps == 7 and trial.config.tuning
    assert len({trial.config.key for trial in search.trials}) == 14
    best = max((trial for trial in search.trials if trial.accuracy), key=lambda trial: trial.accuracy or 0)
    assert search.best is best


def test_failed_trials_count_and_do_not_win() -> None:
    search = searched_by("protonet", TuneConfig(trials=12))
    failed = [trial for trial in search.trials if trial.failure]
    assert failed and all(trial.config.train.learning_rate > 0.02 for trial in failed)
    assert len(search.finished) + len(failed) == 12
    everything = Search(configure("protonet"), {}, TuneConfig(trials=2))
    for trial in everything.propose():
        everything.tell(trial, result(trial, None))
    assert everything.complete and everything.best is None


def test_proposals_depend_on_outcomes_and_seed_but_not_on_who_ends_first() -> None:
    """So an interrupted search, whatever its workers, finds its trials on disk again."""
    forwards = searched_by("rfs", TuneConfig(trials=14))
    backwards = searched_by("rfs", TuneConfig(trials=14), backwards=True)
    other = searched_by("rfs", TuneConfig(trials=14, seed=1))
    points = [[trial.point for trial in search.trials] for search in (forwards, backwards, other)]
    assert points[0] == points[1] != points[2]
    assert points[0][0] == points[2][0]


def test_later_trials_come_nearer_to_the_optimum() -> None:
    """Half of random rates in the logarithm of 1e-4 to 3e-2 are below 0.0017."""
    search = searched_by("protonet", TuneConfig(trials=36))
    late = [trial.config.train.learning_rate for trial in search.trials[24:]]
    assert sum(0.003 < rate < 0.02 for rate in late) >= 8


def test_what_the_grid_varies_or_the_name_fixes_is_not_searched() -> None:
    held = search_space(configure("maml"), {"model.inner_steps": (1, 5), "train.learning_rate": (1e-3, 1e-2)})
    assert list(held) == ["model.inner_learning_rate"]
    assert list(search_space(configure("protonet"), {})) == ["train.learning_rate"]


def test_the_grids_own_value_is_always_inside() -> None:
    train = {"batch": 4, "steps": 4, "learning_rate": 0.2}
    own = configure("rfs", model={"support_augmentations": 2, "C": 1000.0}, train=train)
    assert search_space(own, {}) == {
        "train.learning_rate": Range(1e-4, 0.2, log=True),
        "model.C": Range(0.01, 1000.0, log=True),
        "model.support_augmentations": (2, 0, 4, 8),
    }


def test_a_trial_is_the_same_whatever_the_test_is() -> None:
    def key(config: CellConfig) -> str:
        return Search(config, {}, TuneConfig()).propose()[1].config.key

    assert key(configure("protonet")) == key(configure("protonet", test={"episodes": 7, "seed": 1, "ensemble": 1}))
    assert key(configure("protonet")) != key(configure("protonet", test={"queries": 7}))
