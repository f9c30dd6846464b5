"""Networks for several tasks at once, against one plain network per task."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from methods.networks.architecture import Architecture
from methods.networks.conv4 import (
    NORM_EPS,
    ConvWeights,
    LinearWeights,
    NetworkWeights,
    classify,
    feature_count,
    group_tasks,
    normalise,
    sides,
    ungroup_tasks,
)
from methods.networks.normalisation import statistics

TASKS, IMAGES, WAYS, CHANNELS, SHAPE = 3, 5, 4, 4, (2, 28, 28)


def random_numbers(bias: bool = True) -> list[Tensor]:
    """Per block: kernel, scale, offset, bias; then weight and bias of the linear layer; each (T, ...)."""
    torch.manual_seed(0)
    numbers = []
    for inputs in (SHAPE[0], CHANNELS, CHANNELS, CHANNELS):
        numbers += [torch.randn(TASKS, CHANNELS, inputs, 3, 3, dtype=torch.float64) / 3]
        numbers += [torch.randn(TASKS, CHANNELS, dtype=torch.float64) for _ in range(3 if bias else 2)]
    numbers += [
        torch.randn(TASKS, WAYS, feature_count(SHAPE, CHANNELS), dtype=torch.float64),
        torch.randn(TASKS, WAYS, dtype=torch.float64),
    ]
    return [number.requires_grad_() for number in numbers]


def random_images() -> Tensor:
    return torch.randn(TASKS, IMAGES, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def all_at_once(images: Tensor, numbers: list[Tensor], slope: float = 0.0) -> Tensor:
    size = (len(numbers) - 2) // 4
    blocks = []
    for block in range(4):
        kernel, scale, offset, *bias = numbers[size * block : size * (block + 1)]
        blocks.append(ConvWeights(kernel, scale, offset, bias[0] if bias else None))
    architecture = Architecture(negative_slope=slope)
    return classify(images, NetworkWeights(blocks, LinearWeights(*numbers[-2:]), architecture))


OTHERS = [
    Architecture(blocks=3, stride=2, max_pool=False),
    Architecture(blocks=4, kernel_size=2, max_pool=False, negative_slope=0.01),
    Architecture(kernel_size=5),
    Architecture(blocks=2, stride=2),
]


@pytest.mark.parametrize("architecture", OTHERS)
def test_other_architectures_equal_one_network_per_task(architecture):
    torch.manual_seed(0)
    size, images = architecture.kernel_size, random_images()
    blocks = [
        ConvWeights(
            torch.randn(TASKS, CHANNELS, inputs, size, size).double(), *torch.randn(3, TASKS, CHANNELS).double()
        )
        for inputs in [SHAPE[0]] + [CHANNELS] * (architecture.blocks - 1)
    ]
    features = feature_count(SHAPE, CHANNELS, architecture)
    last = LinearWeights(torch.randn(TASKS, WAYS, features).double(), torch.randn(TASKS, WAYS).double())
    expected = []
    for task, x in enumerate(images):
        seen = [x.shape[2:]]
        for block in blocks:
            assert block.bias is not None
            padding = (size - 1) // 2 if architecture.max_pool else 0
            x = F.conv2d(x, block.kernel[task], block.bias[task], architecture.stride, padding)
            x = F.leaky_relu(x, architecture.negative_slope)
            x = F.max_pool2d(x, 2) if architecture.max_pool else x
            x = F.batch_norm(x, None, None, block.scale[task], block.offset[task], training=True, eps=NORM_EPS)
            seen.append(x.shape[2:])
        assert sides(SHAPE, architecture) == seen
        x = x.flatten(1) if architecture.max_pool else x.mean((2, 3))
        expected.append(F.linear(x, last.weight[task], last.bias[task]))
    found = classify(images, NetworkWeights(blocks, last, architecture))
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("architecture", [Architecture(), Architecture(4, 3, 2, max_pool=False), *OTHERS])
def test_the_smallest_images(architecture):
    least = architecture.smallest_side
    assert min(sides((1, least, least + 3), architecture)[-1]) == 1
    with pytest.raises(ValueError, match=f"{least + 3}x{least - 1} pixels are too small: .* at least {least}x{least}"):
        sides((1, least + 3, least - 1), architecture)
    assert Architecture(4, 3, 2, max_pool=False).smallest_side == 31  # why the original's 4-layer fails on Omniglot


def one_by_one(images: Tensor, numbers: list[Tensor], slope: float = 0.0) -> Tensor:
    """The paper's order, one task at a time: convolution, activation, pooling, normalisation."""
    size = (len(numbers) - 2) // 4
    logits = []
    for task in range(TASKS):
        x = images[task]
        for block in range(4):
            kernel, scale, offset, *bias = (number[task] for number in numbers[size * block : size * (block + 1)])
            x = F.conv2d(x, kernel, bias[0] if bias else None, padding="same")
            x = F.max_pool2d(F.leaky_relu(x, slope), 2)
            x = F.batch_norm(x, None, None, scale, offset, training=True, eps=NORM_EPS)
        logits.append(F.linear(x.flatten(1), numbers[-2][task], numbers[-1][task]))
    return torch.stack(logits)


