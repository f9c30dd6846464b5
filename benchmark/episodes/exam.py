"""An episode as a method may see it when it is scored: without the query labels, its queries in no telling order."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.episodes.draw import query_order
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
    """Hide the labels of the episodes number `start` and on of a stream, and shuffle their queries.

    The order is a function of stream and index alone. Queries of a task sequence stay within their task, whose place
    a sequence tells. Nothing else changes: the images and the fingerprint of the test set are what they were.
    """
    tasks, queries = episode.query_labels.shape
    groups = episode.tasks_in_sequence if isinstance(episode, TaskSequence) else 1
    indices = torch.arange(start, start + tasks, device=episode.query_labels.device)
    order = query_order(stream, indices, queries, groups)
    labels = episode.query_labels.gather(1, order)
    rows = torch.arange(tasks, device=order.device)[:, None]
    images = episode.query_images[rows.to(episode.query_images.device), order.to(episode.query_images.device)]
    return Exam(replace(episode, query_images=images, query_labels=_hidden(episode, labels)), labels)


def _hidden(episode: Episode, labels: Tensor) -> Tensor:
    if isinstance(episode, TaskSequence) and episode.scenario == "task-incremental" and episode.steps > 1:
        return labels // episode.task_ways * episode.task_ways
    return torch.full_like(labels, UNLABELLED)
