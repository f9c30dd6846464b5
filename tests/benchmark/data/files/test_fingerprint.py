"""A folder's identity is its pictures, not its path, and no picture is read twice."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.data import fingerprint
from benchmark.data.configs import FolderConfig, GlyphsConfig, OmniglotConfig
from benchmark.data.files.hashes import content_hashes
from benchmark.errors import UserError
from tests.benchmark.data.pictures import noise, noise_classes


def identity(path: Path, min_images: int = 1) -> str:
    found = fingerprint(FolderConfig(name="folder", path=path, min_images=min_images))
    assert found is not None
    return found


def test_the_same_pictures_elsewhere_and_other_pictures_in_place(tmp_path: Path) -> None:
    one, other = noise_classes(tmp_path / "one", 6), tmp_path / "deep" / "other"
    shutil.copytree(one, other)
    before = identity(one)
    assert identity(other) == before
    (other / "c02" / "1.png").rename(other / "c02" / "1a.png")  # the order stays
    (other / "c02" / ".hidden").touch()
    (other / "notes.txt").write_text("hello")
    assert identity(other) == before

    noise(one / "c02" / "1.png", seed=12345)
    changed = identity(one)
    assert changed != before
    noise(one / "c02" / "1.png", seed=201)
    assert identity(one) == before


def test_classes_splits_and_order_count(tmp_path: Path) -> None:
    base = noise_classes(tmp_path / "base", 6)
    found = {identity(base)}

    def changed(name: str) -> Path:
        return Path(shutil.copytree(base, tmp_path / name))

    renamed = changed("renamed")
    (renamed / "c00").rename(renamed / "a00")
    swapped = changed("swapped")
    (swapped / "c00" / "0.png").rename(swapped / "c00" / "9.png")
    less = changed("less")
    (less / "c05" / "2.png").unlink()
    moved = changed("moved")
    (moved / "c05" / "2.png").rename(moved / "c04" / "3.png")
    found |= {identity(path) for path in (renamed, swapped, less, moved)}
    assert len(found) == 5
    # A class that is left out does not count.
    shutil.copytree(less, tmp_path / "smaller")
    shutil.rmtree(tmp_path / "smaller" / "c05")
    assert identity(less, min_images=3) == identity(tmp_path / "smaller", min_images=3)


def test_a_content_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = noise_classes(tmp_path / "img", 3)
    files = sorted(folder.rglob("*.png"))
    expected = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    assert content_hashes(folder, files) == expected
    read: list[str] = []
    digest = hashlib.file_digest

    def counting(file: object, name: str) -> object:
        read.append(file.name)  # type: ignore[attr-defined]
        return digest(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(hashlib, "file_digest", counting)
    assert content_hashes(folder, files) == expected
    assert len(read) == len(files)  # they were written just now, so that a change could not be told by their times
    monkeypatch.setattr("benchmark.data.files.hashes.SETTLED_NS", -1)
    content_hashes(folder, files)
    read.clear()
    assert content_hashes(folder, files) == expected
    assert read == []

    # Other bytes of the same length and modification time, as `cp -p` may leave them.
    old = files[0].stat()
    content = files[0].read_bytes()
    files[0].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(files[0], ns=(old.st_atime_ns, old.st_mtime_ns))
    assert content_hashes(folder, files)[0] != expected[0]
    assert read == [str(files[0])]


def test_a_damaged_cache_of_hashes_is_made_again(tmp_path: Path, cache_home: Path) -> None:
    folder = noise_classes(tmp_path / "img", 2)
    files = sorted(folder.rglob("*.png"))
    expected = content_hashes(folder, files)
    for content in ("", "[1]", "{", '{"a": 3}', "\x00"):
        for cache in (cache_home / "hashes").glob("*.json"):
            cache.write_text(content)
        assert content_hashes(folder, files) == expected


def test_data_without_files_of_their_own_have_none() -> None:
    assert fingerprint(GlyphsConfig(name="glyphs")) is None
    assert fingerprint(OmniglotConfig(name="omniglot")) is None


def test_what_cannot_be_used_has_none(tmp_path: Path) -> None:
    noise_classes(tmp_path / "img", 3)
    (tmp_path / "img" / "c00" / "dead.png").symlink_to("nowhere")
    with pytest.raises(UserError, match="a dead link to nowhere"):
        identity(tmp_path / "img")
    with pytest.raises(UserError, match="is not a folder"):
        identity(tmp_path / "gone")


def test_torch_is_not_needed(tmp_path: Path) -> None:
    """Every command reads grids, most of them without it."""
    noise_classes(tmp_path / "img", 3)
    program = (
        "import sys; from benchmark.data import fingerprint; from benchmark.data.configs import FolderConfig;"
        f"print(fingerprint(FolderConfig(name='folder', path={str(tmp_path / 'img')!r})));"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == identity(tmp_path / "img")