@pytest.mark.parametrize("slope", [0.0, 0.01])
@pytest.mark.parametrize("bias", [True, False])
def test_equals_one_network_per_task(bias, slope):
    images, numbers = random_images(), random_numbers(bias)
    batched, plain = all_at_once(images, numbers, slope), one_by_one(images, numbers, slope)
    torch.testing.assert_close(batched, plain, rtol=1e-10, atol=1e-10)
    found = torch.autograd.grad(batched.square().sum(), numbers)
    expected = torch.autograd.grad(plain.square().sum(), numbers)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)


def test_gradients_of_gradients_equal_those_of_one_network_per_task():
    images, numbers = random_images(), random_numbers()

    def second_order(network):
        first = torch.autograd.grad(network(images, numbers).square().mean(), numbers, create_graph=True)
        penalty = torch.stack([gradient.square().sum() for gradient in first]).sum()
        return torch.autograd.grad(penalty, numbers)

    torch.testing.assert_close(second_order(all_at_once), second_order(one_by_one), rtol=1e-7, atol=1e-8)


def test_tasks_do_not_influence_each_other():
    images, numbers = random_images().requires_grad_(), random_numbers()
    logits = all_at_once(images, numbers)
    (gradient,) = torch.autograd.grad(logits[1].square().sum(), images)
    assert gradient[1].abs().max() > 0
    assert gradient[0].abs().max() == gradient[2].abs().max() == 0


def test_known_statistics_are_applied_as_a_trained_batch_norm_applies_its_own():
    grouped, other = group_tasks(random_images()), group_tasks(random_images() * 3 + 1)
    scale, offset = torch.randn(2, TASKS, SHAPE[0], dtype=torch.float64)
    known = statistics(other)
    expected = F.batch_norm(grouped, known.mean, known.variance, scale.flatten(), offset.flatten(), eps=NORM_EPS)
    torch.testing.assert_close(normalise(grouped, scale, offset, known), expected)


def test_gradient_with_scales_that_are_a_slice_of_something():
    grouped = group_tasks(random_images()).requires_grad_()
    scale, offset = torch.randn(TASKS, SHAPE[0], 5, dtype=torch.float64)[..., 1:3].unbind(-1)
    upstream = torch.randn_like(grouped)
    (found,) = torch.autograd.grad(normalise(grouped, scale, offset), grouped, upstream)
    by_hand = normalise(grouped, scale, offset, statistics(grouped))
    torch.testing.assert_close(found, torch.autograd.grad(by_hand, grouped, upstream)[0], rtol=1e-9, atol=1e-9)


def test_without_known_statistics_the_batch_supplies_them():
    grouped = group_tasks(random_images())
    scale, offset = torch.randn(2, TASKS, SHAPE[0], dtype=torch.float64)
    torch.testing.assert_close(
        normalise(grouped, scale, offset),
        normalise(grouped, scale, offset, statistics(grouped)),
        rtol=1e-10,
        atol=1e-10,
    )


def test_statistics_are_per_task_and_channel():
    images = random_images()
    found = statistics(group_tasks(images))
    torch.testing.assert_close(found.mean, images.mean((1, 3, 4)).flatten())
    torch.testing.assert_close(found.variance, images.var((1, 3, 4), correction=0).flatten())


def test_grouping_can_be_undone():
    images = random_images()
    assert torch.equal(ungroup_tasks(group_tasks(images), TASKS), images)


def test_sides_and_features():
    assert sides((1, 28, 28)) == [(28, 28), (14, 14), (7, 7), (3, 3), (1, 1)]
    assert feature_count((1, 28, 28), 8) == 8
    assert feature_count((3, 84, 84), 8) == 8 * 25
    with pytest.raises(ValueError, match="14x28 pixels are too small"):
        sides((1, 14, 28))


def test_normalising_each_image_by_itself():
    images = random_images()
    scale, offset = torch.rand(2, TASKS, images.shape[2], dtype=torch.float64)
    found = normalise(group_tasks(images), scale, offset, "image")
    for task, of_task in enumerate(found.unflatten(1, (TASKS, -1)).unbind(1)):
        alone = F.layer_norm(images[task], images.shape[2:], eps=NORM_EPS)
        torch.testing.assert_close(of_task, alone * scale[task, :, None, None] + offset[task, :, None, None])
