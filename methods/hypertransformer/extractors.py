"""What a sample token knows about its image: small trained convolutional networks, averaged over pixels.

All tasks share their weights. Activations are in the grouped layout of `methods.networks.conv4`, (S, T*C, H, W).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from methods.hypertransformer.config import HyperTransformerConfig
from methods.networks.architecture import KERNEL_SIZE
from methods.networks.conv4 import NORM_EPS, convolve, normalise, ungroup_tasks
from methods.networks.normalisation import Statistics

RUNNING = 0.1
"""Weight of a step's statistics in the running averages, PyTorch's default."""


class SharedConv(nn.Module):
    """A convolution whose trained kernel and bias all tasks share; Glorot-uniform, zero bias."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.kernel = nn.Parameter(nn.init.xavier_uniform_(torch.empty(outputs, inputs, size, size)))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.stride = stride
        self.padding = padding

    def forward(self, x: Tensor, tasks: int) -> Tensor:
        """(S, T*outputs, H', W') from x (S, T*inputs, H, W)."""
        kernel = self.kernel.expand(tasks, -1, -1, -1, -1)
        return convolve(x, kernel, self.bias.expand(tasks, -1), self.stride, self.padding)


class SharedFeatures(nn.Module):
    """Features of the raw image that every generated layer sees: n times [3x3 convolution -> ReLU (-> normalisation)],
    stride 2 except in the last, averaged over pixels.

    With "same" padding and stride 2 the original (TensorFlow) pads even sizes at the bottom right, this pads them at
    the top left: the same network looking at images turned by 180 degrees. The optional normalisation uses the
    statistics that `shared_statistics` names. The task's own ("support") make the mean of these features over the
    support set the same for every task; those of all tasks of a step ("batch") do not, and are kept as running averages
    (buffers), with which evaluation normalises: there tasks stay independent.
    """

    def __init__(self, channels: int, config: HyperTransformerConfig) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList()
        self.scales = nn.ParameterList()
        self.offsets = nn.ParameterList()
        width = config.shared_features
        padding = KERNEL_SIZE // 2 if config.shared_padding == "same" else 0
        for layer in range(config.shared_layers):
            stride = 1 if layer == config.shared_layers - 1 else 2
            self.convolutions.append(SharedConv(width if layer else channels, width, KERNEL_SIZE, stride, padding))
            if config.shared_normalization:
                self.scales.append(nn.Parameter(torch.ones(width)))
                self.offsets.append(nn.Parameter(torch.zeros(width)))
            if config.shared_normalization and config.shared_statistics == "batch":
                self.register_buffer(f"mean{layer}", torch.zeros(width))
                self.register_buffer(f"variance{layer}", torch.ones(width))
        self.statistics = config.shared_statistics
        self.dropout = nn.Dropout(config.shared_dropout)

    def forward(self, x: Tensor, tasks: int) -> Tensor:
        """(T, S, F) from x (S, T*C, H, W)."""
        for layer, convolution in enumerate(self.convolutions):
            x = convolution(x, tasks)
            x = self._normalised(x, layer, tasks) if self.scales else F.relu(x)
        return self.dropout(_pixel_mean(x, tasks))

    def _normalised(self, x: Tensor, layer: int, tasks: int) -> Tensor:
        """ReLU and normalisation."""
        scale, offset = self.scales[layer], self.offsets[layer]
        if self.statistics == "batch":
            # The numbers lie in the order (S, H, W, T, C): tasks become columns of wider images, a view.
            mean, variance = self.get_buffer(f"mean{layer}"), self.get_buffer(f"variance{layer}")
            pixels = F.relu(x).permute(0, 2, 3, 1)
            wide = pixels.reshape(*pixels.shape[:2], -1, len(scale)).permute(0, 3, 1, 2)
            wide = F.batch_norm(wide, mean, variance, scale, offset, self.training, RUNNING, NORM_EPS)
            return wide.permute(0, 2, 3, 1).reshape(pixels.shape).permute(0, 3, 1, 2)
        scale, offset = scale.expand(tasks, -1), offset.expand(tasks, -1)
        if self.statistics == "fixed":
            known = Statistics(x.new_zeros(x.shape[1]), x.new_ones(x.shape[1]))
            return normalise(x, scale, offset, known, rectify=True)
        return normalise(x, scale, offset, "image" if self.statistics == "image" else None, rectify=True)


class LocalFeatures(nn.Module):
    """Features of the activations in front of one generated layer: `layers` convolutions without padding, stride 2
    except in the last, ReLU between; the pixel means of each one's output (before or after its ReLU), concatenated.

    The kernel shrinks to the size of a smaller image, with stride 1; a convolution whose input has become smaller
    than its kernel is left out.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        side: int,
        layers: int,
        dropout: float,
        nonlinear: bool = False,
        kernel_size: int = KERNEL_SIZE,
    ) -> None:
        super().__init__()
        self.layers = layers
        self.nonlinear = nonlinear
        self.convolutions = nn.ModuleList()
        self.size = size = min(kernel_size, side)
        step = 2 if side >= kernel_size else 1
        for layer in range(layers if features else 0):
            if side < size:
                break
            stride = 1 if layer == layers - 1 else step
            self.convolutions.append(SharedConv(features if layer else channels, features, size, stride))
            side = (side - size) // stride + 1
        self.width = features * len(self.convolutions)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, tasks: int) -> Tensor:
        """(T, S, width) from x (S, T*C, H, W)."""
        means = []
        for index, convolution in enumerate(self.convolutions):
            if index == self.layers - 1 and not self.nonlinear:
                # The mean of a convolution (stride 1) is the convolution of means over the pixels each entry meets.
                reach = [extent - self.size + 1 for extent in x.shape[2:]]
                x = F.avg_pool2d(x, reach, stride=1)
            x = convolution(x, tasks)
            if self.nonlinear:
                x = F.relu(x)
            means.append(_pixel_mean(x, tasks))
            if not self.nonlinear:
                x = F.relu(x)
        return self.dropout(torch.cat(means, dim=-1))


def _pixel_mean(x: Tensor, tasks: int) -> Tensor:
    """(T, S, C) from (S, T*C, H, W). Pooling, because the gradient of `mean` leaves the channels_last layout."""
    return ungroup_tasks(F.avg_pool2d(x, list(x.shape[2:])), tasks).flatten(2)
