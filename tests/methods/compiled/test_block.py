"""The compiled block against PyTorch in float64.

Tolerance: 1e-5 of the largest number, which allows a float32 sum of 9 * 64 products to be rounded at every step.
"""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.compiled import library
from methods.compiled.block import convolve_pool, takes

pytestmark = pytest.mark.usefixtures("compiled")

TOLERANCE = 1e-5


def by_torch(x: Tensor, kernel: Tensor, bias: Tensor | None) -> Tensor:
    shift = None if bias is None else bias.flatten()
    return F.relu(F.max_pool2d(F.conv2d(x, kernel.flatten(0, 1), shift, padding=1, groups=len(kernel)), 2))


def random(
    images: int, tasks: int, inputs: int, outputs: int, height: int, width: int, bias: bool = True, seed: int = 0
) -> list[Tensor]:
    """Image (B, T*Cin, H, W), kernel and bias in float32."""
    draw = torch.Generator().manual_seed(seed)
    shapes = [(images, tasks * inputs, height, width), (tasks, outputs, inputs, 3, 3), (tasks, outputs)]
    return [torch.randn(shape, generator=draw) for shape in shapes[: 2 + bias]]


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found.double() - expected.double()).abs().max() <= TOLERANCE * (1 + expected.abs().max()))


def gradients(function: Callable[..., Tensor], tensors: list[Tensor], wanted: list[bool]) -> list[Tensor]:
    """Of the output with random weights, for those that are wanted; after the output."""
    leaves = [tensor.clone().requires_grad_(want) for tensor, want in zip(tensors, wanted, strict=True)]
    out = function(*leaves, *[None] * (3 - len(leaves)))
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, [leaf for leaf in leaves if leaf.requires_grad], weights)]


@settings(max_examples=60, deadline=None, derandomize=True)  # the same shapes always: no numbers that happen to tie
@given(
    images=st.integers(1, 3),
    tasks=st.integers(1, 3),
    inputs=st.sampled_from([1, 2, 3, 4, 8, 12, 16, 24, 32]),
    outputs=st.sampled_from([4, 8, 12, 16, 24, 32, 48]),
    height=st.integers(2, 9),
    width=st.integers(2, 9),
    bias=st.booleans(),
)
def test_equals_pytorch_in_float64(
    images: int, tasks: int, inputs: int, outputs: int, height: int, width: int, bias: bool
) -> None:
    tensors = random(images, tasks, inputs, outputs, height, width, bias)
    wanted = [inputs % 4 == 0, True, True][: len(tensors)]
    found = gradients(convolve_pool, tensors, wanted)
    expected = gradients(by_torch, [tensor.double() for tensor in tensors], wanted)
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert close(one, other)


@pytest.mark.parametrize(("images", "inputs", "outputs", "side"), [(2, 3, 32, 84), (2, 64, 64, 21), (3, 1, 64, 28)])
def test_equals_pytorch_at_the_sizes_of_published_grids(images: int, inputs: int, outputs: int, side: int) -> None:
    tensors = random(images, 2, inputs, outputs, side, side)
    wanted = [inputs > 3, True, True]
    found = gradients(convolve_pool, tensors, wanted)
    expected = gradients(by_torch, [tensor.double() for tensor in tensors], wanted)
    assert all(close(one, other) for one, other in zip(found, expected, strict=True))


def test_gradients_are_the_slopes_of_the_output() -> None:
    """By finite differences: between two ties the output is linear in each argument, so a step may be long."""
    tensors = random(2, 2, 4, 8, 7, 5)
    out, *grads = gradients(convolve_pool, tensors, [True, True, True])
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).double()
    for position, grad in enumerate(grads):
        direction = torch.randn(grad.shape, generator=torch.Generator().manual_seed(2 + position))
        moved = []
        for step in (1e-3, -1e-3):
            changed = [t + step * direction if i == position else t for i, t in enumerate(tensors)]
            moved.append((convolve_pool(*changed).double() * weights).sum())
        assert float((moved[0] - moved[1]) / 2e-3) == pytest.approx(float((grad * direction).sum()), rel=2e-2)


