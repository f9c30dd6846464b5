"""tieredImageNet in one array per split, stored or compressed."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import load
from benchmark.data.configs import TieredImageNetConfig
from benchmark.data.files import npz_arrays
from benchmark.data.files.npz_arrays import read_array
from benchmark.errors import UserError
from tests.benchmark.data.photograph_archives import all_photos, write_npz

TIERED = TieredImageNetConfig(name="tiered_imagenet", partial=True)


def test_a_stored_array_is_mapped_and_a_compressed_one_read(tmp_path: Path) -> None:
    expected = np.random.default_rng(0).integers(0, 256, (5, 84, 84, 3), dtype=np.uint8)
    np.savez(tmp_path / "stored.npz", other=np.arange(3), images=expected)
    np.savez_compressed(tmp_path / "compressed.npz", images=expected)
    stored = read_array(tmp_path / "stored.npz", "images", 84)
    assert isinstance(stored, np.memmap)
    assert (stored == expected).all()
    assert (read_array(tmp_path / "compressed.npz", "images", 84) == expected).all()


def npy(folder: Path, array: np.ndarray) -> bytes:
    np.save(folder / "a.npy", array)
    return (folder / "a.npy").read_bytes()


def huge(folder: Path) -> bytes:
    """A header of a million images, and the pixels of three."""
    content = npy(folder, np.zeros((3, 84, 84, 3), np.uint8))
    return content.replace(b"(3, 84, 84, 3), }      ", b"(1000000, 84, 84, 3), }")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (lambda folder: npy(folder, np.zeros((3, 84, 84, 3), np.float32)), "found float32"),
        (lambda folder: npy(folder, np.zeros((3, 32, 32, 3), np.uint8)), r"found uint8 \(3, 32, 32, 3\)"),
        (lambda folder: npy(folder, np.array([{}])), "found object"),
        (lambda folder: npy(folder, np.zeros(3, "u1,u1")), "found "),
        (lambda folder: npy(folder, np.zeros((3, 84, 84, 3), np.uint8, order="F")), "in an order that is not read"),
        (lambda folder: npy(folder, np.zeros((3, 84, 84, 3), np.uint8))[:-7], "is cut off"),
        (huge, "is cut off"),
        (lambda folder: b"not an array", "cannot be read as an archive of arrays"),
        (lambda folder: b"", "cannot be read as an archive of arrays"),
    ],
)
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_arrays_of_something_else(
    tmp_path: Path, content: Callable[[Path], bytes], said: str, compression: int
) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w", compression) as archive:
        archive.writestr("images.npy", content(tmp_path))
    with pytest.raises(UserError, match=rf"x\.npz.*{said}"):
        read_array(tmp_path / "x.npz", "images", 84)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npz_arrays, "LARGEST_UNPACKED", 10_000_000)
    np.savez_compressed(tmp_path / "x.npz", images=np.zeros((500, 84, 84, 3), np.uint8))
    with pytest.raises(UserError, match=r"takes 10,584,000 bytes unpacked, at most 10,000,000 are read"):
        read_array(tmp_path / "x.npz", "images", 84)


def test_damaged_archives_and_missing_arrays(tmp_path: Path) -> None:
    write_npz(tmp_path / "tiered_imagenet", all_photos())
    path = tmp_path / "tiered_imagenet" / "val_images.npz"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"val_images\.npz cannot be read as an archive of arrays"):
        load(TIERED, tmp_path)
    np.savez(path, pictures=np.zeros(3))
    with pytest.raises(UserError, match=r"val_images\.npz has no array 'images'; it has pictures"):
        load(TIERED, tmp_path)
    (tmp_path / "tiered_imagenet" / "val_labels.pkl").unlink()
    with pytest.raises(UserError, match="no val_labels"):
        load(TIERED, tmp_path)
