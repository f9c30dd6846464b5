"""The embedding of prototypical networks (Snell, Swersky, Zemel, NeurIPS 2017), for any method that wants one."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.compiled import normalisation
from methods.networks.architecture import KERNEL_SIZE
from methods.networks.conv4 import NORM_EPS, ConvWeights, convolve, feature_count, flatten, group_tasks, input_channels
from methods.networks.normalisation import Statistics, affine, statistics


class Embedding(nn.ModuleList):
    """Four times [3x3 convolution with bias -> batch normalisation -> ReLU -> 2x2 max-pool], flattened.

    Training normalises with the statistics of the images of a task (the leading axis), each task by itself, and moves
    the running statistics towards the mean of theirs; `eval` mode uses the running statistics.
    """

    def __init__(self, image_shape: tuple[int, int, int], channels: int) -> None:
        super().__init__(_Block(width, channels) for width in input_channels(image_shape, channels))
        self.features = feature_count(image_shape, channels)

    def forward(self, images: Tensor) -> Tensor:
        """Embeddings (T, B, D) of images (T, B, C, H, W)."""
        x = group_tasks(images)
        for block in self:
            x = block(x, tasks=len(images))
        return flatten(x, len(images))

    def folded(self, tasks: int) -> list[ConvWeights]:
        """The same network in `eval` mode as blocks of Conv4, for T tasks."""
        return [block.folded(tasks) for block in self if isinstance(block, _Block)]

    def kernels_and_biases(self) -> int:
        """How many numbers its convolutions have."""
        convolutions = [module for module in self.modules() if isinstance(module, nn.Conv2d)]
        return sum(p.numel() for module in convolutions for p in module.parameters())


class _Block(nn.Module):
    """One block of the embedding, in the grouped layout of `methods.networks.conv4`; all tasks share its parameters."""

    MOMENTUM = 0.1
    EPS = 1e-5
    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, KERNEL_SIZE)
        self.scale = nn.Parameter(torch.ones(outputs))
        self.offset = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("running_mean", torch.zeros(outputs))
        self.register_buffer("running_variance", torch.ones(outputs))

    def forward(self, x: Tensor, tasks: int) -> Tensor:
        """(B, T*outputs, H/2, W/2) from x (B, T*inputs, H, W)."""
        bias = self.convolution.bias
        assert bias is not None
        # Pooling comes first, which a negative scale would make a minimum: its sign goes into the convolution.
        sign = torch.where(self.scale < 0, -1, 1)
        kernel, bias = self.convolution.weight * sign[:, None, None, None], bias * sign
        x = convolve(x, kernel.expand(tasks, *kernel.shape), bias.expand(tasks, -1), padding=KERNEL_SIZE // 2)
        numbers = x.numel()
        scale, offset = self.scale.abs().repeat(tasks), self.offset.repeat(tasks)
        if self.training and normalisation.takes(x, scale, offset):
            x, mean, variance = normalisation.normalise_pool(x, scale, offset, self.EPS)
            self._move(mean.unflatten(0, (tasks, -1)) * sign, variance.unflatten(0, (tasks, -1)), numbers)
            return F.relu(x)
        if self.training:
            mean, variance = statistics(x)
            self._move(mean.unflatten(0, (tasks, -1)) * sign, variance.unflatten(0, (tasks, -1)), numbers)
        else:
            mean, variance = (self.running_mean * sign).repeat(tasks), self.running_variance.repeat(tasks)
        slope = scale * torch.rsqrt(variance + self.EPS)
        return F.relu(affine(F.max_pool2d(x, 2), slope, offset - mean * slope))

    @torch.no_grad()
    def _move(self, means: Tensor, variances: Tensor, numbers: int) -> None:
        """Move the running statistics towards the mean of the tasks' (T, C), with unbiased variances."""
        count = numbers / means.numel()
        self.running_mean.lerp_(means.mean(0), self.MOMENTUM)
        self.running_variance.lerp_(variances.mean(0) * (count / (count - 1)), self.MOMENTUM)

    def folded(self, tasks: int) -> ConvWeights:
        """The same block in `eval` mode with its normalisation inside the convolution, for T tasks."""
        bias = self.convolution.bias
        assert bias is not None
        slope = self.scale * torch.rsqrt(self.running_variance + self.EPS)
        kernel = self.convolution.weight * slope[:, None, None, None]
        shift = (bias - self.running_mean) * slope + self.offset
        one = torch.ones_like(shift).expand(tasks, -1)
        # A normalisation that changes nothing: Conv4 has one after the activation, where this network has none.
        nothing = Statistics(torch.zeros_like(one).flatten(), (one - NORM_EPS).flatten())
        kernels = kernel.expand(tasks, *kernel.shape)
        return ConvWeights(kernels, one, torch.zeros_like(one), shift.expand(tasks, -1), nothing)
