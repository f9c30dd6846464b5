"""Conv4, the small network that classifies the images of one task, run for T different tasks in one call.

Source: the `maxpool-4-layer` network of HyperTransformer (Zhmoginov, Sandler, Vladymyrov, ICML 2022) and its code: four
times [3x3 convolution, same padding -> ReLU -> 2x2 max-pool -> batch normalisation], flatten, linear.

Every task has its own numbers. Activations of all tasks sit side by side in the *grouped* layout (B, T*C, H, W) in
channels_last memory, so that T networks are one convolution with T groups; a kernel that all tasks share is expanded
over them. On a CPU this takes about half the time of a loop over tasks, as long as T is at most about 16.
Only ordinary differentiable operations are used, so gradients of gradients exist.

Shapes: T tasks, B images per task, C channels, H x W pixels, N ways, D features in front of the linear layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCKS = 4
KERNEL_SIZE = 3
NORM_EPS = 1e-3
"""Epsilon of the batch normalisation, the default of TensorFlow 1, which the original code uses."""


class Statistics(NamedTuple):
    """Mean and (biased) variance of each channel of each task, both (T*C,)."""

    mean: Tensor
    variance: Tensor


@dataclass(frozen=True)
class ConvWeights:
    """One block of Conv4 for T tasks.

    Attributes:
        kernel: (T, Cout, Cin, 3, 3).
        scale: (T, Cout), gamma of the normalisation.
        offset: (T, Cout), beta of the normalisation.
        bias: (T, Cout) of the convolution, or None.
        statistics: to normalise with; None for those of the images passing through, "image" for each image's own.
    """

    kernel: Tensor
    scale: Tensor
    offset: Tensor
    bias: Tensor | None = None
    statistics: Statistics | Literal["image"] | None = None


@dataclass(frozen=True)
class LinearWeights:
    """The last layer for T tasks: weight (T, N, D), bias (T, N)."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Conv4Weights:
    """T networks; `negative_slope` is that of their activations, 0 for ReLU."""

    blocks: Sequence[ConvWeights]
    linear: LinearWeights
    negative_slope: float = 0.0


def group_tasks(images: Tensor) -> Tensor:
    """(T, B, C, H, W) -> grouped layout (B, T*C, H, W)."""
    return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def ungroup_tasks(x: Tensor, tasks: int) -> Tensor:
    """Grouped layout (B, T*C, ...) -> (T, B, C, ...)."""
    return x.unflatten(1, (tasks, -1)).transpose(0, 1)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolve the images of each task with its own kernel.

    Args:
        x: (B, T*Cin, H, W), grouped.
        kernel: (T, Cout, Cin, k, k).
        bias: (T, Cout) or None.
        stride: step between windows.
        padding: zeros around the image.

    Returns:
        (B, T*Cout, H', W'), grouped.
    """
    stacked = kernel.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    stacked_bias = None if bias is None else bias.flatten()
    return F.conv2d(x, stacked, stacked_bias, stride=stride, padding=padding, groups=kernel.shape[0])


def statistics(x: Tensor) -> Statistics:
    """Mean and variance over images and pixels of x (B, T*C, H, W), separately for each task."""
    columns = x.permute(0, 2, 3, 1).flatten(0, 2)  # a view of channels_last memory; reduces much faster than (0, 2, 3)
    mean = columns.mean(0)
    return Statistics(mean, (columns - mean).square().mean(0))


def normalise(x: Tensor, scale: Tensor, offset: Tensor, known: Statistics | Literal["image"] | None = None) -> Tensor:
    """Batch normalisation of x (B, T*C, H, W) with scale and offset (T, C), separately for each task.

    `known` statistics are applied as they are; without them, those of `x` are used, and then an image's result
    depends on the other images of its task. "image" is layer normalisation (Ba et al., arXiv 1607.06450): each image by
    its own mean and variance over channels and pixels.
    """
    if known == "image":
        return F.group_norm(x, len(scale), scale.flatten().contiguous(), offset.flatten(), eps=NORM_EPS)
    # Contiguous: with a strided scale, PyTorch's channels_last gradient on a CPU is silently wrong (seen in 2.14).
    scale, offset = scale.flatten().contiguous(), offset.flatten()
    if known is None:
        return F.batch_norm(x, None, None, scale, offset, training=True, eps=NORM_EPS)
    slope = scale * torch.rsqrt(known.variance + NORM_EPS)
    shift = offset - known.mean * slope
    return torch.addcmul(shift[:, None, None], x, slope[:, None, None])


def activate(x: Tensor, weights: ConvWeights, negative_slope: float = 0.0) -> Tensor:
    """A block up to its normalisation: convolution, (leaky) ReLU, max-pooling.

    Pooling comes first here, as the maximum of increasing functions is the function of the maximum: same values and
    gradients, a quarter of the work.
    """
    pooled = F.max_pool2d(convolve(x, weights.kernel, weights.bias, padding=KERNEL_SIZE // 2), 2)
    return F.leaky_relu(pooled, negative_slope) if negative_slope else F.relu(pooled)


def trunk(images: Tensor, blocks: Sequence[ConvWeights], negative_slope: float = 0.0) -> list[Tensor]:
    """Activations after each block, in the grouped layout, of images (T, B, C, H, W)."""
    x = group_tasks(images)
    activations = []
    for block in blocks:
        x = normalise(activate(x, block, negative_slope), block.scale, block.offset, block.statistics)
        activations.append(x)
    return activations


def flatten(x: Tensor, tasks: int) -> Tensor:
    """Grouped activations (B, T*C, H, W) as feature vectors (T, B, C*H*W)."""
    return ungroup_tasks(x, tasks).flatten(2)


def linear(features: Tensor, weights: LinearWeights) -> Tensor:
    """Logits (T, B, N) of features (T, B, D)."""
    return torch.baddbmm(weights.bias.unsqueeze(1), features, weights.weight.transpose(1, 2))


def conv4(images: Tensor, weights: Conv4Weights) -> Tensor:
    """Logits (T, B, N) of images (T, B, C, H, W)."""
    last = trunk(images, weights.blocks, weights.negative_slope)[-1]
    return linear(flatten(last, images.shape[0]), weights.linear)


def sides(image_shape: tuple[int, int, int]) -> list[tuple[int, int]]:
    """(H, W) in front of each block and after the last: 28, 14, 7, 3, 1 for Omniglot.

    Raises:
        ValueError: the images are too small for four poolings.
    """
    _, height, width = image_shape
    if min(height, width) < 2**BLOCKS:
        raise ValueError(f"images of {height}x{width} pixels are too small: Conv4 needs at least 16x16")
    return [(height >> level, width >> level) for level in range(BLOCKS + 1)]


def feature_count(image_shape: tuple[int, int, int], channels: int) -> int:
    """D, the length of the flattened features."""
    height, width = sides(image_shape)[-1]
    return channels * height * width
