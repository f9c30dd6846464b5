"""Batch normalisation with what stands beside it, ReLU before it or 2x2 max-pooling behind it, and their gradients.

The formulas are here, the passes over activations in rows.cpp. With n numbers x of a channel, mean m, variance v and
r = 1 / sqrt(v + eps), the output is y = scale r (x - m) + offset, and the gradient of x, given g of y, is

    scale r g  -  scale r^3 sum(g (x - m)) / n (x - m)  -  scale r sum(g) / n.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from methods.compiled import library
from methods.compiled.twice import differentiable


def takes(x: Tensor, scale: Tensor, offset: Tensor) -> bool:
    """Whether the functions below can do these."""
    return x.numel() > x.shape[1] and library.takes(x, scale, offset)


def normalise(x: Tensor, scale: Tensor, offset: Tensor, eps: float, rectify: bool = False) -> Tensor:
    """Batch normalisation of x (B, C, H, W), or of relu(x), with scale and offset (C,).

    x is best in channels_last memory, as the output is; else it is copied.
    """
    return _Normalise.apply(x, scale, offset, eps, rectify)


def normalise_pool(x: Tensor, scale: Tensor, offset: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
    """max_pool2d(batch normalisation of x, 2), of x (B, C, H, W) with scale and offset (C,), no scale below 0.

    Returns:
        (B, C, H // 2, W // 2), and the mean and the biased variance of x, (C,) each, which have no gradient.
    """
    return _NormalisePool.apply(x, scale, offset, eps)


class _Normalise(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, offset: Tensor, eps: float, rectify: bool) -> Tensor:
        ctx.library, ctx.eps, ctx.rectify = library.load(), eps, rectify
        dense = _dense(x)
        mean, variance = _moments(ctx.library, dense, rectify)
        inverse = torch.rsqrt(variance + eps)
        slope = scale * inverse
        out = torch.empty_like(dense)
        tensors = (dense, slope, offset - mean * slope, out)
        library.call(ctx.library, "rows_affine", tensors, *_rows(dense), rectify)
        ctx.save_for_backward(x, scale, offset, mean, inverse)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, offset, mean, inverse = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants gradients of these gradients

            def with_torch(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
                x = F.relu(x) if ctx.rectify else x
                return F.batch_norm(x, None, None, scale, offset, training=True, eps=ctx.eps)

            return *differentiable(with_torch, (x, scale, offset), grads[0], ctx.needs_input_grad), None, None
        dense, grad = _dense(x), _dense(grads[0])
        found = _Gradient(ctx.library, dense, grad, scale, mean, inverse, dense, ctx.rectify)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(dense)
            tensors = (dense, grad, found.by_grad, found.by_x, found.constant, grad_x)
            library.call(ctx.library, "rows_gradient", tensors, *_rows(dense), ctx.rectify)
        return grad_x, found.scale, found.offset, None, None


class _NormalisePool(Function):
    """Pooling comes before the scale, which is not negative: a quarter of the numbers."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, offset: Tensor, eps: float) -> tuple[Tensor, Tensor, Tensor]:
        ctx.library, ctx.eps = library.load(), eps
        dense = _dense(x)
        mean, variance = _moments(ctx.library, dense, False)
        inverse = torch.rsqrt(variance + eps)
        images, channels, height, width = x.shape
        largest = torch.empty(
            (images, channels, height // 2, width // 2), memory_format=torch.channels_last, dtype=x.dtype
        )
        winner = torch.empty_like(largest, dtype=torch.uint8)
        sizes = (images, height, width, channels)
        library.call(ctx.library, "windows_largest", (dense, largest, winner), *sizes)
        slope = scale * inverse
        out = torch.empty_like(largest)
        tensors = (largest, slope, offset - mean * slope, out)
        library.call(ctx.library, "rows_affine", tensors, *_rows(largest), False)
        ctx.save_for_backward(x, scale, offset, mean, inverse, largest, winner)
        ctx.mark_non_differentiable(mean, variance)
        return out, mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, offset, mean, inverse, largest, winner = ctx.saved_tensors
        if torch.is_grad_enabled():

            def with_torch(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
                return F.max_pool2d(F.batch_norm(x, None, None, scale, offset, training=True, eps=ctx.eps), 2)

            return *differentiable(with_torch, (x, scale, offset), grads[0], ctx.needs_input_grad), None
        dense, grad = _dense(x), _dense(grads[0])
        found = _Gradient(ctx.library, largest, grad, scale, mean, inverse, dense, False)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(dense)
            images, channels, height, width = x.shape
            tensors = (dense, grad, winner, found.by_grad, found.by_x, found.constant, grad_x)
            library.call(ctx.library, "windows_gradient", tensors, images, height, width, channels)
        return grad_x, found.scale, found.offset, None


class _Gradient:
    """The gradients of scale and offset, (C,) each, and that of x as by_grad * grad + by_x * x + constant.

    `seen` are the numbers that `grad` belongs to: x, or the largest of each window. `x` gives n.
    """

    def __init__(
        self,
        loaded: Any,
        seen: Tensor,
        grad: Tensor,
        scale: Tensor,
        mean: Tensor,
        inverse: Tensor,
        x: Tensor,
        rectify: bool,
    ) -> None:
        total, product = torch.empty_like(mean), torch.empty_like(mean)
        library.call(loaded, "rows_sums", (seen, grad, mean, total, product), *_rows(seen), rectify)
        share = x.shape[1] / x.numel()
        self.scale, self.offset = product * inverse, total
        self.by_grad = scale * inverse
        self.by_x = self.by_grad * inverse * self.scale * -share
        self.constant = self.by_grad * total * -share - self.by_x * mean


def _dense(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _rows(x: Tensor) -> tuple[int, int]:
    """How many rows of how many channels."""
    return x.numel() // x.shape[1], x.shape[1]


def _moments(loaded: Any, x: Tensor, rectify: bool) -> tuple[Tensor, Tensor]:
    mean, variance = x.new_empty(x.shape[1]), x.new_empty(x.shape[1])
    library.call(loaded, "rows_moments", (x, mean, variance), *_rows(x), rectify)
    return mean, variance
