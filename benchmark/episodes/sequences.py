"""Task sequences: an episode of all their classes, put in the order in which its images arrive.

The classes of a sequence are therefore disjoint, and the first tasks of a longer sequence are those of a shorter one
with the same index. In "mini-batch" sequences the classes are the same, but not the images.
"""

import torch
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from methods.episode import Episode
from methods.sequences import TaskSequence


def in_steps(episode: Episode, shape: EpisodesConfig) -> Episode:
    """The episode of shape `shape.whole` as sequences of `shape.tasks` steps; an ordinary episode as it is."""
    if shape.tasks == 1:
        return episode
    labelled = _by_step(shape, shape.shots)
    unlabelled = labelled.numel() + _by_step(shape, shape.unlabelled)
    order = torch.cat([labelled, unlabelled], dim=1).flatten().to(episode.support_labels.device)
    return TaskSequence(
        support_images=episode.support_images[:, order],
        support_labels=episode.support_labels[:, order],
        query_images=episode.query_images,
        query_labels=episode.query_labels,
        ways=episode.ways,
        classes=episode.classes,
        steps=shape.tasks,
        scenario=shape.scenario,
    )


def _by_step(shape: EpisodesConfig, count: int) -> Tensor:
    """For each step the places (J, ways * count) of what arrives, where each class has `count` places for each part."""
    whole = shape.whole
    parts = whole.shots // shape.shots
    places = torch.arange(whole.ways * parts * count).view(shape.tasks // parts, shape.ways, parts, count)
    return places.transpose(1, 2).reshape(shape.tasks, shape.ways * count)
