"""Compiled batch normalisation against PyTorch in float64, to 1e-5 of the largest number."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from methods.compiled.normalisation import normalise, normalise_pool, takes

pytestmark = pytest.mark.usefixtures("compiled")

EPS = 1e-3
Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def plain(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return normalise(x, scale, offset, EPS)


def plain_by_torch(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return F.batch_norm(x, None, None, scale, offset, training=True, eps=EPS)


def rectified(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return normalise(x, scale, offset, EPS, rectify=True)


def rectified_by_torch(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return plain_by_torch(F.relu(x), scale, offset)


def pooled(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return normalise_pool(x, scale.abs(), offset, EPS)[0]


def pooled_by_torch(x: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    return F.max_pool2d(plain_by_torch(x, scale.abs(), offset), 2)


PAIRS = [(plain, plain_by_torch), (rectified, rectified_by_torch), (pooled, pooled_by_torch)]


def random(*shape: int, seed: int = 0) -> list[Tensor]:
    """x, scale and offset; the channels differ in size and lie away from 0."""
    draw = torch.Generator().manual_seed(seed)
    channels = shape[1]
    width, centre, scale, offset = torch.randn(4, channels, generator=draw)
    x = torch.randn(shape, generator=draw) * (width.abs() + 0.1)[:, None, None] + centre[:, None, None]
    return [x, scale, offset]


def outputs(operation: Operation, tensors: list[Tensor]) -> list[Tensor]:
    """The output, and the gradients of all arguments where it has random weights."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    out = operation(*leaves)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
    return [out.detach(), *torch.autograd.grad(out, leaves, weights)]


def close(found: Tensor, expected: Tensor) -> bool:
    return bool((found.double() - expected.double()).abs().max() <= 1e-5 * (1 + expected.abs().max()))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    images=st.integers(2, 5),
    channels=st.sampled_from([1, 3, 4, 8, 24, 33, 64]),
    height=st.integers(2, 15),
    width=st.integers(2, 15),
    pair=st.sampled_from(PAIRS),
)
def test_equals_pytorch_in_float64(
    images: int, channels: int, height: int, width: int, pair: tuple[Operation, Operation]
) -> None:
    tensors = random(images, channels, height, width)
    found = outputs(pair[0], tensors)
    expected = outputs(pair[1], [tensor.double() for tensor in tensors])
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert close(one, other)


@pytest.mark.parametrize("operation", [plain, rectified, pooled])
def test_gradients_are_the_slopes_of_the_output(operation: Operation) -> None:
    tensors = random(3, 4, 6, 5)
    out, *grads = outputs(operation, tensors)
    weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).double()
    for position, grad in enumerate(grads):
        direction = torch.randn(grad.shape, generator=torch.Generator().manual_seed(2 + position))
        moved = []
        for step in (1e-3, -1e-3):
            changed = [t + step * direction if i == position else t for i, t in enumerate(tensors)]
            moved.append((operation(*changed).double() * weights).sum())
        assert float((moved[0] - moved[1]) / 2e-3) == pytest.approx(float((grad * direction).sum()), rel=2e-2, abs=2e-3)


def test_statistics_are_precise_in_single_precision() -> None:
    torch.manual_seed(0)
    x = 5 + torch.randn(60, 6, 28, 28)
    variance, mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    _, found_mean, found_variance = normalise_pool(x, torch.ones(6), torch.zeros(6), EPS)
    torch.testing.assert_close(found_mean.double(), mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(found_variance.double(), variance, rtol=2e-6, atol=0)


def test_of_equal_pixels_the_first_has_the_gradient_as_in_pytorch() -> None:
    x = torch.randint(0, 3, (3, 8, 8, 8), generator=torch.Generator().manual_seed(0)).float()
    tensors = [x, torch.ones(8), torch.zeros(8)]
    for one, other in zip(outputs(pooled, tensors), outputs(pooled_by_torch, tensors), strict=True):
        assert close(one, other)


@pytest.mark.parametrize("operation", [plain, rectified, pooled])
def test_nan_stays_nan(operation: Operation) -> None:
    x, scale, offset = random(2, 4, 6, 6)
    x[0, 2, 1, 1] = torch.nan
    assert operation(x, scale, offset).isnan().any((0, 2, 3)).tolist() == [False, False, True, False]


@pytest.mark.parametrize(("operation", "by_torch"), PAIRS)
def test_gradients_of_gradients_are_pytorchs(operation: Operation, by_torch: Operation) -> None:
    def curvature(function: Operation, tensors: list[Tensor]) -> list[Tensor]:
        leaves = [tensor.clone().requires_grad_() for tensor in tensors]
        out = function(*leaves)
        weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
        grads = torch.autograd.grad((out.square() * weights).sum(), leaves, create_graph=True)
        return list(torch.autograd.grad(torch.stack([grad.square().sum() for grad in grads]).sum(), leaves))

    tensors = random(3, 4, 6, 5)
    expected = curvature(by_torch, [tensor.double() for tensor in tensors])
    for one, other in zip(curvature(operation, tensors), expected, strict=True):
        assert (one - other).abs().max() <= 1e-4 * (1 + other.abs().max())


def test_what_it_does_not_take() -> None:
    x, scale, offset = random(2, 4, 6, 6)
    assert takes(x, scale, offset)
    assert not takes(x.double(), scale.double(), offset.double())
    assert not takes(x[:1, :, :1, :1], scale, offset)  # one number has no variance: PyTorch says so
