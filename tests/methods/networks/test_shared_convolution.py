"""One kernel for all tasks: the same numbers as convolving task by task, and gradients of gradients."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.networks.conv4 import convolve, group_tasks, ungroup_tasks
from methods.networks.shared_convolution import WIDE

TASKS = 3


def _shared(x: Tensor, kernel: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
    """(T, B, Cout, H', W') from images (T, B, Cin, H, W)."""
    expanded = None if bias is None else bias.expand(TASKS, -1)
    out = convolve(group_tasks(x), kernel.expand(TASKS, *kernel.shape), expanded, stride, padding)
    assert out.is_contiguous(memory_format=torch.channels_last)
    return ungroup_tasks(out, TASKS)


@pytest.mark.parametrize("channels", [1, 4, WIDE])
@pytest.mark.parametrize(("stride", "padding", "with_bias"), [(1, 1, False), (2, 0, True), (2, 1, True)])
def test_as_task_by_task(channels: int, stride: int, padding: int, with_bias: bool) -> None:
    draw = torch.Generator().manual_seed(0)
    x, kernel, bias = (
        torch.randn(*shape, generator=draw, dtype=torch.float64, requires_grad=True)
        for shape in [(TASKS, 2, channels, 7, 6), (5, channels, 3, 3), (5,)]
    )
    inputs = [x, kernel, bias] if with_bias else [x, kernel]
    shared = _shared(x, kernel, bias if with_bias else None, stride, padding)
    alone = torch.stack([F.conv2d(images, kernel, bias if with_bias else None, stride, padding) for images in x])
    torch.testing.assert_close(shared, alone)
    weight = torch.randn(shared.shape, generator=draw, dtype=torch.float64)
    for one, other in zip(*(torch.autograd.grad((out * weight).sum(), inputs) for out in (shared, alone)), strict=True):
        torch.testing.assert_close(one, other)


def test_gradients_of_gradients() -> None:
    draw = torch.Generator().manual_seed(0)
    x, kernel, bias = (
        torch.randn(*shape, generator=draw, dtype=torch.float64, requires_grad=True)
        for shape in [(TASKS, 1, 2, 4, 4), (2, 2, 3, 3), (2,)]
    )
    assert torch.autograd.gradgradcheck(lambda x, kernel, bias: _shared(x, kernel, bias, 2, 1), (x, kernel, bias))
