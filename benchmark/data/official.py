"""Published test episodes that are what they are: no draw makes them."""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from methods.episode import Episode


@dataclass(frozen=True)
class OfficialRuns:
    """T tasks with the same numbers of images.

    Attributes:
        name: of the set of tasks.
        support: (T, N, C, H, W) uint8, one image of each class, bright ink on black.
        query: (T, Q, C, H, W) uint8.
        labels: (T, Q) int64, which class in `support` each query belongs to.
        sha256: of all that, which identifies the tasks.
    """

    name: str
    support: Tensor
    query: Tensor
    labels: Tensor
    sha256: str

    def facts(self) -> dict[str, Any]:
        """What is in it, without the images, as JSON has it."""
        tasks, ways = self.support.shape[:2]
        return {"sha256": self.sha256, "tasks": tasks, "ways": ways, "queries": self.query.shape[1],
                "image_shape": list(self.image_shape)}  # fmt: skip

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        _, _, c, h, w = self.support.shape
        return c, h, w

    def to(self, device: torch.device) -> "OfficialRuns":
        """The same on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("support", "query", "labels")}
        return replace(self, **moved)

    def episode(self) -> Episode:
        """All tasks, pixels in [0, 1]."""
        tasks, ways = self.support.shape[:2]
        labels = torch.arange(ways, device=self.labels.device).expand(tasks, ways)
        return Episode(_unit(self.support), labels, _unit(self.query), self.labels, ways)


def _unit(pixels: Tensor) -> Tensor:
    return pixels.to(torch.float32).div_(255)
