"""Datasets: images grouped by class, in class-disjoint training, validation and test splits.

To add a dataset:

1. a file `benchmark/data/<name>.py` with `load(config, root) -> Dataset` (`benchmark.data.splits.split_dataset` builds
   one from images grouped by class) and a docstring that says what the images are and how they were prepared;
2. a `<Name>Config` in `benchmark/data/configs.py`, whose `name` is the file's name, added to `DatasetConfig`.

Nothing else: `load` finds the file by the configuration's name.
"""

import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.configs import DatasetConfig, FolderConfig, LakeOneshotConfig, TestDataConfig
from benchmark.data.files.beside import Beside, beside
from benchmark.data.files.class_folders import ClassFolders, split_folders
from benchmark.data.files.fingerprint import folder_fingerprint
from benchmark.data.files.loaded import Memory
from benchmark.data.files.places import data_folder, expanded

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset
    from benchmark.data.official import OfficialRuns


def load(config: DatasetConfig, root: Path | None = None) -> "Dataset":
    """Load a dataset; the first time it may be downloaded or decoded, later it comes from a cache in under a second.

    Args:
        config: which dataset, and its options.
        root: folder with one subfolder per dataset; default `$HTBENCH_DATA`, else the per-user cache folder.

    Raises:
        UserError: data are missing, damaged or too few; the message says what to do.
    """
    root, started = root or data_folder(), time.time_ns()
    module = import_module(f"benchmark.data.{config.name}")
    dataset: Dataset = module.load(config, root)
    if dataset.files and dataset.files_sha256 is None:
        Memory(config.model_dump_json(), root).keep(dataset.files, dataset.fingerprint, started)
    if not config.domains:
        return dataset
    assert config.domains != "planes"  # the configuration has put the names of both
    return dataset.in_domains(config.domains)


def load_test(config: TestDataConfig, root: Path | None = None) -> "Dataset | OfficialRuns":
    """`load` of what may be for testing only: a dataset, or published tasks."""
    if isinstance(config, LakeOneshotConfig):
        from benchmark.data import lake_oneshot

        return lake_oneshot.load(root or data_folder())
    return load(config, root)


def account(config: TestDataConfig) -> dict[str, ClassFolders]:
    """What is in a user's own folder, by split, or under the name `all`; other datasets have `account_of_files`.

    Raises:
        UserError: the folder is not there at all.
    """
    return split_folders(expanded(config.path), config.min_images) if isinstance(config, FolderConfig) else {}


def account_of_files(dataset: "Dataset | OfficialRuns", root: Path | None = None) -> Beside | None:
    """What a dataset that is no user's own folder was read from, and what lies beside; None if that is not known."""
    from benchmark.data.official import OfficialRuns

    if isinstance(dataset, OfficialRuns) or dataset.files_sha256 is not None or not dataset.files:
        return None
    return beside(dataset.files, root or data_folder())


def fingerprint(config: DatasetConfig, root: Path | None = None) -> str | None:
    """`Dataset.fingerprint` of what `load` would give now, without downloading and mostly without loading or torch.

    A user's own pictures are hashed once, later their sizes and times are looked at. Other datasets are known from when
    they were last loaded here; they are loaded again if their files have changed since.

    Returns:
        None if it cannot be told: a dataset without files (glyphs, which are what the configuration and the code say),
        or with files that are gone or were never loaded by this user.

    Raises:
        UserError: the files are there, but cannot be used.
    """
    if isinstance(config, FolderConfig):
        return folder_fingerprint(expanded(config.path), config.min_images)
    known, sha256 = Memory(config.model_dump_json(), root or data_folder()).recall()
    if known == "changed":
        return load(config, root).fingerprint
    return sha256 if known == "same" else None
