"""What every test stands on: one thread, real data or a clear reason, a user cache of its own."""

import os
from pathlib import Path

# Before torch is imported: two torch threads on busy cores are several times slower than one.
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def omniglot_root() -> Path:
    """The folder that holds `omniglot/`, as named by $HTBENCH_DATA.

    Skips where nobody promised the images; fails where somebody did (CI, or the variable is set) and they are missing.
    """
    root = os.environ.get("HTBENCH_DATA") or None
    if root is None and os.environ.get("CI") != "true":
        pytest.skip("set HTBENCH_DATA to the folder that holds omniglot/ to run the tests on real images")
    if root is None or not (Path(root) / "omniglot").is_dir():
        pytest.fail(f"HTBENCH_DATA must name a folder that holds omniglot/, and is {root!r}", pytrace=False)
    return Path(root)


@pytest.fixture
def user_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty user cache: what htbench prepares or downloads in this test lands here."""
    cache = tmp_path / "user-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    return cache
