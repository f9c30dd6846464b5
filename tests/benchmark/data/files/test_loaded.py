"""Datasets are known again by what was last loaded, until their files change."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmark.data import fingerprint, load
from benchmark.data.configs import CIFARFSConfig, FolderConfig
from tests.benchmark.data.photograph_archives import all_photos, write_class_folders, write_labels
from tests.benchmark.data.pictures import noise_classes

CONFIG = CIFARFSConfig(name="cifar_fs", partial=True)
PATTERN = "cifar_fs/CIFAR_FS_{}.pickle"


@pytest.fixture(autouse=True)
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test has just written are taken as if they had been there for long."""
    monkeypatch.setattr("benchmark.data.files.loaded.SETTLED_NS", -(10**10))


def test_the_same_as_loaded_and_known_without_loading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_labels(tmp_path / "one", all_photos(32), PATTERN)
    assert fingerprint(CONFIG, tmp_path / "one") is None  # never loaded
    loaded = load(CONFIG, tmp_path / "one")
    assert loaded.fingerprint == loaded.sha256
    monkeypatch.setattr("benchmark.data.load", None)
    assert fingerprint(CONFIG, tmp_path / "one") == loaded.fingerprint
    program = (
        "import sys; from pathlib import Path; from benchmark.data import fingerprint;"
        "from benchmark.data.configs import CIFARFSConfig;"
        f"print(fingerprint(CIFARFSConfig(name='cifar_fs', partial=True), Path({str(tmp_path / 'one')!r})));"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == loaded.fingerprint


def test_the_same_archives_elsewhere_are_the_same_data(tmp_path: Path) -> None:
    write_labels(tmp_path / "one", all_photos(32), PATTERN)
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    assert load(CONFIG, tmp_path / "one").fingerprint == load(CONFIG, tmp_path / "other").fingerprint


def test_another_archive_is_other_data_without_being_asked_to_load(tmp_path: Path) -> None:
    write_labels(tmp_path, all_photos(32), PATTERN)
    before = load(CONFIG, tmp_path).fingerprint
    changed = all_photos(32)
    changed["train"]["train-0"] = 255 - changed["train"]["train-0"]
    write_labels(tmp_path, changed, PATTERN)
    after = fingerprint(CONFIG, tmp_path)
    assert after is not None and after != before
    assert after == load(CONFIG, tmp_path).fingerprint
    # Files that are looked for first, put beside them, are what would be loaded.
    lists = tmp_path / "cifar_fs" / "splits" / "bertinetto"
    lists.mkdir(parents=True)
    for split, members in all_photos(32).items():
        write_class_folders(tmp_path / "cifar_fs" / "data", members)
        (lists / f"{split}.txt").write_text("\n".join(members))
    assert fingerprint(CONFIG, tmp_path) not in (before, after)
    shutil.rmtree(tmp_path / "cifar_fs" / "splits")
    assert fingerprint(CONFIG, tmp_path) is None


def test_files_that_are_gone_are_not_known(tmp_path: Path) -> None:
    write_labels(tmp_path, all_photos(32), PATTERN)
    load(CONFIG, tmp_path)
    (tmp_path / "cifar_fs" / "CIFAR_FS_test.pickle").unlink()
    assert fingerprint(CONFIG, tmp_path) is None


def test_files_that_changed_while_they_were_loaded_are_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.data.files.loaded.SETTLED_NS", 2_000_000_000)
    write_labels(tmp_path, all_photos(32), PATTERN)
    load(CONFIG, tmp_path)
    assert fingerprint(CONFIG, tmp_path) is None
    later = time.time_ns() + 10_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    loaded = load(CONFIG, tmp_path)
    assert fingerprint(CONFIG, tmp_path) == loaded.fingerprint


def test_a_cache_that_cannot_be_written_costs_only_the_memory(tmp_path: Path, cache_home: Path) -> None:
    write_labels(tmp_path, all_photos(32), PATTERN)
    cache_home.parent.mkdir(exist_ok=True)
    cache_home.write_text("a file where the folder should be")
    assert load(CONFIG, tmp_path).fingerprint
    assert fingerprint(CONFIG, tmp_path) is None


def test_a_folder_loaded_has_the_fingerprint_of_its_files(tmp_path: Path) -> None:
    config = FolderConfig(name="folder", path=noise_classes(tmp_path / "img", 6))
    loaded = load(config)
    assert loaded.fingerprint == fingerprint(config) != loaded.sha256
    smaller = config.model_copy(update={"image_size": 14})  # how pictures are used is the configuration's
    assert load(smaller).fingerprint == loaded.fingerprint
