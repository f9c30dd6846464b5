"""The end of a cell: the trained method on the frozen test episodes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from benchmark.cells.config import CellConfig, EpisodesConfig
from benchmark.cells.result import Continual, DomainScore, EnsembleScore, TestScore
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw, stream
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
    domains: np.ndarray | None


def run_frozen_test(
    config: CellConfig, method: Method, members: Mapping[int, Method], test: ClassImages, dataset_sha256: str
) -> Tested:
    """Score the method, and the ensemble of `members` (by training step) if there are any."""
    shape, count = config.test_episodes, config.test.episodes
    frozen = stream("test", config.test.seed)
    sha256 = fingerprint(dataset_sha256, test, shape, frozen, count)
    names, domains = domains_of_episodes(test, shape, frozen, count)

    def scored(learner: Method) -> tuple[TestScore, np.ndarray]:
        found = scoring.score(learner, test, shape, frozen, count)
        accuracy, seconds = float(found.accuracy.mean(dtype="float64")), found.seconds_per_task
        score = TestScore(
            accuracy=accuracy,
            episodes=count,
            sha256=sha256,
            seconds_per_task=seconds,
            domains=() if domains is None else _by_domain(names, found.accuracy, domains),
        )
        return score, found.accuracy

    single, accuracy = scored(method)
    ensemble = ensemble_accuracy = None
    if members:
        together, ensemble_accuracy = scored(Ensemble(list(members.values())))
        ensemble = EnsembleScore(**together.model_dump(), steps=tuple(members))
    record, matrices = _follow(config, method, test, dataset_sha256)
    return Tested(single, accuracy, ensemble, ensemble_accuracy, record, matrices, domains)


def domains_of_episodes(
    images: ClassImages, shape: EpisodesConfig, stream: int, count: int
) -> tuple[tuple[str, ...], np.ndarray | None]:
    """Names of the domains that the first `count` episodes of a stream have, and which each has, (count,) uint16.

    No names, and None, where there are no domains.
    """
    if not images.domains:
        return (), None
    parts = [
        draw(images, shape.whole, stream, torch.arange(start, min(start + 100, count), device=images.device)).domains
        for start in range(0, count, 100)
    ]
    present, places = np.unique(torch.cat(parts).cpu().numpy(), return_inverse=True)
    return tuple(images.domains[place].name for place in present), places.astype(np.uint16)


def _by_domain(names: Sequence[str], accuracy: np.ndarray, domains: np.ndarray) -> tuple[DomainScore, ...]:
    found = [accuracy[domains == place] for place in range(len(names))]
    return tuple(
        DomainScore(name=name, accuracy=float(one.mean(dtype="float64")), episodes=len(one))
        for name, one in zip(names, found, strict=True)
    )


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
