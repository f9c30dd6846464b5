from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data import load
from benchmark.data.configs import FolderConfig
from benchmark.data.files.listing import look
from benchmark.data.files.picture import read_image
from benchmark.errors import UserError


def save(path: Path, value: int = 128, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)


def make_classes(path: Path, classes: int, images: int = 3) -> FolderConfig:
    """Class k holds images of the grey level 10 k."""
    for number in range(classes):
        for image in range(images):
            save(path / f"class{number:02}" / f"{image}.png", 10 * number)
    return FolderConfig(name="folder", path=path)


def test_random_split_is_disjoint_complete_and_repeatable(tmp_path: Path) -> None:
    config = make_classes(tmp_path / "mine", 20)
    splits = load(config).splits
    names = {split: set(images.names) for split, images in splits.items()}
    assert {split: len(members) for split, members in names.items()} == {"train": 12, "validation": 4, "test": 4}
    assert set.union(*names.values()) == {f"class{number:02}" for number in range(20)}
    again = load(config).splits
    assert all(images.names == again[split].names for split, images in splits.items())
    assert load(config.model_copy(update={"seed": 1})).splits["test"].names != splits["test"].names


def test_images_stay_with_their_class_when_sizes_differ(tmp_path: Path) -> None:
    config = make_classes(tmp_path / "mine", 8, images=2)
    save(tmp_path / "mine" / "class03" / "deeper" / "extra.JPG", 30)
    (tmp_path / "mine" / "class03" / "notes.txt").write_text("not an image")
    for split in load(config).splits.values():
        for number, name in enumerate(split.names):
            images = split.images[split.first[number] : split.first[number + 1]]
            assert len(images) == (3 if name == "class03" else 2)
            assert bool((images == 10 * int(name[5:])).all())


@pytest.mark.parametrize("validation", ["validation", "val"])
def test_named_split_folders_are_used(tmp_path: Path, validation: str) -> None:
    for split, classes in {"train": 3, validation: 2, "test": 4}.items():
        for number in range(classes):
            save(tmp_path / split / f"{split}{number}" / "a.png")
    splits = load(FolderConfig(name="folder", path=tmp_path)).splits
    assert {split: len(images.names) for split, images in splits.items()} == {"train": 3, "validation": 2, "test": 4}
    assert splits["test"].names == ("test0", "test1", "test2", "test3")


def test_cached_until_a_file_changes(tmp_path: Path, cache_home: Path) -> None:
    config = make_classes(tmp_path / "mine", 6)
    before = load(config)
    assert load(config).sha256 == before.sha256
    assert len(list((cache_home / "folder").iterdir())) == 1
    save(tmp_path / "mine" / "class02" / "0.png", 255)
    assert load(config).sha256 != before.sha256
    assert len(list((cache_home / "folder").iterdir())) == 1


def test_the_middle_square_is_cut_out(tmp_path: Path) -> None:
    pixels = np.zeros((20, 60), dtype=np.uint8)
    pixels[:, 20:40] = 200
    pixels[:, :5] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    image = read_image(tmp_path / "wide.png", 20, colour=False)
    assert image.shape == (1, 20, 20)
    assert bool((image == 200).all())


def test_colour_grey_transparency_and_sixteen_bits(tmp_path: Path) -> None:
    Image.new("RGB", (9, 9), (250, 10, 0)).save(tmp_path / "red.png")
    assert read_image(tmp_path / "red.png", 8, colour=True)[:, 4, 4].tolist() == [250, 10, 0]
    assert read_image(tmp_path / "red.png", 8, colour=False).shape == (1, 8, 8)
    Image.new("RGBA", (9, 9), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert bool((read_image(tmp_path / "clear.png", 8, colour=False) == 255).all())
    Image.fromarray(np.full((9, 9), 0x4321, dtype=np.uint16)).save(tmp_path / "deep.png")
    assert bool((read_image(tmp_path / "deep.png", 8, colour=False) == 0x43).all())


def test_a_rotated_photograph_is_turned_upright(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16), dtype=np.uint8)
    pixels[:, :8] = 255  # left half bright; orientation 6: shown turned by 90 degrees clockwise, so top half bright
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    image = read_image(tmp_path / "photo.png", 16, colour=False)
    assert image[0, 2].min() > 250 and image[0, 13].max() < 5


def test_pictures_are_in_order_of_their_paths(tmp_path: Path) -> None:
    for name in ("c.png", "a.png", "b.bmp", "B/z.png", "b/a.PNG"):
        save(tmp_path / name)
    files = look(tmp_path).pictures()
    assert [str(file.relative_to(tmp_path)) for file in files] == ["B/z.png", "a.png", "b/a.PNG", "b.bmp", "c.png"]


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset.path: .*nowhere is not a folder"):
        load(FolderConfig(name="folder", path=tmp_path / "nowhere"))
    with pytest.raises(UserError, match=r"one has 1 class folders; at least 2"):
        load(make_classes(tmp_path / "one", 1))
    with pytest.raises(UserError, match=r"five has 5 classes: .* 1 are left for training"):
        load(make_classes(tmp_path / "five", 5))

    config = make_classes(tmp_path / "mine", 6)
    (tmp_path / "mine" / "hollow").mkdir()
    with pytest.raises(UserError, match=r"mine/hollow has no images"):
        load(config)
    (tmp_path / "mine" / "hollow" / "broken.jpg").write_bytes(b"\xff\xd8 not really")
    with pytest.raises(UserError, match=r"hollow/broken.jpg cannot be read as an image"):
        load(config)


def test_incomplete_or_overlapping_split_folders_are_refused(tmp_path: Path) -> None:
    config = FolderConfig(name="folder", path=tmp_path)
    for split in ("train", "test"):
        save(tmp_path / split / "a" / "1.png")
        save(tmp_path / split / f"only-{split}" / "1.png")
    with pytest.raises(UserError, match="no folder validation"):
        load(config)
    save(tmp_path / "validation" / "c" / "1.png")
    save(tmp_path / "validation" / "d" / "1.png")
    with pytest.raises(UserError, match="class a is in train and in test"):
        load(config)
