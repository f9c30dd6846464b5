"""Scoring a method on frozen episodes."""

from dataclasses import replace

import numpy as np
import torch

from benchmark.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.sampling import sample
from methods.episode import Episode
from methods.method import Method

CHUNK = 10
"""Episodes scored per call: fixed, because the last bit of a float32 sum may depend on it."""


@torch.inference_mode()
def accuracies(method: Method, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> np.ndarray:
    """Accuracy of each of the first `count` episodes of a stream, (count,) float32 in [0, 1]."""
    method.eval()
    scores = []
    for start in range(0, count, CHUNK):
        episode = sample(images, shape, stream, start, min(CHUNK, count - start))
        predicted = method(episode).argmax(-1)
        scores.append((predicted == episode.query_labels).float().mean(-1))
    return torch.cat(scores).cpu().numpy()


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
