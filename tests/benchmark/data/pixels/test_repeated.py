import re
import shutil
from dataclasses import astuple
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data import load
from benchmark.data.configs import FolderConfig
from benchmark.data.dataset import Dataset
from benchmark.data.files.trust import trusting
from benchmark.data.pixels.repeated import NOTHING, blank_rows, picture_hashes, repeated_across, repeated_within
from benchmark.errors import UserError
from tests.benchmark.data.pictures import noise, noise_classes


def three_splits(folder: Path) -> FolderConfig:
    for number, split in enumerate(("train", "val", "test")):
        noise_classes(folder / split, 2, start=1000 * number)
        for c in list((folder / split).iterdir()):
            c.rename(c.with_name(f"{split}{c.name}"))
    return FolderConfig(name="folder", path=folder, image_size=12)


def test_a_class_of_one_split_copied_into_another(tmp_path: Path) -> None:
    config = three_splits(tmp_path)
    assert load(config).remarks == ()
    shutil.copytree(tmp_path / "train" / "trainc01", tmp_path / "test" / "copy")
    with pytest.raises(
        UserError,
        match=r"two splits \(3 pictures are\): .*train/trainc01/0\.png in train and .*test/copy/0\.png in test",
    ):
        load(config)


def test_one_picture_saved_again_in_another_format(tmp_path: Path) -> None:
    config = three_splits(tmp_path)
    with Image.open(tmp_path / "val" / "valc00" / "1.png") as image:
        image.save(tmp_path / "test" / "testc01" / "other.bmp")
    with pytest.raises(UserError, match=r"two splits: .*valc00/1\.png in validation and .*testc01/other\.bmp in test"):
        load(config)


def pictures(dataset: Dataset) -> dict[str, list[bytes]]:
    return {split: [image.numpy().tobytes() for image in s.images] for split, s in dataset.splits.items()}


def test_a_shared_picture_of_splits_drawn_at_random_stays_in_one(tmp_path: Path) -> None:
    """Whatever the seed, no picture is in two splits, and all others are where they were."""
    noise_classes(tmp_path, 8, images=4)
    config = FolderConfig(name="folder", path=tmp_path, image_size=12)
    before = {seed: load(config.model_copy(update={"seed": seed})) for seed in range(3)}
    same = noise(tmp_path / "c00" / "same.png", seed=12345).read_bytes()
    for number in range(1, 8):  # one picture in all classes, so it is in all splits
        (tmp_path / f"c{number:02}" / "same.png").write_bytes(same)
    (tmp_path / "c03" / "1.png").write_bytes((tmp_path / "c05" / "2.png").read_bytes())
    for seed, plain in before.items():
        found = load(config.model_copy(update={"seed": seed}))
        sets = {split: set(images) for split, images in pictures(found).items()}
        assert all(not sets[one] & sets[other] for one, other in combinations(sets, 2))
        assert found.shared_pictures == 0
        assert len(set().union(*sets.values())) == 8 * 4 - 1 + 1  # c03/1.png is gone, and one is the same everywhere
        for split, images in pictures(plain).items():
            assert len(set(images) - sets[split]) <= 1  # c03/1.png
        assert found.splits["test"].first.diff().tolist() == [5, 5]  # the other splits give way
        assert "of two classes, which are in two splits, and used in one only: " in found.remarks[0]
        assert len(found.splits["train"].names) == 4
        assert load(config.model_copy(update={"seed": seed})).sha256 == found.sha256 != plain.sha256


def test_a_class_that_is_there_twice_is_refused_where_the_seed_parts_the_two(tmp_path: Path) -> None:
    noise_classes(tmp_path, 8)
    shutil.copytree(tmp_path / "c01", tmp_path / "c99")
    outcomes = set()
    for seed in range(6):
        config = FolderConfig(name="folder", path=tmp_path, image_size=12, seed=seed)
        try:
            split_of = {name: split for split, images in load(config).splits.items() for name in images.names}
            assert split_of["c01"] == split_of["c99"]
            outcomes.add("used")
        except UserError as error:
            assert re.search(
                r"3 of the 3 pictures of class (c01 are in class c99|c99 are in class c01), too", str(error)
            )
            outcomes.add("refused")
    assert outcomes == {"used", "refused"}


def test_shared_pictures_are_accepted_when_trusted_and_counted(tmp_path: Path, user_cache: Path) -> None:
    config = three_splits(tmp_path / "img")
    shutil.copy(tmp_path / "img" / "train" / "trainc00" / "0.png", tmp_path / "img" / "test" / "testc01" / "x.png")
    shutil.copy(tmp_path / "img" / "train" / "trainc00" / "0.png", tmp_path / "img" / "val" / "valc01" / "y.png")
    with pytest.raises(UserError, match="'htbench data GRID --trust' if it has to be so; reports will say so"):
        load(config)
    with trusting():
        load(config)
    found = load(config)
    assert found.shared_pictures == 1
    assert "in two splits, such as" in found.remarks[0]
    shutil.copy(tmp_path / "img" / "train" / "trainc00" / "1.png", tmp_path / "img" / "test" / "testc01" / "z.png")
    with pytest.raises(UserError, match="--trust"):  # other pictures than those that were trusted
        load(config)


def test_against_a_plain_loop() -> None:
    chance = np.random.default_rng(0)
    images = {s: chance.integers(0, 3, (n, 3, 2, 2), dtype=np.uint8) for s, n in (("a", 60), ("b", 50), ("c", 40))}
    for some in images.values():
        some[:, 1:] = 0  # 81 pictures, so that many are there twice
    hashes = {split: picture_hashes(some, split) for split, some in images.items()}
    for split, some in images.items():
        blank = [row for row, image in enumerate(some) if all(len(set(channel.flat)) == 1 for channel in image)]
        assert [row for s, row in blank_rows(hashes) if s == split] == blank
        assert blank
    across, within = set(), set()
    for (one, mine), (other, theirs) in product(images.items(), repeat=2):
        for row, image in enumerate(theirs):
            same = [r for r, i in enumerate(mine) if np.array_equal(i, image) and hashes[one][r] != NOTHING]
            if same and one < other:
                across.add((one, same[0], other, row))
            if same and one == other and same[0] < row:
                within.add((one, same[0], other, row))
    assert {astuple(one) for one in repeated_across(hashes)} == across
    assert {astuple(one) for one in repeated_within(hashes)} == within
    assert across and within


def test_repetitions_in_a_split_and_pictures_of_nothing_are_named(tmp_path: Path) -> None:
    config = three_splits(tmp_path)
    shutil.copy(tmp_path / "train" / "trainc00" / "0.png", tmp_path / "train" / "trainc01" / "copy.png")
    for split in ("train", "test"):  # one colour is like another and tells nothing of where a picture is from
        Image.new("L", (12, 12), 255).save(tmp_path / split / f"{split}c00" / "blank.png")
    blank, repeated = load(config).remarks
    assert blank.startswith("2 pictures are of one colour only: ")
    assert blank.endswith("test/testc00/blank.png")
    assert repeated.startswith("1 picture is there twice in one split, such as ")
    assert repeated.endswith("trainc00/0.png and " + str(tmp_path / "train" / "trainc01" / "copy.png"))
