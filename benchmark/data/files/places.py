"""Where datasets and caches lie on this machine."""

import os
from pathlib import Path

DATA_VARIABLE = "HTBENCH_DATA"
"""Environment variable naming the folder with the datasets."""


def data_folder() -> Path:
    """The folder with one subfolder per dataset: `$HTBENCH_DATA`, else the per-user cache folder."""
    return Path(os.environ.get(DATA_VARIABLE) or user_cache())


def user_cache() -> Path:
    """The per-user cache folder, `~/.cache/htbench` or as XDG_CACHE_HOME says (it may not exist yet)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "htbench"
