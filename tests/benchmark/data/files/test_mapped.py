"""Decoded images on disk: mapped, written once, whole or not at all."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.cells.config import EpisodesConfig
from benchmark.data import dataset as dataset_module
from benchmark.data.files.formats import Classes, Source
from benchmark.data.files.mapped import MappedFile, mapped
from benchmark.episodes.draw import stream
from benchmark.episodes.sampling import check_possible, sample
from benchmark.errors import UserError

SIZE = 16


class Decoder:
    """A source that counts how often it is read, and can fail after some classes."""

    def __init__(self, folder: Path, classes: int = 5, images: int = 4) -> None:
        generator = np.random.default_rng(0)
        self.content = {
            f"class {n}": generator.integers(0, 256, (images + n % 2, SIZE, SIZE, 3), dtype=np.uint8)
            for n in range(classes)
        }
        self.file = folder / "source"
        self.file.write_bytes(b"1")
        self.calls, self.fail_after = 0, classes + 1

    @property
    def source(self) -> Source:
        return Source([self.file], self.classes)

    def classes(self) -> Classes:
        self.calls += 1
        for number, (name, images) in enumerate(self.content.items()):
            if number == self.fail_after:
                raise UserError("a broken image")
            yield name, images


@pytest.fixture
def decoder(tmp_path: Path) -> Decoder:
    return Decoder(tmp_path)


def test_images_are_mapped_from_the_file_and_exact(tmp_path: Path, decoder: Decoder) -> None:
    images, index = mapped("train", decoder.source, SIZE, [tmp_path / "cache"])
    expected = np.concatenate(list(decoder.content.values())).transpose(0, 3, 1, 2)
    assert torch.equal(images.images, torch.from_numpy(expected.copy()))
    assert images.names == tuple(decoder.content) and index.sizes == (4, 5, 4, 5, 4)
    maps = [line.split() for line in Path("/proc/self/maps").read_text().splitlines()]
    ranges = [line[0].split("-") for line in maps if line[-1] == str(tmp_path / "cache" / "train.u8")]
    assert any(int(start, 16) <= images.images.data_ptr() < int(end, 16) for start, end in ranges)
    # Whoever writes into the tensor writes into a page of this process, not into the file.
    images.images[0] = 0
    assert (tmp_path / "cache" / "train.u8").read_bytes() == expected.tobytes()


def test_decoded_once_until_the_source_or_the_size_changes(tmp_path: Path, decoder: Decoder) -> None:
    folders = [tmp_path / "cache"]
    mapped("train", decoder.source, SIZE, folders)
    mapped("train", decoder.source, SIZE, folders)
    assert decoder.calls == 1
    decoder.file.write_bytes(b"22")
    mapped("train", decoder.source, SIZE, folders)
    assert decoder.calls == 2
    os.truncate(folders[0] / "train.u8", 1000)
    mapped("train", decoder.source, SIZE, folders)
    (folders[0] / "train.json").write_text('{"stamp": ')
    mapped("train", decoder.source, SIZE, folders)
    assert decoder.calls == 4


def test_an_interrupted_write_is_started_again_and_finished_splits_are_kept(tmp_path: Path, decoder: Decoder) -> None:
    folder = tmp_path / "cache"
    mapped("train", decoder.source, SIZE, [folder])
    decoder.fail_after = 2
    with pytest.raises(UserError, match="a broken image"):
        mapped("test", decoder.source, SIZE, [folder])
    assert sorted(file.name for file in folder.iterdir() if file.suffix != ".lock") == ["train.json", "train.u8"]
    # A killed process cannot tidy up, and may have replaced the pixels without having described them.
    (folder / ".test.u8.123.tmp").write_bytes(b"half")
    (folder / "test.u8").write_bytes(b"")
    decoder.fail_after = 99
    images, _ = mapped("test", decoder.source, SIZE, [folder])
    assert decoder.calls == 3
    assert images.images.shape[0] == 22
    assert not (folder / ".test.u8.123.tmp").exists()
    mapped("train", decoder.source, SIZE, [folder])
    assert decoder.calls == 3


def test_new_pixels_are_never_taken_for_the_old_ones(tmp_path: Path, decoder: Decoder) -> None:
    """The old description goes before the new pixels come."""
    folder = tmp_path / "cache"
    mapped("train", decoder.source, SIZE, [folder])
    decoder.file.write_bytes(b"22")
    decoder.fail_after = 1
    with pytest.raises(UserError):
        mapped("train", decoder.source, SIZE, [folder])
    assert MappedFile(folder, "train").index("anything") is None
    assert not (folder / "train.json").exists()


def test_a_read_only_folder_is_read_but_not_written(tmp_path: Path, decoder: Decoder) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o555)
    mapped("train", decoder.source, SIZE, [shared, own])
    assert not list(shared.iterdir()) and (own / "train.u8").exists()
    with pytest.raises(UserError, match="no folder can be written to keep the decoded images in"):
        mapped("train", decoder.source, SIZE, [shared])
    shared.chmod(0o755)
    mapped("train", decoder.source, SIZE, [shared])
    shared.chmod(0o555)
    mapped("train", decoder.source, SIZE, [shared, own])
    assert decoder.calls == 2
    shared.chmod(0o755)


def test_only_small_splits_move_to_a_device(tmp_path: Path, decoder: Decoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """`meta` stands for a GPU: a device that is not where the images are."""
    images, _ = mapped("train", decoder.source, SIZE, [tmp_path / "cache"])
    device = torch.device("meta")
    assert images.to(device).images.device == device
    monkeypatch.setattr(dataset_module, "LARGEST_TO_MOVE", images.images.nbytes - 1)
    moved = images.to(device)
    assert moved.device == device and moved.images is images.images
    assert images.device == torch.device("cpu")


def test_too_few_images_for_the_episode_are_refused(tmp_path: Path, decoder: Decoder) -> None:
    images, _ = mapped("train", decoder.source, SIZE, [tmp_path / "cache"])
    possible = EpisodesConfig(ways=5, shots=1, queries=3)
    check_possible(images, possible, "train")
    assert sample(images, possible, stream("train", 0), 0, 2).query_images.shape == (2, 15, 3, SIZE, SIZE)
    with pytest.raises(UserError, match=r"need 5 images of each class .* smallest class of the train split has 4"):
        check_possible(images, EpisodesConfig(ways=5, shots=1, queries=4), "train")
