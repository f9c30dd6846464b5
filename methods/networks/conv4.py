"""The small network that classifies the images of one task, run for T different tasks in one call.

Source: HyperTransformer (Zhmoginov, Sandler, Vladymyrov, ICML 2022) and its code. Conv4, its `maxpool-4-layer`, is four
times [3x3 convolution, same padding -> ReLU -> 2x2 max-pool -> batch normalisation], flatten, linear. Its `3-layer` and
`4-layer` have neither padding nor pooling, but strides, and average over pixels in front of the linear layer.

Every task has its own numbers. Activations of all tasks sit side by side in the *grouped* layout (B, T*C, H, W) in
channels_last memory, so that T networks are one convolution with T groups. On a CPU this takes about half the time of
a loop over tasks, as long as T is at most about 16. A kernel that all tasks share is expanded over them.
All operations have gradients of gradients.

Shapes: T tasks, B images per task, C channels, H x W pixels, N ways, D features in front of the linear layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from methods.compiled import block as compiled_block
from methods.compiled import normalisation as compiled_norm
from methods.networks.architecture import BLOCKS, CONV4, Architecture
from methods.networks.normalisation import Statistics
from methods.networks.shared_convolution import convolve_shared

NORM_EPS = 1e-3
"""Epsilon of the batch normalisation, the default of TensorFlow 1, which the original code uses."""


@dataclass(frozen=True)
class ConvWeights:
    """One block for T tasks.

    Attributes:
        kernel: (T, Cout, Cin, k, k).
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
class NetworkWeights:
    """T networks of one architecture."""

    blocks: Sequence[ConvWeights]
    linear: LinearWeights
    architecture: Architecture = CONV4


def group_tasks(images: Tensor) -> Tensor:
    """(T, B, C, H, W) -> grouped layout (B, T*C, H, W)."""
    return images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)


def ungroup_tasks(x: Tensor, tasks: int) -> Tensor:
    """Grouped layout (B, T*C, ...) -> (T, B, C, ...)."""
    return x.unflatten(1, (tasks, -1)).transpose(0, 1)


