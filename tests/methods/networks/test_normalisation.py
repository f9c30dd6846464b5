"""The halves of batch normalisation; their derivatives are in test_maml_derivatives."""

import torch

from methods.networks.normalisation import statistics


def test_statistics_are_precise_in_single_precision():
    torch.manual_seed(0)
    x = (5 + torch.randn(60, 6, 28, 28)).contiguous(memory_format=torch.channels_last)
    variance, mean = torch.var_mean(x.double(), (0, 2, 3), correction=0)
    found = statistics(x)
    torch.testing.assert_close(found.mean.double(), mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(found.variance.double(), variance, rtol=2e-6, atol=0)
