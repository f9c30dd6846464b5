import hashlib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw, stream
from benchmark.episodes.sampling import check_possible, fingerprint, sample
from benchmark.errors import UserError

SHAPE = EpisodesConfig(ways=5, shots=2, queries=3, unlabelled=1)


def numbered(sizes: list[int], rotations: str = "none") -> ClassImages:
    """Images of 3 x 3 pixels whose top-left pixel is the class and whose next one is the drawing."""
    pixels = torch.zeros(sum(sizes), 1, 3, 3, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.cat([torch.full((n,), c) for c, n in enumerate(sizes)])
    pixels[:, 0, 0, 1] = torch.cat([torch.arange(n) for n in sizes])
    first = torch.tensor([0, *sizes]).cumsum(0)
    return ClassImages(pixels, first, tuple(f"class {c}" for c in range(len(sizes))), rotations)  # type: ignore[arg-type]


def splitmix64(x: int) -> int:
    """The published algorithm on Python integers: state x, one output."""
    mask = 2**64 - 1
    x &= mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def test_hash_is_splitmix64() -> None:
    from benchmark.episodes.draw import _hash

    states = [0, 1, -1, 0x9E3779B97F4A7C15 - 2**64, 123456789, -(2**63)]
    expected = [splitmix64(x) for x in states]
    assert [int(v) % 2**64 for v in _hash(torch.tensor(states))] == expected
    # First output of splitmix64 seeded with 0, as listed by independent implementations.
    assert splitmix64(0x9E3779B97F4A7C15) == 0xE220A8397B1DCDAF


@given(start=st.integers(0, 10_000), split=st.integers(1, 6))
@settings(max_examples=20, deadline=None)
def test_an_index_is_the_same_task_in_every_batch(start: int, split: int) -> None:
    images, s = numbered([9] * 12, "per-class"), stream("train", 3)
    whole = sample(images, SHAPE, s, start, 7)
    first, second = sample(images, SHAPE, s, start, split), sample(images, SHAPE, s, start + split, 7 - split)
    for name in ("support_images", "support_labels", "query_images", "query_labels"):
        assert torch.equal(getattr(whole, name), torch.cat([getattr(first, name), getattr(second, name)]))


def test_support_unlabelled_and_query_images_are_disjoint_and_of_the_right_class() -> None:
    sizes = [6, 7, 20, 6, 9, 11, 6]
    images = numbered(sizes)
    drawn = draw(images, SHAPE, stream("test", 0), torch.arange(300))
    for t in range(300):
        assert len(set(drawn.classes[t].tolist())) == 5
        assert len(set(drawn.rows[t].flatten().tolist())) == 5 * 6
        for n in range(5):
            c = int(drawn.classes[t, n])
            rows = drawn.rows[t, n]
            assert bool((rows >= images.first[c]).all()) and bool((rows < images.first[c + 1]).all())
    episode = sample(images, SHAPE, stream("test", 0), 0, 300)
    shown = (episode.support_images[:, :, 0, 0, 0] * 255).round().long()
    labels = episode.support_labels
    assert bool((labels[:, :10] >= 0).all()) and bool((labels[:, 10:] == -1).all())
    for t in range(300):
        assert torch.equal(shown[t, :10], drawn.classes[t][labels[t, :10]])
        query = (episode.query_images[t, :, 0, 0, 0] * 255).round().long()
        assert torch.equal(query, drawn.classes[t][episode.query_labels[t]])


def test_classes_slots_and_images_are_drawn_uniformly() -> None:
    images = numbered([8] * 10)
    drawn = draw(images, SHAPE, stream("train", 1), torch.arange(20_000))
    counts = torch.bincount(drawn.classes.flatten(), minlength=10)
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3
    for slot in (0, 4):  # labels are re-drawn: every class is in every slot equally often
        assert stats.chisquare(torch.bincount(drawn.classes[:, slot], minlength=10).numpy()).pvalue > 1e-3
    for column in (0, 5):
        image = (drawn.rows - images.first[drawn.classes][..., None])[..., column]
        assert stats.chisquare(torch.bincount(image.flatten(), minlength=8).numpy()).pvalue > 1e-3
    pairs = drawn.classes[:, 0] * 10 + drawn.classes[:, 1]
    seen = torch.bincount(pairs, minlength=100).numpy().reshape(10, 10)
    assert (seen.diagonal() == 0).all()
    assert stats.chisquare(seen[~torch.eye(10, dtype=torch.bool).numpy()]).pvalue > 1e-3


def test_rotations_as_classes_and_per_class() -> None:
    as_classes, per_class = numbered([8] * 4, "classes"), numbered([8] * 8, "per-class")
    assert as_classes.classes == 16
    drawn = draw(as_classes, SHAPE, stream("train", 0), torch.arange(2000))
    assert torch.equal(drawn.rotations, drawn.classes // 4)
    both = sample(as_classes, SHAPE, stream("train", 0), 0, 200)
    turns = drawn.rotations[:200]
    for t in range(200):
        for s in range(10):
            n = int(both.support_labels[t, s])
            upright = torch.rot90(both.support_images[t, s, 0], -int(turns[t, n]))
            assert int(upright[0, 0] * 255 + 0.5) == int(drawn.classes[t, n]) % 4
    drawn = draw(per_class, SHAPE, stream("train", 0), torch.arange(4000))
    assert stats.chisquare(torch.bincount(drawn.rotations.flatten(), minlength=4).numpy()).pvalue > 1e-3


def test_streams_differ_and_the_fingerprint_sees_everything() -> None:
    images = numbered([8] * 10)
    assert stream("train", 0) != stream("test", 0) != stream("test", 1)
    base = fingerprint("data", images, SHAPE, stream("test", 0), 50)
    assert base == fingerprint("data", images, SHAPE, stream("test", 0), 50)
    others = [
        fingerprint("other data", images, SHAPE, stream("test", 0), 50),
        fingerprint("data", images, SHAPE, stream("test", 1), 50),
        fingerprint("data", images, SHAPE, stream("test", 0), 51),
        fingerprint("data", images, SHAPE.model_copy(update={"queries": 2}), stream("test", 0), 50),
    ]
    assert len({base, *others}) == 5


def test_draws_are_frozen_for_good() -> None:
    """Published test sets must never change: this digest may only change together with a note in the changelog."""
    drawn = draw(
        numbered([20] * 423), EpisodesConfig(ways=20, shots=1, queries=5), stream("test", 2022), torch.arange(600)
    )
    digest = hashlib.sha256(drawn.rows.numpy().astype("<i8").tobytes()).hexdigest()
    assert digest == "45e11c5810997b0a844a19a1c7cf83c680b39b5581e35f71e5d9f2658a504e99"


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (EpisodesConfig(ways=13, shots=1, queries=1), "13 ways are impossible: the test split has 12 classes"),
        (EpisodesConfig(ways=5, shots=4, queries=6), r"need 10 images of each class .* smallest class .* has 9"),
    ],
)
def test_impossible_episodes_are_refused(shape: EpisodesConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_possible(numbered([9] * 12), shape, "test")


def test_classes_with_too_few_images_are_named() -> None:
    shape = EpisodesConfig(ways=5, shots=1, queries=4)
    with pytest.raises(
        UserError, match=r"has 3; too few are in class 2, class 5\. With .* dataset\.min_images: 5 leaves such"
    ):
        check_possible(numbered([9, 9, 4, 9, 9, 3, 5, 9]), shape, "train")
    with pytest.raises(UserError, match=r"too few are in (class \d, ){4}class 5 and 3 more\. "):
        check_possible(numbered([9] + [3] * 8), shape, "train")
    with pytest.raises(UserError, match=r"all 7 have fewer than 5$"):
        check_possible(numbered([4] * 7), shape, "train")


def test_distractors_are_unlabelled_images_of_other_classes_and_change_nothing_else() -> None:
    images = numbered([8] * 12)
    shape = EpisodesConfig(ways=4, shots=2, queries=3, unlabelled=2)
    plain = sample(images, shape, stream("test", 0), 0, 200, train=True)
    disturbed = sample(images, shape.model_copy(update={"distractors": 3}), stream("test", 0), 0, 200, train=True)
    for name in ("query_images", "query_labels", "classes"):
        assert torch.equal(getattr(plain, name), getattr(disturbed, name))
    kept = plain.support_labels.shape[1]
    assert torch.equal(disturbed.support_images[:, :kept], plain.support_images)
    assert torch.equal(disturbed.support_labels[:, :kept], plain.support_labels)
    extra = disturbed.support_images[:, kept:]
    assert extra.shape[1] == 3 * 2
    assert bool((disturbed.support_labels[:, kept:] == -1).all())
    shown = (extra[:, :, 0, 0, :2] * 255).round().long()
    for t in range(200):
        classes = shown[t, :, 0].tolist()
        assert plain.classes is not None and not set(classes) & set(plain.classes[t].tolist())
        assert len(set(classes)) == 3
        assert len({tuple(pixels) for pixels in shown[t].tolist()}) == 6


def test_impossible_distractors_are_refused() -> None:
    shape = EpisodesConfig(ways=10, shots=1, queries=1, unlabelled=1, distractors=3)
    with pytest.raises(UserError, match="10 ways and 3 distractors are impossible: the test split has 12 classes"):
        check_possible(numbered([9] * 12), shape, "test")
    with pytest.raises(UserError, match=r"episodes\.distractors: 2 has no effect with episodes\.unlabelled: 0"):
        check_possible(numbered([9] * 12), EpisodesConfig(ways=5, distractors=2), "test")
    check_possible(numbered([9] * 12), shape.model_copy(update={"distractors": 2}), "test")
