"""Pictures of more than 8 bits look as the same picture in 8 bits does."""

import zlib
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


def claiming(path: Path, side: int) -> Path:
    """A PNG file whose header says that it is so large, with hardly any content."""
    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    parts = {b"IHDR": header, b"IDAT": zlib.compress(bytes(1000)), b"IEND": b""}
    content = b"\x89PNG\r\n\x1a\n"
    for kind, part in parts.items():
        content += len(part).to_bytes(4, "big") + kind + part + zlib.crc32(kind + part).to_bytes(4, "big")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("side", "found"), [(20_000, "400,000,000 pixels"), (10_400, "10400 x 10400 pixels")])
def test_huge_pictures_are_refused_before_they_are_decoded(tmp_path: Path, side: int, found: str) -> None:
    """Pillow refuses the first itself; of the second it would only warn, which fails a test."""
    with pytest.raises(UserError, match=rf"x\.png cannot be .* \(it has {found}, and at most 100 million are read\)"):
        read_image(claiming(tmp_path / "x.png", side), 20, colour=False)


def test_the_limit_itself_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("L", (50, 40), 7).save(tmp_path / "x.png")
    monkeypatch.setattr(picture, "LARGEST_PICTURE", 2000)
    read_image(tmp_path / "x.png", 8, colour=False)
    monkeypatch.setattr(picture, "LARGEST_PICTURE", 1999)
    with pytest.raises(UserError, match="50 x 40 pixels"):
        read_image(tmp_path / "x.png", 8, colour=False)


@pytest.mark.parametrize(
    "content",
    [
        b"hello",
        b"BM" + b"\xff" * 60,
        b"II*\0" + b"\xff" * 60,
        b"GIF89a" + b"\xff" * 60,
        b"RIFF\xff\xff\xff\xffWEBPVP8 ",
    ],
)
@pytest.mark.parametrize("ending", ["png", "tif", "bmp", "gif", "webp", "jpg"])
def test_what_is_no_picture_is_one_message(tmp_path: Path, content: bytes, ending: str) -> None:
    (tmp_path / f"x.{ending}").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.{ending} cannot be read as an image \(.*\); repair or remove it"):
        read_image(tmp_path / f"x.{ending}", 8, colour=False)
