from pathlib import Path

import pytest
import torch

from benchmark.data.dataset import ClassImages
from benchmark.data.files.cache import cached


class Builder:
    """Counts how often the images are really decoded."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> ClassImages:
        self.calls += 1
        images = torch.arange(6 * 64, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(6, 1, 8, 8)
        return ClassImages(images, torch.tensor([0, 2, 6]), ("a", "b/c"))


def test_second_call_reads_the_same_images_from_the_file(tmp_path: Path) -> None:
    build = Builder()
    first = cached("x", "v1", [tmp_path], build)
    again = cached("x", "v1", [tmp_path], build)
    assert build.calls == 1
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.first, again.first)
    assert first.names == again.names
    assert [p.name for p in tmp_path.iterdir()] == ["x.npz"]


def test_another_fingerprint_rebuilds(tmp_path: Path) -> None:
    build = Builder()
    cached("x", "v1", [tmp_path], build)
    cached("x", "v2", [tmp_path], build)
    cached("x", "v2", [tmp_path], build)
    assert build.calls == 2


@pytest.mark.parametrize("damage", ["flip a pixel", "cut", "empty", "text"])
def test_a_damaged_file_is_rebuilt(tmp_path: Path, damage: str) -> None:
    build = Builder()
    whole = cached("x", "v1", [tmp_path], build)
    path = tmp_path / "x.npz"
    content = bytearray(path.read_bytes())
    pixels = content.index(whole.images.numpy().tobytes())
    content[pixels + 10] ^= 1
    damaged = {"flip a pixel": bytes(content), "cut": path.read_bytes()[:-200], "empty": b"", "text": b"hello"}
    path.write_bytes(damaged[damage])
    assert torch.equal(cached("x", "v1", [tmp_path], build).images, whole.images)
    cached("x", "v1", [tmp_path], build)
    assert build.calls == 2


def test_a_read_only_folder_is_left_alone(tmp_path: Path) -> None:
    shared, own = tmp_path / "shared", tmp_path / "own"
    shared.mkdir()
    shared.chmod(0o555)
    build = Builder()
    cached("x", "v1", [shared, own], build)
    cached("x", "v1", [shared, own], build)
    assert build.calls == 1
    assert not list(shared.iterdir())
    with pytest.warns(UserWarning, match="no cache folder can be written"):
        cached("y", "v1", [shared], build)
