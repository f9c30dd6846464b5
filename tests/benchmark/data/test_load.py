from pathlib import Path
from typing import get_args

import pytest

from benchmark.data import load
from benchmark.data.configs import DatasetConfig, OmniglotConfig
from benchmark.data.files.places import user_cache
from benchmark.errors import UserError


def test_every_configured_dataset_has_its_file() -> None:
    folder = Path(load.__code__.co_filename).parent
    for config in get_args(DatasetConfig):
        (name,) = get_args(config.model_fields["name"].annotation)
        assert (folder / f"{name}.py").is_file()


def test_root_is_the_argument_then_the_environment_then_the_cache(
    tmp_path: Path, cache_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the loader looks is in its message about an archive that cannot be read."""
    config = OmniglotConfig(name="omniglot")
    given, environment = tmp_path / "given", tmp_path / "environment"
    for root in (given, environment, cache_home):
        (root / "omniglot").mkdir(parents=True)
        for archive in ("images_background.zip", "images_evaluation.zip"):
            (root / "omniglot" / archive).write_bytes(b"not a zip archive")
    monkeypatch.setenv("HTBENCH_DATA", str(environment))
    with pytest.raises(UserError, match=f"{given}/omniglot/images_background.zip"):
        load(config, given)
    with pytest.raises(UserError, match=f"{environment}/omniglot/images_background.zip"):
        load(config)
    monkeypatch.delenv("HTBENCH_DATA")
    with pytest.raises(UserError, match=f"{cache_home}/omniglot/images_background.zip"):
        load(config)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_cache() == tmp_path / ".cache" / "htbench"
