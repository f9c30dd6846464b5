from collections.abc import Mapping

import numpy as np
import torch

from benchmark.data import load
from benchmark.data.configs import GlyphsConfig
from benchmark.data.dataset import ClassImages
from benchmark.data.glyphs import draw

SMALL = GlyphsConfig(name="glyphs", train_classes=6, validation_classes=3, test_classes=40, images_per_class=8)


def test_sizes_and_polarity() -> None:
    dataset = load(SMALL)
    assert {name: len(split.names) for name, split in dataset.splits.items()} == {
        "train": 6,
        "validation": 3,
        "test": 40,
    }
    for split in dataset.splits.values():
        assert split.images.shape == (8 * len(split.names), 1, 28, 28)
        assert split.images.dtype == torch.uint8
        ink = split.images.float().mean(dim=(1, 2, 3)) / 255
        assert ink.min() > 0.01 and ink.max() < 0.35  # bright strokes on black, none missing, no blobs
        assert split.images.amax(dim=(1, 2, 3)).min() > 200


def test_images_are_the_same_on_every_machine_and_version() -> None:
    assert load(SMALL).sha256 == "403763afc159cd16c4695640c490444d8b6216406f6648b2b8c97beb92730dbc"


def test_a_drawing_depends_on_its_key_alone() -> None:
    assert np.array_equal(draw((0, 2, 5), 3), draw((0, 2, 5), 7)[:3])
    few = load(SMALL).splits["test"].images
    more = load(SMALL.model_copy(update={"train_classes": 9})).splits["test"].images
    assert torch.equal(few, more)
    other = load(SMALL.model_copy(update={"seed": 1})).splits["test"].images
    assert not torch.equal(few, other)


def test_no_two_drawings_are_equal_within_or_across_splits() -> None:
    images = torch.cat([split.images for split in load(SMALL).splits.values()])
    assert len(images.flatten(1).unique(dim=0)) == len(images)


def test_raw_pixels_are_above_chance_and_no_solution() -> None:
    """5-way 1-shot with the nearest support image; chance is 20 %."""
    assert 0.4 < nearest_pixel_accuracy(load(SMALL).splits) < 0.65


def nearest_pixel_accuracy(splits: Mapping[str, ClassImages]) -> float:
    test = splits["test"]
    images = test.images.double().reshape(len(test.names), -1, 28 * 28)
    generator = torch.Generator().manual_seed(0)
    right = []
    for _ in range(300):
        classes = torch.randperm(len(images), generator=generator)[:5]
        chosen = torch.randperm(images.shape[1], generator=generator)
        support, queries = images[classes, chosen[0]], images[classes, chosen[1]]
        right.append((torch.cdist(queries, support).argmin(1) == torch.arange(5)).double().mean())
    return float(torch.stack(right).mean())
