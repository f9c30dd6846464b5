"""The end of a cell: the trained method on the frozen test episodes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.cells.config import CellConfig
from benchmark.cells.result import Continual, EnsembleScore, TestScore
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import stream
from benchmark.episodes.exam import examine
from benchmark.episodes.sampling import fingerprint, sample
from benchmark.scoring import forgetting, scoring
from benchmark.scoring.ensemble import Ensemble
from methods.method import Method
from methods.sequences import ContinualMethod, TaskSequence


@dataclass(frozen=True)
class Tested:
    """What came of it: parts of the cell's record, and the values per episode that are kept beside it."""

    test: TestScore
    accuracy: np.ndarray
    ensemble: EnsembleScore | None
    ensemble_accuracy: np.ndarray | None
    continual: Continual | None
    matrices: np.ndarray | None


def run_frozen_test(
    config: CellConfig, method: Method, members: Mapping[int, Method], test: ClassImages, dataset_sha256: str
) -> Tested:
    """Score the method, and the ensemble of `members` (by training step) if there are any."""
    shape, count = config.test_episodes, config.test.episodes
    frozen = stream("test", config.test.seed)
    sha256 = fingerprint(dataset_sha256, test, shape, frozen, count)

    def scored(learner: Method) -> tuple[TestScore, np.ndarray]:
        found = scoring.score(learner, test, shape, frozen, count)
        accuracy, seconds = float(found.accuracy.mean(dtype="float64")), found.seconds_per_task
        return TestScore(accuracy=accuracy, episodes=count, sha256=sha256, seconds_per_task=seconds), found.accuracy

    single, accuracy = scored(method)
    ensemble = ensemble_accuracy = None
    if members:
        together, ensemble_accuracy = scored(Ensemble(list(members.values())))
        ensemble = EnsembleScore(**together.model_dump(), steps=tuple(members))
    record, matrices = _follow(config, method, test, dataset_sha256)
    return Tested(single, accuracy, ensemble, ensemble_accuracy, record, matrices)


def _follow(
    config: CellConfig, method: Method, test: ClassImages, dataset_sha256: str
) -> tuple[Continual | None, np.ndarray | None]:
    """What becomes of the test sequences step by step, and their accuracy matrices; nothing for single tasks."""
    shape, count = config.followed_episodes, config.test.episodes
    if shape.tasks == 1:
        return None, None
    assert isinstance(method, ContinualMethod)
    frozen = stream("test", config.test.seed)
    matrices = scoring.accuracy_matrices(method, test, shape, frozen, count)
    mean = matrices.mean(axis=0, dtype="float64")
    one = TaskSequence.of(examine(sample(test, shape, frozen, 0, 1), frozen, 0).episode)
    record = Continual(
        average_accuracy=tuple(forgetting.average_accuracy(mean).tolist()),
        forgetting=tuple(forgetting.forgetting(mean).tolist()),
        backward_transfer=tuple(forgetting.backward_transfer(mean).tolist()),
        carried=tuple(method.carried(one.first(step)) for step in range(1, shape.tasks + 1)),
        sha256=fingerprint(dataset_sha256, test, shape, frozen, count),
    )
    return record, matrices
