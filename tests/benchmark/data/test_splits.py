import random

import torch

from benchmark.data.dataset import ClassImages
from benchmark.data.splits import content_sha256, permuted, select_classes, split_dataset


def pool() -> ClassImages:
    """Three classes with 1, 3 and 2 images; every pixel of image i has the value i."""
    images = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 1, 2, 2).contiguous()
    return ClassImages(images, torch.tensor([0, 1, 4, 6]), ("a", "b", "c"))


def test_permutation_depends_on_the_seed_alone() -> None:
    random.seed(1)
    first = permuted(50, seed=7)
    random.seed(2)
    assert first == permuted(50, seed=7)
    assert first != permuted(50, seed=8)
    assert sorted(first) == list(range(50))


def test_selected_classes_keep_their_images_and_take_the_given_order() -> None:
    chosen = select_classes(pool(), [2, 0], "none")
    assert chosen.names == ("c", "a")
    assert chosen.first.tolist() == [0, 2, 3]
    assert chosen.images[:, 0, 0, 0].tolist() == [4, 5, 0]


def test_only_training_rotates() -> None:
    dataset = split_dataset("x", pool(), {"train": [0], "validation": [1], "test": [2]}, "classes")
    assert {name: split.rotations for name, split in dataset.splits.items()} == {
        "train": "classes",
        "validation": "none",
        "test": "none",
    }


def test_hash_sees_pixels_names_and_grouping_but_not_the_split() -> None:
    base = pool()
    brighter = base.images.clone()
    brighter[3, 0, 1, 1] += 1
    different = [
        ClassImages(brighter, base.first, base.names),
        ClassImages(base.images, base.first, ("a", "b", "d")),
        ClassImages(base.images, torch.tensor([0, 2, 4, 6]), base.names),
    ]
    assert len({content_sha256(p) for p in [base, *different]}) == 4
    one = split_dataset("x", base, {"train": [0, 1, 2]}, "none")
    other = split_dataset("x", base, {"train": [1]}, "none")
    assert one.sha256 == other.sha256 == content_sha256(base)
