"""Continual few-shot learning: tasks that arrive one after the other, and learners that keep what they learnt.

The scenarios and the prototypical loss are those of the Continual HyperTransformer (Vladymyrov, Zhmoginov, Sandler,
TMLR 2024, arXiv 2301.04584).

Shapes, besides those of `methods.episode`: J steps, I tasks in a sequence, D numbers in an embedding.
"""

from abc import abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass, fields, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.episode import UNLABELLED, Episode, members
from methods.method import Loss, Method

Scenario = Literal["class-incremental", "task-incremental", "mini-batch"]
"""Which classes compete for a query: those of all tasks so far, or those of its own task. "mini-batch": there is one
task only, whose support images arrive in parts."""


@dataclass(frozen=True)
class TaskSequence(Episode):
    """T sequences, each told as one episode over all its classes; an ordinary episode is a sequence of one task.

    Support images are in order of arrival, S/J in each step. Queries are in order of tasks, Q/I each. The N/I classes
    of the first task have the lowest labels, and so on.

    Attributes:
        steps: J.
        scenario: see `Scenario`.
    """

    steps: int = 1
    scenario: Scenario = "class-incremental"

    @classmethod
    def of(cls, episode: Episode) -> "TaskSequence":
        """The episode itself, as a sequence of one task if it is not a sequence yet."""
        if isinstance(episode, TaskSequence):
            return episode
        return cls(**{field.name: getattr(episode, field.name) for field in fields(episode)})

    @property
    def tasks_in_sequence(self) -> int:
        """I: the steps' number, or 1 if they are parts of one task."""
        return 1 if self.scenario == "mini-batch" else self.steps

    @property
    def task_ways(self) -> int:
        """Number of classes of each task."""
        return self.ways // self.tasks_in_sequence

    def first(self, steps: int) -> "TaskSequence":
        """What has been seen after so many steps: their support images, and the queries of their tasks."""
        shorter = replace(self, steps=steps)
        tasks = shorter.tasks_in_sequence
        support = self.support_labels.shape[1] // self.steps * steps
        query = self.query_labels.shape[1] // self.tasks_in_sequence * tasks
        ways = self.task_ways * tasks
        return replace(
            shorter,
            support_images=self.support_images[:, :support],
            support_labels=self.support_labels[:, :support],
            query_images=self.query_images[:, :query],
            query_labels=self.query_labels[:, :query],
            ways=ways,
            classes=None if self.classes is None else self.classes[:, :ways],
        )

    def arrivals(self) -> Iterator[tuple[Tensor, Tensor]]:
        """For each step the support images (T, S/J, C, H, W) that arrive, and their labels (T, S/J)."""
        return zip(self.support_images.chunk(self.steps, 1), self.support_labels.chunk(self.steps, 1), strict=True)

    def labels_within_tasks(self, labels: Tensor) -> Tensor:
        """Labels counted from 0 in each task; the unlabelled stay so."""
        return (labels % self.task_ways).where(labels != UNLABELLED, UNLABELLED)

    def compete(self, logits: Tensor, labels: Tensor | None = None) -> Tensor:
        """The logits (T, Q, N), minus infinity where a class does not compete for a query.

        With `labels` (T, B), the same for logits (T, B, N) of other images; for the unlabelled some classes compete.
        """
        if self.scenario != "task-incremental" or self.steps == 1:
            return logits
        labels = self.query_labels if labels is None else labels.clamp(min=0)
        task_of_class = torch.arange(self.ways, device=logits.device) // self.task_ways
        foreign = task_of_class != (labels // self.task_ways).unsqueeze(-1)
        return logits.masked_fill(foreign, -torch.inf)


@dataclass(frozen=True)
class Prototypes:
    """Running class means of embeddings, for T tasks.

    Attributes:
        means: (T, N, D).
        counts: (T, N, 1), how many embeddings each is the mean of.
    """

    means: Tensor
    counts: Tensor

    @classmethod
    def none(cls, embedded: Tensor) -> "Prototypes":
        """Of no classes yet, for embeddings like these (T, B, D)."""
        return cls(embedded[:, :0], embedded[:, :0, :1])

    def updated(self, embedded: Tensor, labels: Tensor, ways: int) -> "Prototypes":
        """After more embeddings (T, B, D) with labels (T, B), for the first `ways` classes.

        Classes without new embeddings keep their means bit for bit.
        """
        new_classes = (0, 0, 0, ways - self.means.shape[1])
        means, counts = F.pad(self.means, new_classes), F.pad(self.counts, new_classes)
        belongs = members(labels, ways).to(embedded.dtype)
        added = belongs.sum(-1, keepdim=True)
        total = counts + added
        return Prototypes(means + (belongs @ embedded - added * means) / total, total)


class ContinualMethod(Method):
    """A learner of task sequences. An ordinary episode is a sequence of one task, so it learns these, too.

    A subclass implements `answers` and `carried`. What it answers after step t must not depend on later steps.
    """

    @abstractmethod
    def answers(self, sequence: TaskSequence, asked: Collection[int]) -> Iterator[Tensor]:
        """Logits after each of the steps in `asked`, in ascending order, counted from 1.

        With `seen = sequence.first(step)`: logits (T, Q, N) of all the queries among all the classes of `seen`, minus
        infinity where a class does not compete (see `TaskSequence.compete`).
        """

    @abstractmethod
    def carried(self, seen: TaskSequence) -> int:
        """How many numbers one learner must keep after a sequence, to learn the next task and answer all queries.

        What is trained once and for all sequences does not count.
        """

    def forward(self, episode: Episode) -> Tensor:
        """Logits (T, Q, N) after the last step."""
        sequence = TaskSequence.of(episode)
        return next(iter(self.answers(sequence, [sequence.steps])))

    def loss(self, episode: Episode, progress: float) -> Loss:
        """Cross-entropy, mean over all pairs of a step and a task seen until then (and over its queries)."""
        sequence = TaskSequence.of(episode)
        losses, hits = [], []
        for logits in self.answers(sequence, range(1, sequence.steps + 1)):
            labels = sequence.query_labels[:, : logits.shape[1]]
            losses.append(F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none"))
            hits.append((logits.detach().argmax(-1) == labels).flatten())
        total = torch.cat(losses).mean()
        return Loss(total, {"cross_entropy": total.detach(), "accuracy": torch.cat(hits).float().mean()})
