"""CIFAR-FS and FC100 from CIFAR-100's official archive, made small here and served by a local web server."""

import hashlib
import io
import pickle
import shutil
import tarfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from benchmark.data import cifar100, cifar_fs, fc100, load
from benchmark.data.configs import CIFARFSConfig, DatasetConfig, FC100Config
from benchmark.data.files.trust import trusting
from benchmark.errors import UserError
from tests.benchmark.data.local_server import serving
from tests.benchmark.data.photograph_archives import dump, write_cifar100

# fmt: off
SUPERCLASSES = {  # as https://www.cs.toronto.edu/~kriz/cifar.html lists them
    "aquatic_mammals": ["beaver", "dolphin", "otter", "seal", "whale"],
    "fish": ["aquarium_fish", "flatfish", "ray", "shark", "trout"],
    "flowers": ["orchid", "poppy", "rose", "sunflower", "tulip"],
    "food_containers": ["bottle", "bowl", "can", "cup", "plate"],
    "fruit_and_vegetables": ["apple", "mushroom", "orange", "pear", "sweet_pepper"],
    "household_electrical_devices": ["clock", "keyboard", "lamp", "telephone", "television"],
    "household_furniture": ["bed", "chair", "couch", "table", "wardrobe"],
    "insects": ["bee", "beetle", "butterfly", "caterpillar", "cockroach"],
    "large_carnivores": ["bear", "leopard", "lion", "tiger", "wolf"],
    "large_man-made_outdoor_things": ["bridge", "castle", "house", "road", "skyscraper"],
    "large_natural_outdoor_scenes": ["cloud", "forest", "mountain", "plain", "sea"],
    "large_omnivores_and_herbivores": ["camel", "cattle", "chimpanzee", "elephant", "kangaroo"],
    "medium_mammals": ["fox", "porcupine", "possum", "raccoon", "skunk"],
    "non-insect_invertebrates": ["crab", "lobster", "snail", "spider", "worm"],
    "people": ["baby", "boy", "girl", "man", "woman"],
    "reptiles": ["crocodile", "dinosaur", "lizard", "snake", "turtle"],
    "small_mammals": ["hamster", "mouse", "rabbit", "shrew", "squirrel"],
    "trees": ["maple_tree", "oak_tree", "palm_tree", "pine_tree", "willow_tree"],
    "vehicles_1": ["bicycle", "bus", "motorcycle", "pickup_truck", "train"],
    "vehicles_2": ["lawn_mower", "rocket", "streetcar", "tank", "tractor"],
}
# fmt: on
CLASSES = [(superclass, name) for superclass, names in SUPERCLASSES.items() for name in names]
CIFAR_FS = CIFARFSConfig(name="cifar_fs", partial=True)
FC100 = FC100Config(name="fc100", partial=True)


def test_cifar_fs_and_fc100_from_the_archive(tmp_path: Path) -> None:
    content = write_cifar100(tmp_path / "cifar100" / cifar100.ARCHIVE, CLASSES)
    configs: list[tuple[DatasetConfig, tuple[int, ...]]] = [(CIFAR_FS, (64, 16, 20)), (FC100, (60, 20, 20))]
    for config, counts in configs:
        splits = load(config, tmp_path).splits
        assert tuple(len(images.names) for images in splits.values()) == counts
        assert {name for images in splits.values() for name in images.names} == content.keys()
        for images in splits.values():
            for number, name in enumerate(images.names):
                found = images.images[images.first[number] : images.first[number + 1]]
                assert np.array_equal(found.permute(0, 2, 3, 1).numpy(), content[name])


@pytest.mark.parametrize("place", ["cifar100", "CIFAR-100", ".", "cifar_fs", "cifar100/cifar-100-python"])
@pytest.mark.parametrize("packed", [False, True])
def test_where_others_have_it_and_unpacked(tmp_path: Path, place: str, packed: bool) -> None:
    """torchvision has the archive, and what it unpacks to, in the root itself."""
    archive = tmp_path / "own" / "cifar100" / cifar100.ARCHIVE
    write_cifar100(archive, CLASSES)
    folder = tmp_path / "other" / place
    folder.mkdir(parents=True)
    if packed:
        shutil.copy(archive, folder)
    else:
        with tarfile.open(archive) as file:
            file.extractall(folder.parent if place.endswith("python") else folder, filter="data")
    if packed and place.endswith("python"):
        (folder / cifar100.ARCHIVE).rename(folder.parent / cifar100.ARCHIVE)
    expected = load(CIFAR_FS, tmp_path / "own").fingerprint
    assert load(CIFAR_FS, tmp_path / "other").fingerprint == expected


