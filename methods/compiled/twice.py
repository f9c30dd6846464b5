"""Gradients of gradients, for which PyTorch's operations do the work."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def differentiable(
    function: Callable[..., Tensor], arguments: Sequence[Tensor | None], grad: Tensor, wanted: Sequence[bool]
) -> tuple[Tensor | None, ...]:
    """The gradients of the wanted arguments, made once more from PyTorch's operations, which have gradients themselves.

    For the backward pass of a `Function` whose compiled one cannot be differentiated.
    """
    out = function(*arguments)
    pairs = zip(arguments, wanted, strict=False)
    inputs = [tensor for tensor, wants in pairs if tensor is not None and wants]
    found = iter(torch.autograd.grad(out, inputs, grad, create_graph=True))
    pairs = zip(arguments, wanted, strict=False)
    return tuple(next(found) if tensor is not None and wants else None for tensor, wants in pairs)
