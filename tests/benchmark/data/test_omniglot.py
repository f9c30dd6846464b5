"""Small archives made here and served by a local web server; the real ones where HTBENCH_DATA has them."""

import hashlib
import io
import itertools
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw

from benchmark.data import load
from benchmark.data.configs import OmniglotConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.places import dataset_folders
from benchmark.data.omniglot import (
    EVALUATION_ALPHABETS,
    PLACES,
    URL,
    VALIDATION_ALPHABETS,
    Archive,
    find_or_fetch,
    ht_split,
    lake_split,
    read_characters,
)
from benchmark.errors import UserError
from tests.benchmark.data.local_server import serving

REAL = Path(os.environ.get("HTBENCH_DATA", "")) / "omniglot"
needs_archives = pytest.mark.skipif(
    not (os.environ.get("HTBENCH_DATA") and (REAL / "images_evaluation.zip").is_file()),
    reason="set HTBENCH_DATA to a folder with omniglot/images_background.zip and omniglot/images_evaluation.zip",
)


def read(folder: Path, archives: list[Archive], url: str = URL) -> ClassImages:
    return read_characters(find_or_fetch([folder], archives, url), archives)


def png(number: int) -> bytes:
    """A drawing like Omniglot's: one bit, white paper, a dark stroke."""
    image = Image.new("1", (105, 105), 1)
    ImageDraw.Draw(image).line((10, 20 + number, 90, 80 - number), fill=0, width=3)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def write_archive(path: Path, characters: list[str], drawings: int = 20) -> Archive:
    with zipfile.ZipFile(path, "w") as file:
        for order, character in enumerate(characters):
            for drawing in reversed(range(drawings)):
                file.writestr(f"{path.stem}/{character}/{order:04}_{drawing + 1:02}.png", png(drawing))
    return Archive(path.name, hashlib.md5(path.read_bytes()).hexdigest(), len(characters))


@pytest.fixture
def archives(tmp_path: Path) -> list[Archive]:
    """Two small archives in `tmp_path/origin`; the alphabets interleave when sorted."""
    origin = tmp_path / "origin"
    origin.mkdir()
    return [
        write_archive(
            origin / "images_background.zip", ["Greek/character02", "Greek/character01", "Bengali/character01"]
        ),
        write_archive(origin / "images_evaluation.zip", ["Angelic/character01", "Ge_ez/character01"]),
    ]


@pytest.fixture
def url(tmp_path: Path, archives: list[Archive]) -> Iterator[str]:
    with serving(tmp_path / "origin") as address:
        yield address


def test_download_decode_and_cache(tmp_path: Path, archives: list[Archive], url: str) -> None:
    folder = tmp_path / "data" / "omniglot"
    pool = read(folder, archives, url)
    assert pool.names == (
        "Angelic/character01",
        "Bengali/character01",
        "Ge_ez/character01",
        "Greek/character01",
        "Greek/character02",
    )
    assert pool.images.shape == (100, 1, 28, 28)
    assert pool.first.tolist() == [0, 20, 40, 60, 80, 100]
    assert sorted(path.name for path in folder.iterdir()) == [
        "images_background.zip",
        "images_evaluation.zip",
        "omniglot-28.npz",
    ]
    # Ink is bright; drawings come in file order although the archive holds them backwards.
    with Image.open(io.BytesIO(png(3))) as image:
        expected = 255 - torch.tensor(list(image.convert("L").resize((28, 28), Image.Resampling.LANCZOS).tobytes()))
    assert torch.equal(pool.images[3].flatten().long(), expected)
    assert 0.01 < pool.images.double().mean() / 255 < 0.2

    # Nothing is served there: the second time needs neither the network nor a decoder.
    assert torch.equal(read(folder, archives, "http://127.0.0.1:9").images, pool.images)


def test_changed_archives_are_decoded_again(tmp_path: Path, archives: list[Archive]) -> None:
    folder = tmp_path / "origin"
    before = read(folder, archives)
    write_archive(folder / "images_evaluation.zip", ["Angelic/character01", "Tibetan/character01"])
    assert read(folder, archives).names != before.names


