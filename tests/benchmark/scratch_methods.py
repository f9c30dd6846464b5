"""A user's own file of methods, as `plugins:` loads it: one honest learner and some that go wrong."""

import os
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from methods import Episode, Loss, Method, Setting, register, searched


@register("linear-mean", "nearest class mean of linearly embedded pixels")
class LinearMean(Method):
    """Forty lines from a paper to a row in the table."""

    @dataclass(frozen=True)
    class Config:
        """The learner's options."""

        channels: int = 8
        dropout: float = searched(0.0, (0.0, 0.2))

    def __init__(self, config: Config, setting: Setting) -> None:
        super().__init__()
        c, h, w = setting.image_shape
        self.embed = nn.Sequential(nn.Flatten(2), nn.Linear(c * h * w, 4 * config.channels), nn.Dropout(config.dropout))
        self.width = 4 * config.channels

    def forward(self, episode: Episode) -> Tensor:
        """Minus the squared distance to the class means."""
        support, query = self.embed(episode.support_images), self.embed(episode.query_images)
        member = nn.functional.one_hot(episode.support_labels.clamp_min(0), episode.ways).to(support)
        member = member * (episode.support_labels >= 0)[..., None]
        means = member.mT @ support / member.sum(1)[..., None]
        return -torch.cdist(query, means).square()

    def solver_parameters(self, ways: int) -> int:
        """Class means."""
        return ways * self.width


@register("crashes", "raises an error in its third step")
class Crashes(LinearMean):
    """Something is wrong with it."""

    def loss(self, episode: Episode, progress: float) -> Loss:
        """Fail after a while."""
        if progress > 0.2:
            raise RuntimeError("the third step is too much")
        return super().loss(episode, progress)


@register("diverges", "its loss becomes NaN")
class Diverges(LinearMean):
    """Learns too fast."""

    def loss(self, episode: Episode, progress: float) -> Loss:
        """A loss that is not a number."""
        loss = super().loss(episode, progress)
        return Loss(loss.total * float("nan"), loss.parts)


@register("sleeps", "takes for ever")
class Sleeps(LinearMean):
    """Never gets done."""

    def loss(self, episode: Episode, progress: float) -> Loss:
        """A step of an hour."""
        time.sleep(3600)
        return super().loss(episode, progress)


@register("dies", "ends the whole process")
class Dies(LinearMean):
    """Takes the interpreter with it."""

    def loss(self, episode: Episode, progress: float) -> Loss:
        """No exception, no record."""
        os._exit(9)


@register("slow", "an honest learner that takes its time")
class Slow(LinearMean):
    """Slow enough to be interrupted."""

    def loss(self, episode: Episode, progress: float) -> Loss:
        """A step of a twentieth of a second."""
        time.sleep(0.05)
        return super().loss(episode, progress)
