"""Time per task, with a clock that the test moves."""

import pytest
import torch
from torch import Tensor

from benchmark import data
from benchmark.cells.config import EpisodesConfig
from benchmark.episodes.draw import stream
from benchmark.scoring import scoring
from methods import Episode, Method
from tests.benchmark.trained_runs import configure


class Takes(Method):
    """Takes 3 s for the first call, then 0.2 s for each of its tasks."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.calls = 100.0, list[int]()

    def forward(self, episode: Episode) -> Tensor:
        self.now += 0.2 * episode.tasks if self.calls else 3.0
        self.calls.append(episode.tasks)
        return torch.zeros(*episode.query_labels.shape, episode.ways)

    def solver_parameters(self, ways: int) -> int:
        return 0


def test_seconds_per_task_are_those_of_the_method_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    method = Takes()
    monkeypatch.setattr(scoring, "clock", lambda device: method.now)
    images = data.load(configure("protonet").dataset).splits["test"]
    scored = scoring.score(method, images, EpisodesConfig(ways=5, shots=1, queries=2), stream("test", 0), 35)
    assert method.calls == [10, 10, 10, 5]
    assert scored.seconds_per_task == pytest.approx(0.2)
    assert scored.accuracy.shape == (35,)
