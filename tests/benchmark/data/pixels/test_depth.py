"""Pictures of more than 8 bits look as the same picture in 8 bits does."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.data.files import picture
from benchmark.data.files.picture import read_image
from benchmark.errors import UserError

RAMP = np.add.outer(np.arange(40), 5 * np.arange(40)).clip(0, 255).astype(np.uint8)


def saved(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("name", "pixels"),
    [
        ("f.tif", RAMP.astype(np.float32) / 255),
        ("i16.tif", RAMP.astype(np.uint16) * 257),
        ("i16.png", RAMP.astype(np.uint16) * 257),
        ("i32.tif", RAMP.astype(np.int32) * 257),
    ],
)
def test_the_same_picture_whatever_its_depth(tmp_path: Path, name: str, pixels: np.ndarray) -> None:
    plain = read_image(saved(tmp_path / "plain.png", RAMP), 20, colour=False)
    assert np.array_equal(read_image(saved(tmp_path / name, pixels), 20, colour=False), plain)


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (RAMP.astype(np.float32), "floats from 0 to 234, and only 0 to 1 is read"),
        (RAMP.astype(np.float32) / 255 - 0.5, "floats from -0.5 to "),
        (np.where(RAMP > 9, np.nan, 0).astype(np.float32), "floats from nan to nan"),
        (RAMP.astype(np.int32), "32-bit numbers from 0 to 234, .* save it with 8 or 16 bits"),
        (RAMP.astype(np.int32) * 1000, "32-bit numbers from 0 to 234000"),
        (RAMP.astype(np.int32) - 300, "32-bit numbers from -300 to -66"),
    ],
)
def test_numbers_that_no_rule_covers_are_refused(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    file = saved(tmp_path / "x.tif", pixels)
    with pytest.raises(UserError, match=rf"x\.tif cannot be read as an image \(its pixels are {message}"):
        read_image(file, 20, colour=False)


def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow refuses the first itself; of the second it would only warn, which fails a test."""
    for side, message in ((20_000, "400000000 pixels"), (10_400, r"it has 10400 x 10400 pixels, and at most 100 mill")):
        Image.new("1", (side, side)).save(tmp_path / "x.png", compress_level=1)
        with pytest.raises(UserError, match=rf"x\.png cannot be read as an image \(.*{message}"):
            read_image(tmp_path / "x.png", 20, colour=False)
    Image.new("1", (9_500, 9_500)).save(tmp_path / "x.png", compress_level=1)
    monkeypatch.setattr(picture, "LARGEST_PICTURE", 9_500**2)
    read_image(tmp_path / "x.png", 8, colour=False)
