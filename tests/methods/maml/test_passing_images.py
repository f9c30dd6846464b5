"""Statistics behind a convolution, without the convolution: equal to those of its result."""

import pytest
import torch

from methods.maml.derivatives import convolve
from methods.maml.passing_images import Images
from methods.networks.normalisation import statistics


@pytest.mark.parametrize("channels", [1, 3])
def test_statistics_are_those_of_the_convolution(channels: int) -> None:
    torch.manual_seed(0)
    images = Images(torch.rand(2, 5, channels, 9, 7, dtype=torch.float64))
    kernel = torch.randn(2, 4, channels, 3, 3, dtype=torch.float64, requires_grad=True)
    found, expected = images.statistics_behind(kernel), statistics(convolve(images.grouped, kernel))
    torch.testing.assert_close(found, expected)
    weight = torch.randn(8, dtype=torch.float64)
    one, other = (torch.autograd.grad(weight @ (s.mean * s.variance), kernel)[0] for s in (found, expected))
    torch.testing.assert_close(one, other)


def test_single_precision_is_kept_on_bright_images() -> None:
    """Far from zero a variance by squares less the squared mean would lose most of its digits."""
    torch.manual_seed(0)
    images = 10 + 0.01 * torch.rand(1, 20, 1, 28, 28)
    kernel = torch.tensor([[-1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]).expand(1, 1, 1, 3, 3)
    variance = Images(images).statistics_behind(kernel).variance
    exact = Images(images.double()).statistics_behind(kernel.double()).variance
    torch.testing.assert_close(variance.double(), exact, rtol=1e-5, atol=0)
