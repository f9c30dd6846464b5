"""An episode as a method may see it when it is scored: without the query labels, and in an order that tells nothing.

Episodes come class by class. Whoever answered by a query's place, or read the classes of unlabelled support images from
theirs, would be right without having looked at a picture.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.episodes.draw import order_shown
from methods.episode import UNLABELLED, Episode
from methods.sequences import TaskSequence


@dataclass(frozen=True)
class Exam:
    """What is asked, and what would be right.

    Attributes:
        episode: what the method is handed. Its query labels are `UNLABELLED`; in task-incremental sequences, where the
            method is told each query's task, they are the lowest label of that task.
        labels: (T, Q) int64, the true labels of the episode's queries, in their order.
    """

    episode: Episode
    labels: Tensor


def examine(episode: Episode, stream: int, start: int) -> Exam:
    """Hide the labels of the episodes number `start` and on of a stream, and shuffle queries and unlabelled images.

    The orders are functions of stream and index alone. Queries of a task sequence stay within their task, whose place
    a sequence tells, and unlabelled images within the step in which they arrive. Labelled images stay where they are.
    Nothing else changes: which images there are, and so the fingerprint of the test set, are what they were.
    """
    tasks, queries = episode.query_labels.shape
    sequence = TaskSequence.of(episode)
    indices = torch.arange(start, start + tasks, device=episode.query_labels.device)
    order = order_shown(stream, indices, queries, sequence.tasks_in_sequence)
    labels = episode.query_labels.gather(1, order)
    unlabelled = hidden_places(episode)
    shown = order_shown(stream, indices, len(unlabelled), sequence.steps, after=queries)
    support = with_places(episode.support_images, unlabelled, unlabelled[shown])
    images = _chosen(episode.query_images, order)
    hidden = replace(episode, support_images=support, query_images=images, query_labels=_hidden(episode, labels))
    return Exam(hidden, labels)


def hidden_places(episode: Episode) -> Tensor:
    """The places (U,) of the unlabelled images in the support, which are the same in all tasks of an episode."""
    return (episode.support_labels[0] == UNLABELLED).nonzero()[:, 0]


def with_places(images: Tensor, places: Tensor, taken_from: Tensor) -> Tensor:
    """The images (T, S, ...), those at `places` (U,) being what is at `taken_from` (T, U)."""
    if not len(places):
        return images
    changed = images.clone()
    changed[:, places.to(images.device)] = _chosen(images, taken_from)
    return changed


def _chosen(images: Tensor, places: Tensor) -> Tensor:
    """Of images (T, B, ...) those at the places (T, K) of each task."""
    rows = torch.arange(len(images), device=images.device)[:, None]
    return images[rows, places.to(images.device)]


def _hidden(episode: Episode, labels: Tensor) -> Tensor:
    if isinstance(episode, TaskSequence) and episode.scenario == "task-incremental" and episode.steps > 1:
        return labels // episode.task_ways * episode.task_ways
    return torch.full_like(labels, UNLABELLED)
