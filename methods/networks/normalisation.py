"""The two halves of batch normalisation, with gradients (and gradients of gradients) that take few passes.

PyTorch's own differentiates fast once, but slowly twice, and cannot have pooling between its halves. All take the
grouped layout of `methods.networks.conv4`: (B, T*C, H, W) in channels_last memory.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function


class Statistics(NamedTuple):
    """Mean and (biased) variance of each channel of each task, both (T*C,)."""

    mean: Tensor
    variance: Tensor


def statistics(x: Tensor) -> Statistics:
    """Mean and variance over images and pixels of x (B, T*C, H, W), separately for each task."""
    return Statistics(*_Statistics.apply(x))


def affine(x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    """Each channel of x (B, T*C, H, W) times its slope plus its shift, both (T*C,)."""
    return _Affine.apply(x, slope, shift)


class _Statistics(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        # The first half of PyTorch's own batch normalisation: one fused pass, with nothing to update. It adds up a
        # channel's numbers one by one, which in float32 loses two digits over tens of thousands of them, too many for
        # MAML's inner loop. So each column of pixels has sums of its own.
        height, width = x.shape[2:]
        columns = x.permute(0, 2, 3, 1).reshape(len(x) * height, -1, 1, 1)
        means, variances = (s.view(width, -1) for s in torch.batch_norm_update_stats(columns, None, None, 0.0))
        mean = means.mean(0)
        variance = variances.mean(0) + (means - mean).square().mean(0)
        ctx.save_for_backward(x, mean)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        """grad_mean / n + 2 (x - mean) grad_variance / n, in one pass over x."""
        x, mean = ctx.saved_tensors
        grad_mean, grad_variance = (grad * (mean.numel() / x.numel()) for grad in grads)
        slope = 2 * grad_variance
        return affine(x, slope, grad_mean - slope * mean)


class _Affine(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return torch.addcmul(shift[:, None, None], x, slope[:, None, None])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, slope = ctx.saved_tensors
        (grad,) = grads
        wants_x, wants_slope, wants_shift = ctx.needs_input_grad
        return (
            grad * slope[:, None, None] if wants_x else None,
            (grad * x).sum((0, 2, 3)) if wants_slope else None,
            grad.sum((0, 2, 3)) if wants_shift else None,
        )
