"""A mixture: every episode from one of its parts, whatever the batch; tests alike, however it is trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from benchmark import data
from benchmark.cells.config import EpisodesConfig
from benchmark.data.configs import GlyphsConfig, MixtureConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.mixture import equal
from benchmark.episodes.draw import draw, stream
from benchmark.episodes.sampling import check_possible, fingerprint, sample, sample_all
from benchmark.errors import UserError
from benchmark.scoring.swap_test import swap_test
from tests.benchmark.scoring.test_swap_test import Recorder

SHAPE = EpisodesConfig(ways=3, shots=1, queries=2)
SMALL: dict[str, Any] = {"name": "glyphs", "train_classes": 6, "validation_classes": 4, "test_classes": 5,
                         "images_per_class": 5}  # fmt: skip
OF: dict[str, Any] = {"upper": {**SMALL, "seed": 1}, "lower": {**SMALL, "seed": 2, "test_classes": 7}}


def config(of: dict[str, Any] = OF, **options: Any) -> MixtureConfig:
    return MixtureConfig.model_validate({"name": "mixture", "of": of, **options})


def mixture(of: dict[str, Any] = OF, **options: Any) -> Dataset:
    return data.load(config(of, **options))


def part_of(images: ClassImages, classes: torch.Tensor) -> list[set[str]]:
    """The parts that the classes (T, N) of each episode are from."""
    return [{images.names[int(c) % len(images.names)].split("/")[0] for c in row} for row in classes]


def test_every_episode_has_the_classes_of_one_part() -> None:
    images = mixture().splits["test"]
    drawn = draw(images, SHAPE, stream("test", 0), torch.arange(200))
    parts = part_of(images, drawn.classes)
    assert [one for (one,) in parts] == [images.domains[place].name for place in drawn.domains]
    assert 70 < sum(one == {"upper"} for one in parts) < 130
    assert {int(c) for c in drawn.classes.flatten()} == set(range(12))  # all of them come up


def test_episodes_do_not_depend_on_the_batch() -> None:
    images = mixture().splits["train"]
    together = sample(images, SHAPE, 3, 0, 12)
    for start, count in ((0, 5), (5, 1), (6, 6)):
        alone = sample(images, SHAPE, 3, start, count)
        assert torch.equal(alone.support_images, together.support_images[start : start + count])
        assert torch.equal(alone.query_images, together.query_images[start : start + count])


def test_a_mixture_of_one_has_the_episodes_of_the_data_set_itself() -> None:
    for options in ({}, {"rotations": "per-class"}, {"rotations": "classes"}, {"domains": ["invert", "blur"]}):
        alone = data.load(GlyphsConfig.model_validate({**SMALL, **options})).splits["train"]
        mixed = mixture({"one": {**SMALL, **options}}).splits["train"]
        assert mixed.classes == alone.classes
        for drawn in (sample, sample_all):
            known, found = drawn(alone, SHAPE, 3, 0, 8), drawn(mixed, SHAPE, 3, 0, 8)
            assert torch.equal(known.support_images, found.support_images)
            assert torch.equal(known.query_images, found.query_images)


def test_each_part_uses_rotations_as_it_says() -> None:
    of = {"still": SMALL, "turned": {**SMALL, "rotations": "per-class"}, "more": {**SMALL, "rotations": "classes"}}
    images = mixture(of).splits["train"]
    drawn = draw(images, SHAPE, 3, torch.arange(300))
    names = [images.domains[place].name for place in drawn.domains]
    turns = {name: set(drawn.rotations[[n == name for n in names]].flatten().tolist()) for name in of}
    assert turns == {"still": {0}, "turned": {0, 1, 2, 3}, "more": {0, 1, 2, 3}}
    assert all(len(one) == 1 for one in part_of(images, drawn.classes))
    more = drawn.classes[[n == "more" for n in names]]
    assert torch.equal(more // len(images.names), drawn.rotations[[n == "more" for n in names]])
    assert [images.domain_classes(domain) for domain in images.domains] == [24, 6, 6]


def test_weights_are_of_training_only() -> None:
    even, odd, held = mixture(), mixture(weights={"upper": 3}), mixture(weights={"upper": 0})
    drawn = draw(odd.splits["train"], SHAPE, 3, torch.arange(2000))
    share = float((drawn.domains == 1).float().mean())
    assert odd.splits["train"].domains[1].name == "upper" and abs(share - 0.75) < 0.04
    assert [[d.name for d in held.splits[s].domains] for s in ("train", "validation", "test")] == [
        ["lower"],
        ["lower"],
        ["lower", "upper"],
    ]
    digests = {fingerprint(one.sha256, one.splits["test"], SHAPE, 1, 20) for one in (even, odd, held)}
    assert len(digests) == 1


def test_views_of_a_part_are_domains_that_share_its_weight() -> None:
    of = {"plain": SMALL, "shown": {**SMALL, "domains": ["identity", "invert", "edges"]}}
    mixed = config(of, weights={"plain": 2})
    assert mixed.domain_names == ("plain", "shown (identity)", "shown (invert)", "shown (edges)")
    images = data.load(mixed).splits["train"]
    assert [domain.weight for domain in images.domains] == [6, 1, 1, 1]
    drawn = draw(images, SHAPE, 3, torch.arange(40))
    (inverted,) = (drawn.domains == 2).nonzero()[:1, 0].tolist()
    pixels = sample(images, SHAPE, 3, inverted, 1).query_images
    rows = drawn.rows[inverted, :, SHAPE.shots :].flatten()
    torch.testing.assert_close(pixels[0], 1 - images.images[rows].float() / 255)
    one = data.load(mixed.in_domain("shown (invert)")).splits["test"]
    assert [domain.name for domain in one.domains] == ["shown (invert)"]
    assert all(name.startswith("shown/") for name in one.names)


def test_planes_of_all_parts() -> None:
    of = {name: {**part, "domains": "planes"} for name, part in OF.items()}
    images = mixture(of).splits["test"]
    assert images.image_shape == (2, 28, 28)
    assert sample(images, SHAPE, 1, 0, 3).support_images.shape == (3, 3, 2, 28, 28)


def test_images_are_made_equal_by_pillows_rule() -> None:
    draw_pixels = np.random.default_rng(0)
    colour = draw_pixels.integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)
    grey = equal(torch.from_numpy(colour), 28, colour=False)
    for one, found in zip(colour, grey, strict=True):
        picture = Image.fromarray(one.transpose(1, 2, 0)).convert("L").resize((28, 28), Image.Resampling.LANCZOS)
        assert np.array_equal(found[0].numpy(), np.asarray(picture))
    ink = torch.from_numpy(draw_pixels.integers(0, 256, (2, 1, 28, 28), dtype=np.uint8))
    assert equal(ink, 28, colour=False) is ink
    assert torch.equal(equal(ink, 28, colour=True), ink.expand(-1, 3, -1, -1))
    assert mixture(image_size=20, colour=True).splits["test"].image_shape == (3, 20, 20)


def test_the_content_is_that_of_the_parts_in_any_order() -> None:
    backwards = mixture(dict(reversed(OF.items())))
    assert config(dict(reversed(OF.items()))) == config() and backwards.sha256 == mixture().sha256
    others = [{**OF, "lower": {**SMALL, "seed": 3}}, {"upper": OF["upper"]}, {"a": OF["upper"], "b": OF["lower"]}]
    digests = {mixture(of).sha256 for of in others} | {mixture(image_size=20).sha256, mixture().sha256}
    assert len(digests) == 5


def test_the_swap_test_knows_the_parts() -> None:
    images, method = mixture().splits["validation"], Recorder()
    found = swap_test(method, images, SHAPE, 5, 16)
    domains = draw(images, SHAPE, 5, torch.arange(16)).domains
    assert found is not None and None not in (found.same_domain, found.other_domain)
    _, same, other = method.donors
    assert torch.equal(domains[same], domains) and (domains[other] != domains).all()


def test_episodes_that_a_part_cannot_give_are_refused() -> None:
    images = mixture().splits["test"]
    check_possible(images, SHAPE.model_copy(update={"ways": 5}), "test")
    with pytest.raises(UserError, match="6 ways are impossible: domain 'upper' of the test split has 5 classes"):
        check_possible(images, SHAPE.model_copy(update={"ways": 6}), "test")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": {}}, "'of' should name the data sets"),
        ({"weights": {"uper": 2}}, "weights: no part is called 'uper'; there are lower, upper"),
        ({"weights": {"upper": 0, "lower": 0}}, "at least one part should be trained on"),
        ({"domains": ["invert"]}, "a mixture's domains are its parts"),
        ({"of": {"a": SMALL, "b": {**SMALL, "domains": "planes"}}}, "show all parts in planes, or none"),
        ({"of": {"a": SMALL, "cifar_fs": {"augment": True}}}, "of.cifar_fs.augment: images of a mixture are not aug"),
        ({"of": {"my letters": SMALL}}, "should match pattern"),
    ],
)
def test_mixtures_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MixtureConfig.model_validate({"name": "mixture", "of": OF, **options})


def test_parts_that_train_on_what_another_tests_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two random splits of one folder: what one trains on, the other tests."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    whole = data.load(GlyphsConfig.model_validate(SMALL))
    other = replace(whole, splits={**whole.splits, "test": whole.splits["train"], "train": whole.splits["test"]})
    parts = iter((whole, other))
    monkeypatch.setattr("benchmark.data.mixture.load_part", lambda config, root: next(parts))
    with pytest.raises(UserError, match="one of upper/test-0 in train and one of lower/test-0 in test"):
        mixture()


def test_there_is_no_domain_of_another_name() -> None:
    with pytest.raises(ValueError, match="no domain 'uper'; there are lower, upper"):
        config().in_domain("uper")
    assert config().in_domain("upper").domain_names == ("upper",)
    assert config(weights={"upper": 0, "lower": 2}).suffix == " (lower x2, upper untrained)"
