"""Photographs in one folder, with a CSV file per split."""

from pathlib import Path

import pytest

from benchmark.data import load
from benchmark.data.configs import DatasetConfig, MiniImageNetConfig, TieredImageNetConfig
from benchmark.errors import UserError
from tests.benchmark.data.photograph_archives import all_photos, png, write_lists

MINI = MiniImageNetConfig(name="mini_imagenet", partial=True)
TIERED = TieredImageNetConfig(name="tiered_imagenet", partial=True)


@pytest.mark.parametrize("header", ["filename,label", "label,filename", "class_name,image_name", ",filename,label"])
@pytest.mark.parametrize("images", ["images/{file}", "{label}/{file}", "images/{label}/{file}", "{file}"])
def test_columns_in_any_order_and_images_where_they_are(tmp_path: Path, header: str, images: str) -> None:
    write_lists(tmp_path / "mini_imagenet", all_photos(), header, images)
    splits = load(MINI, tmp_path).splits
    for split, short in {"train": "train", "validation": "val", "test": "test"}.items():
        expected = all_photos()[short]
        assert splits[split].names == tuple(expected)
        for number, pixels in enumerate(expected.values()):
            assert (splits[split].images[3 * number : 3 * number + 3].permute(0, 2, 3, 1).numpy() == pixels).all()


@pytest.mark.parametrize(
    ("config", "folder", "lists"),
    [(MINI, "miniImageNet", "split"), (MINI, "mini-imagenet", "."), (TIERED, "tiered-imagenet", "splits")],
)
def test_folders_in_another_spelling_and_lists_beside(
    tmp_path: Path, config: DatasetConfig, folder: str, lists: str
) -> None:
    write_lists(tmp_path / folder, all_photos(), lists=lists)
    assert [len(images.names) for images in load(config, tmp_path).splits.values()] == [4, 2, 3]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("gone.png,val-0", r"val\.csv:8: there is no file gone\.png in .*images or "),
        ("val-0-0.png,val-1", r"val\.csv:8: val-0-0\.png is listed twice, already in .*val\.csv"),
        ("train-0-0.png,val-1", r"val\.csv:8: train-0-0\.png is listed twice, already in .*train\.csv"),
        ("../../secret.png,val-0", r"names '\.\./\.\./secret\.png', which is not inside the folder"),
        ("/etc/hostname,val-0", r"names '/etc/hostname', which is not inside"),
        ("val-0-0.png,../x", r"names '\.\./x', which is not inside"),
        ("val-0-0.png", r"val\.csv:8: 1 columns, and 2 are named"),
        (",val-0", "names '', which is not inside"),
    ],
)
def test_rows_that_make_no_sense(tmp_path: Path, row: str, said: str) -> None:
    folder = tmp_path / "mini_imagenet"
    write_lists(folder, all_photos())
    (tmp_path / "secret.png").write_bytes(png(all_photos()["val"]["val-0"][0]))
    with (folder / "val.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(UserError, match=said):
        load(MINI, tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"should name the columns 'filename' and 'label', found \[\]"),
        (b"a,b\n1,2\n", r"found \['a', 'b'\]"),
        (b"filename,label\n", r"test\.csv lists no images"),
        (b"filename,label\n\xff\xfe,x\n", r"test\.csv cannot be read as CSV"),
        (b"filename,label\n" + b"x" * 200_000 + b",y\n", r"test\.csv cannot be read as CSV \(field larger"),
    ],
)
def test_lists_that_are_none(tmp_path: Path, content: bytes, said: str) -> None:
    write_lists(tmp_path / "mini_imagenet", all_photos())
    (tmp_path / "mini_imagenet" / "test.csv").write_bytes(content)
    with pytest.raises(UserError, match=said):
        load(MINI, tmp_path)