def test_download_that_fails_leaves_nothing_behind(tmp_path: Path, archives: list[Archive], url: str) -> None:
    folder = tmp_path / "omniglot"
    wrong = [Archive(archive.name, "0" * 32, archive.characters) for archive in archives]
    with pytest.raises(UserError, match=r"images_background.zip is missing, and http.* MD5 is not 0{32}. Get images_b"):
        read(folder, wrong, url)
    with pytest.raises(
        UserError, match=r"images_background.zip is missing and cannot .*404.*put it into .*omniglot, or"
    ):
        read(folder, archives, f"{url}/elsewhere")
    with pytest.raises(
        UserError, match=r"cannot be downloaded from http://127.0.0.1:9/images_background.zip: .*refused"
    ):
        read(folder, archives, "http://127.0.0.1:9")
    assert not list(folder.iterdir())


def test_damaged_archives_are_named(tmp_path: Path, archives: list[Archive]) -> None:
    folder = tmp_path / "origin"
    path = folder / "images_evaluation.zip"
    whole = path.read_bytes()

    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"images_evaluation.zip cannot be read"):
        read(folder, archives)

    damaged = bytearray(whole)
    damaged[whole.index(b"IDAT") + 12] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"images_evaluation.zip: image .*Angelic/character01/0000_20.png is damaged"):
        read(folder, archives)

    write_archive(path, ["Angelic/character01"], drawings=19)
    with pytest.raises(
        UserError, match=r"has 1 characters with \[19\] drawings each; the official archive has 2 with 20"
    ):
        read(folder, archives)
    assert not list(folder.glob("*.npz"))


def test_ht_split_is_a_permutation_cut_in_three() -> None:
    splits = ht_split(1623)
    assert {name: len(members) for name, members in splits.items()} == {"train": 1150, "validation": 50, "test": 423}
    assert sorted(itertools.chain(*splits.values())) == list(range(1623))
    assert splits["train"][:5] == [265, 521, 1334, 1080, 857]


def test_lake_split_is_by_alphabet() -> None:
    names = ["Angelic/character01", "Bengali/character01", "Bengali/character02", "Greek/character01"]
    assert lake_split(names) == {"train": [1, 2], "validation": [3], "test": [0]}


@pytest.fixture(scope="module")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("omniglot-cache")


