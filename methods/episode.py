"""Episodes: few-shot tasks as tensors, T independent tasks at once.

Shape legend used throughout the project:
T tasks, S support images per task, Q query images per task, N ways, C channels, H x W pixels.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

UNLABELLED = -1
"""Label of a support image whose class the method may not know (semi-supervised episodes)."""


@dataclass(frozen=True)
class Episode:
    """T independent few-shot tasks of the same shape.

    Attributes:
        support_images: (T, S, C, H, W) floating point, in [0, 1] or normalised, as the dataset says.
        support_labels: (T, S) int64 in 0..ways-1, or `UNLABELLED`.
        query_images: (T, Q, C, H, W) floating point, as the support images.
        query_labels: (T, Q) int64 in 0..ways-1.
        ways: number of classes N of each task.
        classes: (T, N) int64, the identity of class slot n among the training classes, for methods with a
            supervised loss; None where identities must stay unknown (validation and test).
    """

    support_images: Tensor
    support_labels: Tensor
    query_images: Tensor
    query_labels: Tensor
    ways: int
    classes: Tensor | None = None

    @property
    def tasks(self) -> int:
        """T, the number of tasks."""
        return self.support_images.shape[0]

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "Episode":
        """Move to a device, or convert the images to a floating-point type (labels stay int64)."""
        return replace(
            self,
            support_images=self.support_images.to(device=device, dtype=dtype),
            support_labels=self.support_labels.to(device=device),
            query_images=self.query_images.to(device=device, dtype=dtype),
            query_labels=self.query_labels.to(device=device),
            classes=None if self.classes is None else self.classes.to(device=device),
        )

    def __getitem__(self, tasks: slice) -> "Episode":
        """Some of the tasks, as in `episode[0:1]`."""
        return replace(
            self,
            support_images=self.support_images[tasks],
            support_labels=self.support_labels[tasks],
            query_images=self.query_images[tasks],
            query_labels=self.query_labels[tasks],
            classes=None if self.classes is None else self.classes[tasks],
        )


def members(labels: Tensor, ways: int) -> Tensor:
    """Which images belong to which class, (T, N, B) bool, of labels (T, B); the unlabelled belong to none."""
    return labels.unsqueeze(1) == torch.arange(ways, device=labels.device).unsqueeze(1)
