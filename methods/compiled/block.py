"""A convolution with a kernel per task, 2x2 max-pooling and ReLU as one operation, and its gradients."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function

from methods.compiled import library
from methods.compiled.twice import differentiable

LANES = 4
"""Channels come in multiples of it, the shortest vector."""


def takes(x: Tensor, kernel: Tensor, bias: Tensor | None) -> bool:
    """Whether `convolve_pool` can do these (T, Cout, Cin, k, k): 3x3, and as many channels as fill vectors.

    A number of input channels that does not is fine where x needs no gradient, as images do not.
    """
    outputs, inputs, *size = kernel.shape[1:]
    fits = size == [3, 3] and outputs % LANES == 0 and min(x.shape[2:]) > 1
    return fits and (inputs % LANES == 0 or not x.requires_grad) and library.takes(x, kernel, bias)


def convolve_pool(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """relu(max_pool2d(conv2d(x, kernel of each task, bias, padding=1), 2)), equal to PyTorch's up to rounding.

    Args:
        x: (B, T*Cin, H, W), grouped as in `methods.networks.conv4`, in channels_last memory (else it is copied).
        kernel: (T, Cout, Cin, 3, 3).
        bias: (T, Cout) or None.

    Returns:
        (B, T*Cout, H // 2, W // 2) in channels_last memory. What an image of a task gives depends on no other.
    """
    return _ConvolvePool.apply(x, kernel, bias)


class _ConvolvePool(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
        ctx.library = library.load()
        (images, _, height, width), (tasks, outputs, _) = x.shape, kernel.shape[:3]
        out = _empty(images, tasks * outputs, height // 2, width // 2)
        winner = torch.empty(out.numel(), dtype=torch.uint8) if any(ctx.needs_input_grad) else None
        ctx.save_for_backward(x, kernel, bias, winner)
        library.call(ctx.library, "block_forward", (*_plain(x, kernel, bias), out, winner), *_sizes(x, kernel))
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, kernel, bias, winner = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody wants gradients of these gradients
            return differentiable(_with_torch, (x, kernel, bias), grads[0], ctx.needs_input_grad)
        grad = grads[0].contiguous(memory_format=torch.channels_last)
        grad_x = _empty(*x.shape) if ctx.needs_input_grad[0] else None
        grad_kernel = kernel.new_zeros(kernel.shape)
        grad_bias = None if bias is None else bias.new_zeros(bias.shape)
        tensors = (*_plain(x, kernel)[:2], grad, winner, grad_x, grad_kernel, grad_bias)
        library.call(ctx.library, "block_backward", tensors, *_sizes(x, kernel))
        return grad_x, grad_kernel, grad_bias


def _plain(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor | None]:
    """The tensors in the layouts that block.cpp reads; itself where a tensor is in it already."""
    plain = x.contiguous(memory_format=torch.channels_last)
    return plain, kernel.contiguous(), None if bias is None else bias.contiguous()


def _sizes(x: Tensor, kernel: Tensor) -> tuple[int, ...]:
    (images, _, height, width), (tasks, outputs, inputs) = x.shape, kernel.shape[:3]
    return images, height, width, tasks, inputs, outputs


def _empty(*shape: int) -> Tensor:
    return torch.empty(shape, memory_format=torch.channels_last)


def _with_torch(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    shift = None if bias is None else bias.flatten()
    return F.relu(F.max_pool2d(F.conv2d(x, kernel.flatten(0, 1), shift, padding=1, groups=len(kernel)), 2))