def test_of_equal_pixels_the_first_has_the_gradient_as_in_pytorch() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randint(-1, 2, (3, 8, 8, 8), generator=draw).float()
    kernel = torch.randint(-1, 2, (2, 4, 4, 3, 3), generator=draw).float()
    wanted = [True, True]
    convolved = F.conv2d(x, kernel.flatten(0, 1), padding=1, groups=2)
    windows = F.unfold(convolved.flatten(0, 1)[:, None], 2, stride=2)
    assert ((windows == windows.amax(1, keepdim=True)).sum(1) > 1).float().mean() > 0.1  # there are many ties
    expected = gradients(by_torch, [x, kernel], wanted)
    for one, other in zip(gradients(convolve_pool, [x, kernel], wanted), expected, strict=True):
        assert close(one, other)


def test_nan_stays_nan() -> None:
    """So that a training that diverges is seen to."""
    x, kernel, bias = random(1, 2, 4, 8, 6, 6)
    x[0, 0, 2, 3] = torch.nan
    assert torch.equal(convolve_pool(x, kernel, bias).isnan(), by_torch(x, kernel, bias).isnan())


@pytest.mark.parametrize("outputs", [4, 8, 16])
def test_an_image_is_treated_alike_in_any_company(outputs: int) -> None:
    """To the last bit: of its task alone, with other images and with other tasks."""
    tensors = random(3, 3, 8, outputs, 7, 7)
    x, kernel, bias = tensors
    whole = convolve_pool(x, kernel, bias).unflatten(1, (3, outputs))
    for task in range(3):
        own = x[1:2, 8 * task : 8 * (task + 1)]
        alone = convolve_pool(own, kernel[task : task + 1], bias[task : task + 1])
        assert torch.equal(alone[0], whole[1, task])


def test_any_layout_is_welcome() -> None:
    x, kernel, bias = random(2, 2, 4, 8, 6, 5)
    shared = kernel[:1].expand(2, -1, -1, -1, -1)
    turned = x.transpose(2, 3)
    grads = gradients(convolve_pool, [turned, kernel.transpose(3, 4), bias], [True, True, True])
    for one, other in zip(
        grads, gradients(by_torch, [turned, kernel.transpose(3, 4), bias], [True, True, True]), strict=True
    ):
        assert close(one, other)
    assert close(convolve_pool(x, shared, bias), by_torch(x, shared, bias))


def test_without_gradients_the_output_is_the_same() -> None:
    x, kernel, bias = random(2, 2, 4, 8, 6, 5)
    with torch.inference_mode():
        alone = convolve_pool(x, kernel, bias)
    assert torch.equal(alone, convolve_pool(x, kernel.requires_grad_(), bias))


def test_gradients_of_gradients_are_pytorchs() -> None:
    def curvature(function: Callable[..., Tensor], tensors: list[Tensor]) -> list[Tensor]:
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        grads = torch.autograd.grad(function(*leaves).square().sum(), leaves, create_graph=True)
        return list(torch.autograd.grad(torch.stack([grad.square().sum() for grad in grads]).sum(), leaves))

    tensors = random(2, 2, 4, 8, 6, 5)
    expected = curvature(by_torch, [tensor.double() for tensor in tensors])
    for one, other in zip(curvature(convolve_pool, tensors), expected, strict=True):
        assert close(one, other)


def test_what_it_does_not_take() -> None:
    x, kernel, bias = random(2, 2, 4, 8, 6, 6)
    assert takes(x, kernel, bias)
    assert not takes(x.double(), kernel.double(), bias.double())
    assert not takes(x[:, :, :1], kernel, bias)  # nothing behind the pooling
    assert not takes(x[:0], kernel, bias)
    assert not takes(x, kernel[..., :1, :1], bias)
    assert not takes(x, kernel[:, :6], bias[:, :6])
    colours = random(2, 2, 3, 8, 6, 6)
    assert takes(*colours)
    assert not takes(colours[0].requires_grad_(), *colours[1:])
    with library.chosen("torch"):
        assert not takes(x, kernel, bias)
