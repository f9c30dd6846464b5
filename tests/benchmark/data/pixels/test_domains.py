"""Domains: one way of showing images per task, the same for support and query, known to nobody but the harness."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError

from benchmark import data
from benchmark.cells.config import EpisodesConfig
from benchmark.data.configs import GlyphsConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw
from benchmark.episodes.sampling import fingerprint, sample

SHAPE = EpisodesConfig(ways=3, shots=2, queries=2)


def glyphs(domains: object = ()) -> ClassImages:
    config = GlyphsConfig(name="glyphs", train_classes=4, validation_classes=4, test_classes=4, images_per_class=5,
                          domains=domains)  # fmt: skip
    return data.load(config).splits["test"]


def test_planes_hold_the_image_and_a_shuffled_copy() -> None:
    planes, plain = glyphs("planes"), glyphs()
    shown, image = sample(planes, SHAPE, 1, 0, 40), sample(plain, SHAPE, 1, 0, 40)
    assert planes.image_shape == (2, 28, 28)
    where = draw(planes, SHAPE, 1, torch.arange(40)).domains
    assert 8 < int(where.sum()) < 32
    for pixels, known in ((shown.support_images, image.support_images), (shown.query_images, image.query_images)):
        for task, plane in enumerate(where.tolist()):
            assert torch.equal(pixels[task, :, plane], known[task, :, 0])
            noise, character = pixels[task, :, 1 - plane].flatten(1), known[task, :, 0].flatten(1)
            assert torch.equal(noise.sort(dim=1).values, character.sort(dim=1).values)
            assert not torch.equal(noise, character)
    assert torch.equal(sample(planes, SHAPE, 1, 7, 1).query_images, shown.query_images[7:8])


def test_natural_domains() -> None:
    images = glyphs(["identity", "invert", "blur", "edges"])
    where = draw(images, SHAPE, 1, torch.arange(40)).domains
    shown, image = sample(images, SHAPE, 1, 0, 40).query_images, sample(glyphs(), SHAPE, 1, 0, 40).query_images
    assert where.bincount().min() > 2
    torch.testing.assert_close(shown[where == 0], image[where == 0])
    torch.testing.assert_close(shown[where == 1], 1 - image[where == 1])
    inside = torch.nn.functional.avg_pool2d(image.flatten(0, 1), 3, stride=1).unflatten(0, image.shape[:2])
    torch.testing.assert_close(shown[where == 2][..., 1:-1, 1:-1], inside[where == 2], rtol=0, atol=1 / 255)


def test_the_frozen_test_set_knows_its_domains() -> None:
    plain, planes = glyphs(), glyphs("planes")
    digests = {fingerprint("x", images, SHAPE, 1, 5) for images in (plain, planes, glyphs(["invert"]))}
    assert len(digests) == 3
    assert fingerprint("x", replace(planes, domains=()), SHAPE, 1, 5) == fingerprint("x", plain, SHAPE, 1, 5)


def test_impossible_domains_are_refused() -> None:
    for wrong in (["first-plane", "invert"], ["blur", "blur"]):
        with pytest.raises(ValidationError, match="domain"):
            GlyphsConfig(name="glyphs", domains=wrong)
