from typing import Any

import pytest
from pydantic import ValidationError

from benchmark.cells.config import CellConfig, EpisodesConfig

BASE: dict[str, Any] = {
    "dataset": {"name": "glyphs"},
    "episodes": {"ways": 5, "shots": 1, "queries": 5},
    "method": "protonet",
    "model": {"channels": 8},
    "train": {"steps": 10},
}


def cell(**sections: Any) -> CellConfig:
    """The base cell with sections merged over it."""
    merged = {k: {**BASE.get(k, {}), **v} if isinstance(v, dict) else v for k, v in sections.items()}
    return CellConfig.model_validate({**BASE, **merged})


@pytest.mark.parametrize(
    "same",
    [
        {"train": {"optimizer": "adam", "learning_rate": 0.001}},
        {"train": {"momentum": 0.9}},
        {"train": {"decay_rate": 0.5, "decay_steps": 3}},
        {"train": {"ways": 5, "shots": 1, "queries": 5}},
        {"test": {"queries": 5}},
        {"test": {"episodes": 600, "queries": 5}},
        {"test": {"tasks": 1}},
        {"episodes": {"tasks": 1, "scenario": "mini-batch"}},
        {"timeout_minutes": 3.0},
        {"plugins": ["somewhere/else.py"]},
    ],
)
def test_what_changes_no_number_changes_no_key(same: dict[str, Any]) -> None:
    assert cell(**same).key == cell().key


@pytest.mark.parametrize(
    "other",
    [
        {"train": {"optimizer": "sgd"}},
        {"train": {"ways": 6}},
        {"train": {"schedule": "exponential"}},
        {"test": {"queries": 6}},
        {"test": {"tasks": 2}},
        {"episodes": {"tasks": 2}},
        {"test": {"seed": 1}},
        {"seed": 1},
        {"model": {"channels": 4}},
        {"dataset": {"seed": 1}},
    ],
)
def test_what_changes_a_number_changes_the_key(other: dict[str, Any]) -> None:
    assert cell(**other).key != cell().key


def test_momentum_counts_where_it_is_used() -> None:
    sgd = {"optimizer": "sgd"}
    assert cell(train={**sgd, "momentum": 0.9}).key != cell(train=sgd).key
    decaying = {"schedule": "exponential"}
    assert cell(train={**decaying, "decay_rate": 0.5}).key != cell(train=decaying).key


def test_a_budget_is_steps_or_minutes() -> None:
    for train in ({}, {"steps": 1, "minutes": 1.0}):
        with pytest.raises(ValidationError, match="exactly one of 'steps' and 'minutes'"):
            CellConfig.model_validate({**BASE, "train": train})


def test_test_and_training_episodes_differ_only_where_asked() -> None:
    config = cell(train={"ways": 20, "queries": 3}, test={"queries": 15})
    assert config.train_episodes == EpisodesConfig(ways=20, shots=1, queries=3)
    assert config.test_episodes == EpisodesConfig(ways=5, shots=1, queries=15)
