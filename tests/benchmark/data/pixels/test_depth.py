"""Pictures of more than 8 bits look as the same picture in 8 bits does."""

import struct
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


def chunks(path: Path, **parts: bytes) -> Path:
    """A PNG file of these chunks."""
    content = b"\x89PNG\r\n\x1a\n"
    for kind, part in parts.items():
        content += len(part).to_bytes(4, "big") + kind.encode() + part
        content += zlib.crc32(kind.encode() + part).to_bytes(4, "big")
    path.write_bytes(content)
    return path


def sixteen_bit_png(path: Path, pixels: np.ndarray) -> Path:
    """A PNG file of (H, W, channels) 16-bit numbers: 2 channels are grey and transparency, 3 are colours."""
    height, width, channels = pixels.shape
    kind = {2: 4, 3: 2, 4: 6}[channels]
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([16, kind, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return chunks(path, IHDR=header, IDAT=zlib.compress(rows), IEND=b"")


def twelve_bit_tiff(path: Path, pixels: np.ndarray) -> Path:
    """A TIFF file that says that its numbers have 12 bits, two of them in three bytes."""
    height, width = pixels.shape
    bits = np.unpackbits(pixels.astype(">u2").view(np.uint8)).reshape(height, width, 16)[:, :, 4:]
    data = np.packbits(bits.reshape(height, -1), axis=1).tobytes()
    short, long = 3, 4
    # width, height, bits, not compressed, black is 0, where the data are, channels, rows in a strip, bytes
    entries = [(256, short, width), (257, short, height), (258, short, 12), (259, short, 1), (262, short, 1)]
    entries += [(273, long, 8 + 2 + 12 * 9 + 4), (277, short, 1), (278, short, height), (279, long, len(data))]
    content = struct.pack("<4sIH", b"II*\0", 8, len(entries))
    for tag, kind, value in entries:
        content += struct.pack("<HHII", tag, kind, 1, value)
    path.write_bytes(content + struct.pack("<I", 0) + data)
    return path


def test_twelve_bits_that_the_file_tells_of(tmp_path: Path) -> None:
    plain = read_image(saved(tmp_path / "plain.png", RAMP), 20, colour=False)
    file = twelve_bit_tiff(tmp_path / "x.tif", RAMP.astype(np.uint16) * 16 + 9)
    assert np.array_equal(read_image(file, 20, colour=False), plain)


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bits_in_several_channels(tmp_path: Path, channels: int) -> None:
    pixels = np.repeat(RAMP[..., None].astype(np.uint16), channels, -1)
    if channels != 3:
        pixels[..., -1] = 255
    plain = read_image(saved(tmp_path / "plain.png", RAMP), 20, colour=True)
    assert np.array_equal(read_image(sixteen_bit_png(tmp_path / "x.png", pixels * 257), 20, colour=True), plain)
    dark = pixels * 17  # to 12 bits: 255 becomes 4335, and the brightest number here, 234, becomes 3978
    if channels != 3:
        dark[..., -1] = 65535
    with pytest.raises(UserError, match=r"none of its 16-bit numbers exceeds 4095; .*12-bit numbers times 16"):
        read_image(sixteen_bit_png(tmp_path / "x.png", dark), 20, colour=True)


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("factor", [1, 4, 16])
def test_fewer_bits_in_sixteen_are_refused_rather_than_black(tmp_path: Path, ending: str, factor: int) -> None:
    file = saved(tmp_path / f"x.{ending}", RAMP.astype(np.uint16) * factor)
    with pytest.raises(UserError, match=rf"none of its 16-bit numbers exceeds {234 * factor}; .*nearly black"):
        read_image(file, 20, colour=False)
    black = saved(tmp_path / f"black.{ending}", np.zeros_like(RAMP, np.uint16))
    assert not read_image(black, 20, colour=False).any()


def claiming(path: Path, side: int) -> Path:
    """A PNG file whose header says that it is so large, with hardly any content."""
    header = side.to_bytes(4, "big") * 2 + bytes([8, 0, 0, 0, 0])
    return chunks(path, IHDR=header, IDAT=zlib.compress(bytes(1000)), IEND=b"")


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
