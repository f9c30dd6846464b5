"""Scoring a method on frozen episodes."""

import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.exam import examine, hidden_places, with_places
from benchmark.episodes.sampling import sample, sample_all
from benchmark.machine.clock import clock
from benchmark.scoring.sound import check_logits, sound_logits
from methods.episode import Episode
from methods.method import Method
from methods.sequences import ContinualMethod, TaskSequence

CHUNK = 10
"""Episodes scored per call: fixed, because the last bit of a float32 sum may depend on it."""


@dataclass(frozen=True)
class Scored:
    """What came of scoring episodes.

    Attributes:
        accuracy: of each episode, (E,) float32 in [0, 1].
        seconds_per_task: for adapting to a task's support set and classifying its queries, as `clock` counts them,
            with `CHUNK` tasks per call; the median over calls, as the first may pay for memory and choice of kernels.
    """

    accuracy: np.ndarray
    seconds_per_task: float


def score(method: Method, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> Scored:
    """Score a method on the first `count` episodes of a stream; it sees no label of a query, nor a telling order.

    Raises:
        UnsoundError: its logits are not finite or not (T, Q, N).
    """
    drawn = sample_all if method.every_image else sample
    starts = range(0, count, CHUNK)
    return score_episodes(
        method, (drawn(images, shape, stream, start, min(CHUNK, count - start)) for start in starts), stream
    )


@torch.inference_mode()
def score_episodes(method: Method, episodes: Iterable[Episode], stream: int) -> Scored:
    """`score` of given episodes, some at a time; the stream only says in which order queries are asked."""
    method.eval()
    scores, seconds, start = [], [], 0
    for episode in episodes:
        exam = examine(episode, stream, start)
        device = exam.episode.query_images.device
        before = clock(device)
        logits = method(exam.episode)
        seconds.append((clock(device) - before) / exam.episode.tasks)
        check_logits(logits, exam.episode)
        scores.append((logits.argmax(-1) == exam.labels).float().mean(-1))
        start += episode.tasks
    return Scored(torch.cat(scores).cpu().numpy(), statistics.median(seconds))


def accuracies(method: Method, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> np.ndarray:
    """Accuracy of each of the first `count` episodes of a stream, (count,) float32 in [0, 1]."""
    return score(method, images, shape, stream, count).accuracy


@torch.inference_mode()
def measure_transductive(method: Method, episode: Episode) -> bool:
    """Whether a query's prediction depends on the other queries: measured, never declared.

    Scores the first half of the queries with and without the second half. Rounding moves float32 logits by about
    1e-6 of their size; query-batch statistics move them by whole units.
    """
    method.eval()
    episode = examine(episode, 0, 0).episode
    half = episode.query_images.shape[1] // 2
    alone = replace(episode, query_images=episode.query_images[:, :half], query_labels=episode.query_labels[:, :half])
    together_logits, alone_logits = sound_logits(method, episode)[:, :half], sound_logits(method, alone)
    return _differ(together_logits, alone_logits)


@torch.inference_mode()
def measure_order_dependence(method: Method, episode: Episode) -> bool:
    """Whether a prediction depends on the places of queries or unlabelled images: like `measure_transductive`.

    Scores the same queries in two orders, with the unlabelled images in two orders.
    """
    method.eval()
    episode = examine(episode, 0, 0).episode
    unlabelled = hidden_places(episode)
    back = replace(
        episode,
        support_images=with_places(episode.support_images, unlabelled, unlabelled.flip(0).expand(episode.tasks, -1)),
        query_images=episode.query_images.flip(1),
        query_labels=episode.query_labels.flip(1),
    )
    return _differ(sound_logits(method, episode), sound_logits(method, back).flip(1))


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether logits differ by more than rounding."""
    return bool((one - other).abs().amax() > 1e-3 * one.abs().amax().clamp_min(1e-6))


@torch.inference_mode()
def accuracy_matrices(
    method: ContinualMethod, images: ClassImages, shape: EpisodesConfig, stream: int, count: int
) -> np.ndarray:
    """Accuracy on each task after each step of the first `count` sequences of a stream.

    Returns:
        (count, J, I) float32, see `benchmark.scoring.forgetting`; the mean over the last row is what
        `accuracies` gives.
    """
    method.eval()
    found = []
    for start in range(0, count, CHUNK):
        exam = examine(sample(images, shape, stream, start, min(CHUNK, count - start)), stream, start)
        sequence, labels = TaskSequence.of(exam.episode), exam.labels
        tasks = sequence.tasks_in_sequence
        rows = []
        for step, logits in enumerate(method.answers(sequence, range(1, sequence.steps + 1)), 1):
            check_logits(logits, sequence.first(step))
            correct = logits.argmax(-1) == labels[:, : logits.shape[1]]
            by_task = correct.float().unflatten(1, (-1, labels.shape[1] // tasks)).mean(-1)
            rows.append(F.pad(by_task, (0, tasks - by_task.shape[1]), value=torch.nan))
        found.append(torch.stack(rows, dim=1))
    return torch.cat(found).cpu().numpy()