def test_another_archive_is_refused_until_it_is_trusted(tmp_path: Path) -> None:
    """Numbers compare only with the published one; `partial` accepts any."""
    path = tmp_path / "cifar100" / cifar100.ARCHIVE
    write_cifar100(path, CLASSES)
    whole = CIFAR_FS.model_copy(update={"partial": False})
    with pytest.raises(UserError, match=r"not the archive that was published: its MD5 is not eb9058.*--trust"):
        load(whole, tmp_path)
    with trusting(), pytest.raises(UserError, match="train has 64 classes with 192 images"):
        load(whole, tmp_path)
    with pytest.raises(UserError, match="train has 64 classes with 192 images"):  # remembered
        load(whole, tmp_path)
    write_cifar100(path, CLASSES, train=3)
    with pytest.raises(UserError, match="--trust"):
        load(whole, tmp_path)


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cifar100, "LARGEST_UNPACKED", 1_000_000)
    path = tmp_path / "cifar100" / cifar100.ARCHIVE
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("cifar-100-python/zeros")
        member.size = 5_000_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match=r"is more than 1,000,000 bytes unpacked"):
        load(CIFAR_FS, tmp_path)


def test_an_archive_without_its_files_or_names(tmp_path: Path) -> None:
    path = tmp_path / "cifar100" / cifar100.ARCHIVE
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("something else"))
    with pytest.raises(UserError, match=r"cifar-100-python\.tar\.gz has no cifar-100-python/meta\. Delete it"):
        load(CIFAR_FS, tmp_path)
    write_cifar100(path, CLASSES)
    with tarfile.open(path) as archive:
        archive.extractall(path.parent, filter="data")
    path.unlink()
    dump(path.parent / cifar100.FOLDER / "meta", {"fine_label_names": ["a"], "coarse_label_names": ["b"]})
    with pytest.raises(UserError, match=r"label \d+ has no name in meta"):
        load(CIFAR_FS, tmp_path)


def test_fc100_divides_superclasses_as_its_authors_number_them() -> None:
    """TADAM, section 4.1: superclasses by number in the alphabet."""
    numbers = {
        "train": [1, 2, 3, 4, 5, 6, 9, 10, 15, 17, 18, 19],
        "validation": [8, 11, 13, 16],
        "test": [0, 7, 12, 14],
    }
    for split, members in numbers.items():
        for number in members:
            assert fc100.split_of("any", sorted(SUPERCLASSES)[number]) == split


def test_the_lists_of_cifar_fs_name_classes_of_cifar_100() -> None:
    names = {name for _, name in CLASSES}
    assert names.issuperset(cifar_fs.VALIDATION_CLASSES | cifar_fs.TEST_CLASSES)
    assert not cifar_fs.VALIDATION_CLASSES & cifar_fs.TEST_CLASSES


def test_the_archive_is_downloaded_once_and_whole(tmp_path: Path) -> None:
    origin, root = tmp_path / "origin", tmp_path / "root"
    write_cifar100(origin / cifar100.ARCHIVE, CLASSES[:10])
    md5 = hashlib.md5((origin / cifar100.ARCHIVE).read_bytes()).hexdigest()
    read = partial(cifar100.cifar100, root, cifar_fs.split_of)
    with serving(origin) as url:
        with pytest.raises(UserError, match=r"serves a file whose MD5 is not 0{32}\. Get cifar-100-python\.tar\.gz"):
            read(url, "0" * 32)
        with pytest.raises(UserError, match=r"cannot be downloaded from .*404.*put it into .*root/cifar100, or set"):
            read(f"{url}/elsewhere", md5)
        assert not list((root / "cifar100").iterdir())
        read(url, md5)
    sources = read("http://127.0.0.1:9", md5)  # nothing is served there
    assert [name for name, _ in sources["validation"].classes()] == [
        "aquatic_mammals/beaver", "fish/flatfish", "aquatic_mammals/otter", "fish/shark",
    ]  # fmt: skip
    assert (root / "cifar100" / cifar100.ARCHIVE).read_bytes() == (origin / cifar100.ARCHIVE).read_bytes()


@pytest.mark.parametrize("config", [CIFAR_FS, FC100])
def test_a_damaged_archive_is_named(tmp_path: Path, config: DatasetConfig) -> None:
    path = tmp_path / "cifar100" / cifar100.ARCHIVE
    write_cifar100(path, CLASSES)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(UserError, match=r"cifar-100-python\.tar\.gz.* cannot be read"):
        load(config, tmp_path)


def test_unpacked_and_saved_again_by_python_3(tmp_path: Path) -> None:
    """Whoever reads it with `encoding="bytes"`, as its home page says, has bytes where Python 2 had text."""
    content = write_cifar100(tmp_path / "origin" / cifar100.ARCHIVE, CLASSES)
    with tarfile.open(tmp_path / "origin" / cifar100.ARCHIVE) as archive:
        archive.extractall(tmp_path / "cifar100", filter="data")
    meta = tmp_path / "cifar100" / cifar100.FOLDER / "meta"
    names = pickle.loads(meta.read_bytes())
    dump(meta, {key.encode(): [name.encode() for name in values] for key, values in names.items()}, 4)
    splits = load(CIFAR_FS, tmp_path).splits
    assert {name for images in splits.values() for name in images.names} == content.keys()
