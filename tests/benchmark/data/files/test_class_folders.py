import re
from pathlib import Path

import pytest

from benchmark import data
from benchmark.data.configs import FolderConfig
from benchmark.data.files.class_folders import account, class_folders, split_folders
from benchmark.errors import UserError
from tests.benchmark.data.pictures import noise, noise_classes


def said(path: Path, min_images: int = 1) -> str:
    return "\n".join(account(split_folders(path, min_images)))


def test_the_account_names_everything(tmp_path: Path) -> None:
    noise_classes(tmp_path / "img", 6)
    noise(tmp_path / "img" / "c01" / ".ipynb_checkpoints" / "0.png")
    noise(tmp_path / "img" / "loose.png")
    (tmp_path / "img" / "c02" / "a.heic").write_bytes(b"x")
    (tmp_path / "img" / "c03" / "dead.png").symlink_to("nowhere")
    (tmp_path / "img" / "c04" / "2.png").unlink()
    text = said(tmp_path / "img")
    assert "6 classes with 17 pictures used, 1 things ignored, 2 suspicious, 1 refused" in text
    assert "smallest   2 pictures in class c04" in text
    assert re.search(r"refused +c03/dead\.png: a dead link to nowhere", text)
    assert re.search(r"suspicious +loose\.png: beside the class folders", text)
    assert re.search(r"suspicious +c02/a\.heic: a picture in a format that is not read", text)
    assert re.search(r"ignored +c01/\.ipynb_checkpoints: hidden", text)
    with pytest.raises(UserError, match=r"c03/dead\.png: a dead link to nowhere; repair or remove it"):
        data.load(FolderConfig(name="folder", path=tmp_path / "img"))


def test_a_long_account_is_cut(tmp_path: Path) -> None:
    noise_classes(tmp_path, 3)
    for number in range(40):
        (tmp_path / "c00" / f"{number}.svg").write_bytes(b"x")
    lines = [line for line in said(tmp_path).splitlines() if line.startswith("  suspicious")]
    assert len(lines) == 13
    assert lines[-1].endswith("and 28 more")


def test_small_classes_are_named_and_left_out(tmp_path: Path) -> None:
    noise_classes(tmp_path, 8, images=4)
    for name in ("c03/1.png", "c03/2.png", "c03/3.png", "c05/3.png"):
        (tmp_path / name).unlink()
    assert set(class_folders(tmp_path).classes) == {f"c{n:02}" for n in range(8)}
    kept = class_folders(tmp_path, min_images=4)
    assert set(kept.classes) == {f"c{n:02}" for n in (0, 1, 2, 4, 6, 7)}
    text = said(tmp_path, min_images=4)
    assert "class c03: 1 picture, fewer than min_images" in text
    assert "class c05: 3 pictures, fewer than min_images" in text
    dataset = data.load(FolderConfig(name="folder", path=tmp_path, min_images=4))
    assert {name for split in dataset.splits.values() for name in split.names} == set(kept.classes)
    with pytest.raises(UserError, match=r"has 0 class folders \(8 have too few pictures for min_images\)"):
        class_folders(tmp_path, min_images=5).files()


def test_alphabets_taken_for_classes_get_a_hint(tmp_path: Path) -> None:
    for alphabet in ("Greek", "Latin", "Tibetan"):
        for character in ("character01", "character02"):
            noise(tmp_path / alphabet / character / "1.png")
    hint = class_folders(tmp_path).hint()
    assert hint is not None
    assert hint.startswith(
        "3 of the 3 classes have their pictures in folders of their own, 6 in all, such as Greek/char"
    )
    assert "hint" in said(tmp_path)
    # One deeper folder in a class, or pictures beside it, is no sign of that.
    noise_classes(tmp_path / "plain", 4)
    noise(tmp_path / "plain" / "c00" / "more" / "x.png")
    noise(tmp_path / "plain" / "c00" / "most" / "x.png")
    assert class_folders(tmp_path / "plain").hint() is None


@pytest.mark.parametrize(
    ("train", "validation", "test"),
    [("train", "valid", "test"), ("base", "val", "novel"), ("Train", "Val", "Test"), ("TRAINING", "dev", "testing")],
)
def test_other_words_for_the_splits(tmp_path: Path, train: str, validation: str, test: str) -> None:
    for number, (split, name) in enumerate({"train": train, "validation": validation, "test": test}.items()):
        noise_classes(tmp_path / name, 2, start=1000 * number)
        for folder in list((tmp_path / name).iterdir()):
            folder.rename(folder.with_name(f"{split}-{folder.name}"))
    splits = data.load(FolderConfig(name="folder", path=tmp_path)).splits
    assert {split: images.names for split, images in splits.items()} == {
        split: (f"{split}-c00", f"{split}-c01") for split in ("train", "validation", "test")
    }


def test_two_folders_for_one_split(tmp_path: Path) -> None:
    for name in ("train", "val", "valid", "test"):
        noise_classes(tmp_path / name, 2)
    with pytest.raises(UserError, match=r"has val and valid, each of which may be the validation split; keep one"):
        split_folders(tmp_path)


def test_classes_that_are_called_like_splits(tmp_path: Path) -> None:
    """Without the other two, "base" and "test" are classes."""
    for name in ("base", "test", "c", "d"):
        noise(tmp_path / name / "1.png")
    assert set(split_folders(tmp_path)["all"].classes) == {"base", "test", "c", "d"}
