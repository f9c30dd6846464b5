"""A further test of a trained method: other tasks, frozen like those of its own test."""

import numpy as np

from benchmark.cells.config import FurtherTest
from benchmark.cells.result import TestScore
from benchmark.data.dataset import ClassImages
from benchmark.data.official import OfficialRuns
from benchmark.episodes.draw import stream
from benchmark.episodes.sampling import check_possible, fingerprint
from benchmark.errors import UserError
from benchmark.scoring.scoring import CHUNK, score, score_episodes
from methods.method import Method


def run_further_test(
    method: Method, test: FurtherTest, images: ClassImages | OfficialRuns, dataset_sha256: str
) -> tuple[TestScore, np.ndarray]:
    """Score the method; per-episode accuracies (E,) float32 in [0, 1].

    The stream of episodes is that of own tests, so the same setting has the same episodes and hash, whoever asks.

    Args:
        method: trained, on the device of the images.
        test: which.
        images: of the test split, or the published runs.
        dataset_sha256: of the dataset that these are from.

    Raises:
        UserError: the images cannot give such episodes.
        UnsoundError: see `score`.
    """
    frozen = stream("test", test.seed)
    if isinstance(images, OfficialRuns):
        sha256, episode = images.sha256, images.episode()
        found = score_episodes(method, (episode[i : i + CHUNK] for i in range(0, episode.tasks, CHUNK)), frozen)
    else:
        check_possible(images, test.episodes, "test")
        sha256 = fingerprint(dataset_sha256, images, test.episodes, frozen, test.count)
        found = score(method, images, test.episodes, frozen, test.count)
    accuracy = float(found.accuracy.mean(dtype="float64"))
    seconds = found.seconds_per_task
    return TestScore(accuracy=accuracy, episodes=test.count, sha256=sha256, seconds_per_task=seconds), found.accuracy


def check_images(shape: tuple[int, int, int], images: ClassImages | OfficialRuns, name: str) -> None:
    """Refuse images that the method is not built for.

    Args:
        shape: (C, H, W) that it is built for.
        images: of the test.
        name: of the test.

    Raises:
        UserError: they have another shape.
    """
    if images.image_shape != shape:
        of, built = (" x ".join(map(str, one)) for one in (images.image_shape, shape))
        raise UserError(
            f"test {name!r} has images of {of} (channels, height, width), and the method is built for {built}"
        )
