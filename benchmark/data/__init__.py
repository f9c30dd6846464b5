"""Datasets: images grouped by class, in class-disjoint training, validation and test splits.

To add a dataset:

1. a file `benchmark/data/<name>.py` with `load(config, root) -> Dataset` (`benchmark.data.splits.split_dataset` builds
   one from images grouped by class) and a docstring that says what the images are and how they were prepared;
2. a `<Name>Config` in `benchmark/data/configs.py`, whose `name` is the file's name, added to `DatasetConfig`.

Nothing else: `load` finds the file by the configuration's name.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.data.configs import DatasetConfig, FolderConfig
from benchmark.data.files.class_folders import account as folder_account
from benchmark.data.files.class_folders import split_folders
from benchmark.data.files.fingerprint import folder_fingerprint
from benchmark.data.files.places import data_folder, expanded

if TYPE_CHECKING:
    from benchmark.data.dataset import Dataset


def load(config: DatasetConfig, root: Path | None = None) -> "Dataset":
    """Load a dataset; the first time it may be downloaded or decoded, later it comes from a cache in under a second.

    Args:
        config: which dataset, and its options.
        root: folder with one subfolder per dataset; default `$HTBENCH_DATA`, else the per-user cache folder.

    Raises:
        UserError: data are missing, damaged or too few; the message says what to do.
    """
    module = import_module(f"benchmark.data.{config.name}")
    dataset: Dataset = module.load(config, root or data_folder())
    assert config.domains != "planes"  # the configuration has put the names of both
    return dataset.in_domains(config.domains) if config.domains else dataset


def account(config: DatasetConfig) -> Iterator[str]:
    """Lines for the terminal about a user's own files: what is used, ignored, suspicious or refused, before loading.

    Raises:
        UserError: the files are not there at all.
    """
    if isinstance(config, FolderConfig):
        yield from folder_account(split_folders(expanded(config.path), config.min_images))


def fingerprint(config: DatasetConfig) -> str | None:
    """SHA-256 of what a user's own files hold, to tell a dataset by its content and not by its path.

    None for datasets that their configuration names well enough. It needs neither torch nor decoded pictures; the files
    are read once, later their sizes and times are looked at. See `benchmark.data.files.fingerprint`.

    Raises:
        UserError: the files are not there, or cannot be used.
    """
    if isinstance(config, FolderConfig):
        return folder_fingerprint(expanded(config.path), config.min_images)
    return None
