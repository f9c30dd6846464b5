"""Augmentation against torchvision's own functions, one image at a time, and in episodes."""

from dataclasses import replace

import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from scipy import stats
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.data.pixels.augmentation import RANDOM_NUMBERS, Augmentation, jittered
from benchmark.data.pixels.normalization import Normalization
from benchmark.episodes.draw import augmentation_numbers, draw, stream
from benchmark.episodes.sampling import sample

IDENTITY = torch.tensor([0.9, 0.5, 0.5, 0.5, 0.5, 0.5])
"""No flip, the middle crop, every colour factor 1."""
SHAPE = EpisodesConfig(ways=3, shots=1, queries=2)


def noise(count: int, size: int = 12) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def photographs() -> ClassImages:
    images = noise(24)
    return ClassImages(images, torch.arange(0, 25, 4), tuple("abcdef"), augmentation=Augmentation(2))


def numbers(count: int, **changed: float) -> Tensor:
    order = ["flip", "down", "right", "brightness", "contrast", "saturation"]
    rows = IDENTITY.repeat(count, 1)
    for name, value in changed.items():
        rows[:, order.index(name)] = value
    return rows


def test_the_middle_of_everything_changes_nothing() -> None:
    assert torch.equal(Augmentation(2)(noise(3), numbers(3)), noise(3))


def test_a_flip_mirrors_and_a_second_one_undoes_it() -> None:
    once = Augmentation(2)(noise(3), numbers(3, flip=0.2))
    assert torch.equal(once, noise(3).flip(-1))
    assert torch.equal(Augmentation(2)(once, numbers(3, flip=0.2)), noise(3))


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (0.3, 0.999), (0.999, 0.5)])
def test_a_crop_is_torchvisions_of_the_padded_image(down: float, right: float) -> None:
    cropped = Augmentation(2)(noise(2), numbers(2, down=down, right=right))
    assert torch.equal(cropped, oracle.crop(oracle.pad(noise(2), [2] * 4), int(down * 5), int(right * 5), 12, 12))


def test_colours_are_torchvisions_one_image_at_a_time() -> None:
    images = noise(5).float() / 255
    factors = 0.6 + 0.8 * torch.rand(3, 5, generator=torch.Generator().manual_seed(2))
    together = jittered(images, *factors)
    for image, one, (b, c, s) in zip(images, together, factors.T.tolist(), strict=True):
        expected = oracle.adjust_saturation(oracle.adjust_contrast(oracle.adjust_brightness(image, b), c), s)
        torch.testing.assert_close(one, expected, atol=1e-6, rtol=0)


def test_each_image_is_changed_by_its_own_numbers() -> None:
    images, rows = noise(4), torch.rand(4, RANDOM_NUMBERS, generator=torch.Generator().manual_seed(3))
    together = Augmentation(2)(images, rows)
    for i in range(4):
        assert torch.equal(together[i : i + 1], Augmentation(2)(images[i : i + 1], rows[i : i + 1]))


def test_an_index_is_the_same_task_in_every_batch() -> None:
    images, s = photographs(), stream("train", 0)
    whole = sample(images, SHAPE, s, 5, 6)
    parts = [sample(images, SHAPE, s, 5, 2), sample(images, SHAPE, s, 7, 4)]
    for name in ("support_images", "query_images"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(part, name) for part in parts]))
    assert not torch.equal(whole.query_images, sample(replace(images, augmentation=None), SHAPE, s, 5, 6).query_images)
    assert not torch.equal(whole.query_images[0], sample(images, SHAPE, stream("train", 1), 5, 1).query_images[0])


def test_an_image_is_changed_anew_in_every_episode_and_never_recoloured_alike() -> None:
    drawn = draw(photographs(), SHAPE, stream("train", 0), torch.arange(2000))
    found = augmentation_numbers(drawn)
    assert found.shape == (2000, 3, 3, RANDOM_NUMBERS)
    assert found.min() >= 0 and found.max() < 1
    rows = found.flatten(0, 2)
    assert len(rows.unique(dim=0)) == len(rows)
    for number in range(RANDOM_NUMBERS):
        counts = torch.bincount((rows[:, number] * 20).long(), minlength=20)
        assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    correlations = torch.corrcoef(rows.T) - torch.eye(RANDOM_NUMBERS)
    assert correlations.abs().max() < 0.04  # 18,000 independent rows: six standard deviations


def test_normalised_pixels_are_those_of_the_definition_and_back() -> None:
    images = photographs()
    raw = sample(replace(images, augmentation=None), SHAPE, stream("test", 0), 0, 2).query_images
    by_channel = Normalization((0.1, 0.2, 0.3), (0.5, 0.25, 2.0))
    plain = replace(images, augmentation=None, normalization=by_channel)
    normalised = sample(plain, SHAPE, stream("test", 0), 0, 2).query_images
    for channel, (mean, std) in enumerate(zip(*by_channel, strict=True)):
        torch.testing.assert_close(normalised[:, :, channel], (raw[:, :, channel] - mean) / std)
    torch.testing.assert_close(by_channel.inverse(normalised), raw)
