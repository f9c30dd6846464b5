import shutil
from pathlib import Path

import pytest
from PIL import Image

from benchmark.data import load
from benchmark.data.configs import FolderConfig
from benchmark.errors import UserError
from tests.benchmark.data.pictures import noise_classes


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


def test_splits_drawn_at_random_are_checked_too(tmp_path: Path) -> None:
    noise_classes(tmp_path, 6)
    for number in range(1, 6):  # one picture in all classes, so it is in all splits
        shutil.copy(tmp_path / "c00" / "0.png", tmp_path / f"c{number:02}" / "same.png")
    with pytest.raises(UserError, match="the same picture is in two splits"):
        load(FolderConfig(name="folder", path=tmp_path))


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
