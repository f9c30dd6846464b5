"""What is asked of a grid's cells before they run."""

from dataclasses import dataclass

import pytest
import torch

from benchmark import data
from benchmark.cells.config import CellConfig
from benchmark.data.configs import DatasetConfig
from benchmark.data.dataset import Dataset
from benchmark.errors import UserError
from benchmark.execution.plan import Datasets, measure_speed, preflight
from methods import Episode, Method, Setting, registry
from tests.benchmark.trained_runs import GLYPHS, configure


def cells(shots: tuple[int, ...] = (1, 2)) -> list[CellConfig]:
    """Of two datasets, alternating as the axes of a grid do."""
    datasets = [GLYPHS, {**GLYPHS, "validation_classes": 12}]
    return [
        configure("protonet", dataset=dataset, episodes={"ways": 5, "shots": n, "queries": 3})
        for n in shots
        for dataset in datasets
    ]


def test_each_dataset_is_loaded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[DatasetConfig] = []

    def load(config: DatasetConfig) -> Dataset:
        loaded.append(config)
        return original(config)

    original = data.load
    monkeypatch.setattr(data, "load", load)
    preflight(cells())
    assert loaded == [config.dataset for config in cells()[:2]]


def test_every_shape_is_checked_on_its_own_dataset() -> None:
    """Eleven ways are possible on the second dataset only."""
    wide = {"ways": 11, "shots": 1, "queries": 3}
    preflight([*cells(), configure("protonet", dataset=cells()[1].dataset, episodes=wide)])
    with pytest.raises(UserError, match="11 ways are impossible: the validation split has 10 classes"):
        preflight([*cells(), configure("protonet", dataset=cells()[0].dataset, episodes=wide)])


@registry.register("learns-nothing", "the same answer to everything")
class LearnsNothing(Method):
    @dataclass(frozen=True)
    class Config:
        pass

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__()

    def forward(self, episode: Episode) -> torch.Tensor:
        return torch.zeros(*episode.query_labels.shape, episode.ways)

    def solver_parameters(self, ways: int) -> int:
        return 0


def test_what_learns_nothing_takes_no_time() -> None:
    assert list(measure_speed(configure("learns-nothing"), Datasets()).values()) == [0.0]
