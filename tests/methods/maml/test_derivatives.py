"""What MAML passes images through, against PyTorch's own, up to gradients of gradients."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.maml.derivatives import convolve, max_pool
from methods.networks.normalisation import affine, statistics

TASKS, INPUTS, OUTPUTS = 2, 3, 4


def plain_convolve(x: Tensor, kernel: Tensor) -> Tensor:
    groups = zip(x.chunk(TASKS, dim=1), kernel, strict=True)
    return torch.cat([F.conv2d(part, one, padding="same") for part, one in groups], dim=1)


def plain_statistics(x: Tensor) -> Tensor:
    return torch.stack([x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)])


def plain_affine(x: Tensor, slope: Tensor, shift: Tensor) -> Tensor:
    return x * slope[:, None, None] + shift[:, None, None]


def random(*shape: int) -> Tensor:
    tensor = torch.randn(shape, dtype=torch.float64)
    return (tensor.contiguous(memory_format=torch.channels_last) if len(shape) == 4 else tensor).requires_grad_()


X = (3, TASKS * INPUTS, 5, 4)
CHANNELS = (TASKS * INPUTS,)
CASES: dict[str, tuple[Any, Any, list[tuple[int, ...]]]] = {
    "convolve": (convolve, plain_convolve, [X, (TASKS, OUTPUTS, INPUTS, 3, 3)]),
    "max-pool": (max_pool, lambda x: F.max_pool2d(x, 2), [X]),
    "statistics": (lambda x: torch.stack(statistics(x)), plain_statistics, [X]),
    "affine": (affine, plain_affine, [X, CHANNELS, CHANNELS]),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_two_orders_of_gradients(name):
    ours, plain, shapes = CASES[name]
    torch.manual_seed(0)
    inputs = [random(*shape) for shape in shapes]

    def derivatives(function):
        value = function(*inputs)
        torch.manual_seed(1)  # the same directions for both
        first = torch.autograd.grad((value * torch.randn_like(value)).sin().sum(), inputs, create_graph=True)
        total = sum(((gradient * torch.randn_like(gradient)).sum() for gradient in first), torch.tensor(0.0))
        return value, *first, *torch.autograd.grad(total, inputs)

    for got, expected in zip(derivatives(ours), derivatives(plain), strict=True):
        assert expected.abs().max() > 1e-3
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
