"""Scoring a method on frozen episodes."""

import statistics
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.sampling import sample, sample_all
from benchmark.machine.clock import clock
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


@torch.inference_mode()
def score(method: Method, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> Scored:
    """Score a method on the first `count` episodes of a stream."""
    method.eval()
    drawn = sample_all if method.every_image else sample
    scores, seconds = [], []
    for start in range(0, count, CHUNK):
        episode = drawn(images, shape, stream, start, min(CHUNK, count - start))
        before = clock(images.device)
        predicted = method(episode).argmax(-1)
        seconds.append((clock(images.device) - before) / episode.tasks)
        scores.append((predicted == episode.query_labels).float().mean(-1))
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
    half = episode.query_images.shape[1] // 2
    alone = replace(episode, query_images=episode.query_images[:, :half], query_labels=episode.query_labels[:, :half])
    together_logits, alone_logits = method(episode)[:, :half], method(alone)
    scale = together_logits.abs().amax().clamp_min(1e-6)
    return bool((together_logits - alone_logits).abs().amax() > 1e-3 * scale)


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
        sequence = TaskSequence.of(sample(images, shape, stream, start, min(CHUNK, count - start)))
        tasks = sequence.tasks_in_sequence
        rows = []
        for logits in method.answers(sequence, range(1, sequence.steps + 1)):
            correct = logits.argmax(-1) == sequence.query_labels[:, : logits.shape[1]]
            by_task = correct.float().unflatten(1, (-1, sequence.query_labels.shape[1] // tasks)).mean(-1)
            rows.append(F.pad(by_task, (0, tasks - by_task.shape[1]), value=torch.nan))
        found.append(torch.stack(rows, dim=1))
    return torch.cat(found).cpu().numpy()