@pytest.fixture
def real(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Dataset]:
    """Both splits of the real data set, decoded once for this file."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(shared_cache))
    return {split: load(OmniglotConfig(name="omniglot", split=split)) for split in ("ht", "lake")}


@needs_archives
def test_the_real_archives(real: dict[str, Dataset]) -> None:
    for dataset in real.values():
        assert dataset.sha256 == "c1a1b23e1791d125f4e5f48458ca5e4ef6147b824eedcd60ba349dcec8e0baab"
        names = [name for split in dataset.splits.values() for name in split.names]
        assert len(names) == len(set(names)) == 1623
        assert dataset.splits["train"].rotations == "per-class"
        for split in dataset.splits.values():
            assert split.images.shape == (20 * len(split.names), 1, 28, 28)
            assert split.smallest_class == 20
            assert 0.05 < split.images.double().mean() / 255 < 0.15  # ink is bright and there is little of it
            corners = split.images[:, 0, [0, 0, -1, -1], [0, -1, 0, -1]].double()
            assert corners.mean() < 5


@needs_archives
def test_the_real_alphabets(real: dict[str, Dataset]) -> None:
    splits = real["lake"].splits
    alphabets = {name: {character.split("/")[0] for character in split.names} for name, split in splits.items()}
    assert {name: (len(alphabets[name]), len(split.names)) for name, split in splits.items()} == {
        "train": (25, 809),
        "validation": (5, 155),
        "test": (20, 659),
    }
    assert alphabets["test"] == EVALUATION_ALPHABETS
    assert alphabets["validation"] == VALIDATION_ALPHABETS
    with zipfile.ZipFile(REAL / "images_evaluation.zip") as file:
        inside = {"/".join(member.split("/")[1:3]) for member in file.namelist() if member.endswith(".png")}
    assert set(splits["test"].names) == inside


def unpack(path: Path, folder: Path) -> None:
    with zipfile.ZipFile(path) as file:
        file.extractall(folder)


@pytest.mark.parametrize("place", ["omniglot", "Omniglot", "omniglot-py", ".", "omniglot/python"])
@pytest.mark.parametrize("form", ["packed", "unpacked", "twice"])
def test_other_places_and_unpacked(tmp_path: Path, archives: list[Archive], place: str, form: str) -> None:
    """torchvision's and learn2learn's folder is omniglot-py; nothing is downloaded (no URL is served)."""
    origin = tmp_path / "origin"
    expected = read(origin, archives)
    folder = tmp_path / "data" / place
    folder.mkdir(parents=True)
    for archive in archives:
        if form == "packed":
            shutil.copy(origin / archive.name, folder)
        else:
            inside = folder if form == "unpacked" else folder / Path(archive.name).stem
            unpack(origin / archive.name, inside)
            (inside / Path(archive.name).stem / ".DS_Store").touch()
    parts = find_or_fetch(dataset_folders(tmp_path / "data", "omniglot", *PLACES), archives, "http://127.0.0.1:9")
    found = read_characters(parts, archives)
    assert found.names == expected.names
    assert torch.equal(found.images, expected.images)


def test_an_archive_goes_before_a_folder(tmp_path: Path, archives: list[Archive]) -> None:
    unpack(tmp_path / "origin" / archives[0].name, tmp_path / "origin")
    (parts, other) = find_or_fetch([tmp_path / "origin"], archives)
    assert parts.packed and other.packed
    (tmp_path / "origin" / archives[0].name).unlink()
    parts, other = find_or_fetch([tmp_path / "origin"], archives)
    assert not parts.packed and other.packed
    (tmp_path / "origin" / "images_background" / "Greek" / "character01" / "dead.png").symlink_to("nowhere")
    with pytest.raises(UserError, match=r"Greek/character01/dead\.png: a dead link"):
        find_or_fetch([tmp_path / "origin"], archives)


def test_a_changed_drawing_is_decoded_again(tmp_path: Path, archives: list[Archive]) -> None:
    for archive in archives:
        unpack(tmp_path / "origin" / archive.name, tmp_path / "data")
    before = read(tmp_path / "data", archives)
    drawing = tmp_path / "data" / "images_evaluation" / "Angelic" / "character01" / "0000_04.png"
    drawing.write_bytes(png(19))
    changed = (read(tmp_path / "data", archives).images != before.images).flatten(1).any(1).nonzero().flatten()
    assert changed.tolist() == [3]


def test_bombs_are_refused_before_they_are_unpacked(tmp_path: Path, archives: list[Archive]) -> None:
    path = tmp_path / "origin" / "images_evaluation.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images_evaluation/Angelic/character01/0000_01.png", bytes(20_000_000))
    assert path.stat().st_size < 100_000
    with pytest.raises(UserError, match=r"0000_01\.png would be 20,000,000 bytes, and a drawing has at most 1,000,000"):
        read(tmp_path / "origin", archives)
    large = io.BytesIO()
    Image.new("1", (2_000, 300), 1).save(large, "PNG")
    write_archive(path, ["Angelic/character01", "Ge_ez/character01"])
    with zipfile.ZipFile(path) as file:
        content = {name: file.read(name) for name in file.namelist()}
    content["images_evaluation/Angelic/character01/0000_07.png"] = large.getvalue()
    with zipfile.ZipFile(path, "w") as file:
        for name, drawing in content.items():
            file.writestr(name, drawing)
    with pytest.raises(UserError, match=r"0000_07\.png is damaged \(2000 x 300 pixels, and at most 1000 each"):
        read(tmp_path / "origin", archives)
