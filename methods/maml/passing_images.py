"""Images that pass through a network many times, with what its first normalisation needs to know about them.

The inner loop sees the same images at every step, and the first convolution, of the largest activations, is linear in
them: mean and variance behind it follow from the mean and covariance of the patches under its kernel, found once.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.maml.derivatives import PADDING
from methods.networks.architecture import KERNEL_SIZE
from methods.networks.conv4 import group_tasks
from methods.networks.normalisation import Statistics


@dataclass(frozen=True)
class Images:
    """Images of T tasks, (T, B, C, H, W), which need no gradient."""

    of_tasks: Tensor

    @cached_property
    def grouped(self) -> Tensor:
        """(B, T*C, H, W), the layout of `methods.networks.conv4`."""
        return group_tasks(self.of_tasks)

    @cached_property
    def patches(self) -> tuple[Tensor, Tensor]:
        """Mean (T, P) and covariance (T, P, P) of the P = C * 3 * 3 numbers under a kernel, over a task's images and
        all places in them.
        """
        means, covariances = [], []
        for images in self.of_tasks:  # one by one: patches take nine times the memory of images
            patches = F.unfold(images, KERNEL_SIZE, padding=PADDING)  # (B, P, places)
            mean = patches.mean((0, 2))
            centred = patches.sub_(mean[:, None])
            means.append(mean)
            covariances.append((centred @ centred.mT).mean(0) / patches.shape[2])
        return torch.stack(means), torch.stack(covariances)

    def statistics_behind(self, kernel: Tensor) -> Statistics:
        """Of the convolution with kernel (T, Cout, C, 3, 3), as `statistics` of its result, without computing it."""
        mean, covariance = self.patches
        flat = kernel.flatten(2)
        variance = ((flat @ covariance) * flat).sum(-1)
        return Statistics((flat @ mean[..., None]).flatten(), variance.flatten())