def convolve(x: Tensor, kernel: Tensor, bias: Tensor | None = None, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolve the images of each task with its own kernel, or all with one kernel expanded over the tasks.

    Args:
        x: (B, T*Cin, H, W), grouped.
        kernel: (T, Cout, Cin, k, k).
        bias: (T, Cout) or None; expanded too where the kernel is.
        stride: step between windows.
        padding: zeros around the image.

    Returns:
        (B, T*Cout, H', W'), grouped.
    """
    if kernel.stride(0) == 0 and kernel.shape[2] > 1:  # shared; with one input channel groups are as fast
        shared_bias = None if bias is None else bias[0]
        return convolve_shared(x, kernel[0], shared_bias, len(kernel), stride, padding)
    stacked = kernel.flatten(0, 1).contiguous(memory_format=torch.channels_last)
    stacked_bias = None if bias is None else bias.flatten()
    return F.conv2d(x, stacked, stacked_bias, stride=stride, padding=padding, groups=kernel.shape[0])


def normalise(
    x: Tensor,
    scale: Tensor,
    offset: Tensor,
    known: Statistics | Literal["image"] | None = None,
    rectify: bool = False,
) -> Tensor:
    """Batch normalisation of x (B, T*C, H, W), or of relu(x), with scale and offset (T, C), separately for each task.

    `known` statistics are applied as they are; without them, those of `x` are used, and then an image's result
    depends on the other images of its task. "image" is layer normalisation (Ba et al., arXiv 1607.06450): each image by
    its own mean and variance over channels and pixels.
    """
    if known is None and compiled_norm.takes(x, scale, offset):
        return compiled_norm.normalise(x, scale.flatten(), offset.flatten(), NORM_EPS, rectify)
    x = F.relu(x) if rectify else x
    if known == "image":
        return F.group_norm(x, len(scale), scale.flatten().contiguous(), offset.flatten(), eps=NORM_EPS)
    # Contiguous: with a strided scale, PyTorch's channels_last gradient on a CPU is silently wrong (seen in 2.14).
    scale, offset = scale.flatten().contiguous(), offset.flatten()
    if known is None:
        return F.batch_norm(x, None, None, scale, offset, training=True, eps=NORM_EPS)
    slope = scale * torch.rsqrt(known.variance + NORM_EPS)
    shift = offset - known.mean * slope
    return torch.addcmul(shift[:, None, None], x, slope[:, None, None])


def activate(x: Tensor, weights: ConvWeights, architecture: Architecture = CONV4) -> Tensor:
    """A block up to its normalisation: convolution, (leaky) ReLU, max-pooling if there is any.

    Pooling comes first here, as the maximum of increasing functions is the function of the maximum: same values and
    gradients, a quarter of the work. Where `methods.compiled` can do the three as one, it does.
    """
    compilable = architecture.max_pool and architecture.stride == 1 and architecture.negative_slope == 0
    if compilable and compiled_block.takes(x, weights.kernel, weights.bias):
        return compiled_block.convolve_pool(x, weights.kernel, weights.bias)
    x = convolve(x, weights.kernel, weights.bias, architecture.stride, architecture.padding)
    if architecture.max_pool:
        x = F.max_pool2d(x, 2)
    slope = architecture.negative_slope
    return F.leaky_relu(x, slope) if slope else F.relu(x)


def trunk(images: Tensor, blocks: Sequence[ConvWeights], architecture: Architecture = CONV4) -> list[Tensor]:
    """Activations after each block, in the grouped layout, of images (T, B, C, H, W)."""
    x = group_tasks(images)
    activations = []
    for block in blocks:
        x = normalise(activate(x, block, architecture), block.scale, block.offset, block.statistics)
        activations.append(x)
    return activations


def flatten(x: Tensor, tasks: int) -> Tensor:
    """Grouped activations (B, T*C, H, W) as feature vectors (T, B, C*H*W)."""
    return ungroup_tasks(x, tasks).flatten(2)


def features(x: Tensor, tasks: int, architecture: Architecture = CONV4) -> Tensor:
    """What the linear layer sees, (T, B, D), of the last block's activations (B, T*C, H, W)."""
    return flatten(x if architecture.max_pool else F.avg_pool2d(x, list(x.shape[2:])), tasks)


def linear(features: Tensor, weights: LinearWeights) -> Tensor:
    """Logits (T, B, N) of features (T, B, D)."""
    return torch.baddbmm(weights.bias.unsqueeze(1), features, weights.weight.transpose(1, 2))


def classify(images: Tensor, weights: NetworkWeights) -> Tensor:
    """Logits (T, B, N) of images (T, B, C, H, W)."""
    last = trunk(images, weights.blocks, weights.architecture)[-1]
    return linear(features(last, images.shape[0], weights.architecture), weights.linear)


def sides(image_shape: tuple[int, int, int], architecture: Architecture = CONV4) -> list[tuple[int, int]]:
    """(H, W) in front of each block and after the last: 28, 14, 7, 3, 1 for Conv4 on Omniglot.

    Raises:
        ValueError: the images are too small for so many blocks.
    """
    _, height, width = image_shape
    least = architecture.smallest_side
    if min(height, width) < least:
        size, stride = architecture.kernel_size, architecture.stride
        pooling = " and 2x2 max-pooling" if architecture.max_pool else ""
        dense = replace(architecture, stride=1).smallest_side
        raise ValueError(
            f"images of {height}x{width} pixels are too small: {architecture.blocks} convolutions of {size}x{size}"
            f" with stride {stride}{pooling} need at least {least}x{least}"
            + (f"; with stride 1, {dense}x{dense}" if stride > 1 else "")
        )
    found = [(height, width)]
    for _ in range(architecture.blocks):
        height, width = architecture.side_behind(height), architecture.side_behind(width)
        found.append((height, width))
    return found


def input_channels(image_shape: tuple[int, int, int], channels: int, blocks: int = BLOCKS) -> list[int]:
    """Of each block: the images', then as many as each block gives."""
    return [image_shape[0]] + [channels] * (blocks - 1)


def feature_count(image_shape: tuple[int, int, int], channels: int, architecture: Architecture = CONV4) -> int:
    """D, the number of features in front of the linear layer."""
    height, width = sides(image_shape, architecture)[-1]
    return channels * height * width if architecture.max_pool else channels
