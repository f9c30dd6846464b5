"""Counting multiplications and additions, and how many a device can do."""

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmark.machine.clock import clock
from methods.compiled import library

SIDE = 1024
"""Of the matrices whose product measures the peak."""


def count(work: Callable[[], object]) -> int:
    """Floating-point operations (a multiplication and an addition are two) in convolutions, products and attention.

    PyTorch's counter knows neither that gradients of grouped convolutions stay within their group nor attention on a
    CPU; both are told to it here. What `methods.compiled` does it could not see, so PyTorch does it here.
    """
    aten = torch.ops.aten
    with (
        library.chosen("torch"),
        FlopCounterMode(
            display=False,
            custom_mapping={
                aten.convolution_backward: _convolution_backward,
                aten._scaled_dot_product_flash_attention_for_cpu: _attention,
                aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
            },
        ) as counter,
    ):
        work()
    return counter.get_total_flops()


def peak(device: torch.device) -> float:
    """Floating-point operations per second in the best of ten products of two float32 matrices, with as many threads
    as torch has now; on a GPU with TensorFloat-32 as it is set.
    """
    left, right = (torch.rand(SIDE, SIDE, device=device) for _ in range(2))
    torch.mm(left, right)
    seconds = []
    for _ in range(10):
        before = clock(device)
        for _ in range(3):
            torch.mm(left, right)
        seconds.append(clock(device) - before)
    return 3 * 2 * SIDE**3 / min(seconds)


def _convolution_backward(grad: Any, x: Any, kernel: Any, *options: Any, out_shape: Any = None) -> int:
    """Each wanted gradient, of the images or of the kernel, takes as many as the convolution itself."""
    wanted = options[-1]
    return (wanted[0] + wanted[1]) * 2 * prod(grad) * prod(kernel[1:])


def _attention(query: Any, key: Any, value: Any, *options: Any, **named: Any) -> int:
    """Queries times keys, and their weights times values."""
    return 2 * prod(query[:-1]) * key[-2] * (query[-1] + value[-1])


def _attention_backward(grad: Any, query: Any, key: Any, value: Any, *options: Any, **named: Any) -> int:
    """Five products where the forward pass has two: the weights once more, and both factors' gradients of both."""
    return 2 * prod(query[:-1]) * key[-2] * (3 * query[-1] + 2 * value[-1])
