from pathlib import Path

import pytest

from benchmark.data.files.places import data_folder, dataset_folders, expanded, user_cache
from benchmark.errors import UserError


def test_home_and_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PICTURES", "mine/img")
    assert expanded("~/x") == tmp_path / "x"
    assert expanded("$HOME/x") == expanded("${HOME}/x") == tmp_path / "x"
    assert expanded(Path("a/$PICTURES")) == Path("a/mine/img")
    assert expanded("costs 5$") == Path("costs 5$")
    monkeypatch.setenv("HTBENCH_DATA", "~/data")
    assert data_folder() == tmp_path / "data"
    monkeypatch.setenv("XDG_CACHE_HOME", "$HOME/c")
    assert user_cache() == tmp_path / "c" / "htbench"


def test_what_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOWHERE", raising=False)
    with pytest.raises(UserError, match=r"\$NOWHERE/img: the variable \$NOWHERE is not set"):
        expanded("$NOWHERE/img")
    with pytest.raises(UserError, match="no such user's home"):
        expanded("~nobody-has-this-name/img")


@pytest.mark.parametrize("spelling", ["miniImageNet", "mini-imagenet", "MiniImagenet", "miniimagenet"])
def test_a_dataset_folder_in_any_spelling(tmp_path: Path, spelling: str) -> None:
    own = tmp_path / "mini_imagenet"
    assert dataset_folders(tmp_path, "mini_imagenet") == [own]
    (tmp_path / spelling).mkdir()
    (tmp_path / "tiered_imagenet").mkdir()
    (tmp_path / "mini-imagenet.txt").touch()
    assert dataset_folders(tmp_path, "mini_imagenet") == [own, tmp_path / spelling]
    (tmp_path / "mini-pictures").mkdir()
    found = dataset_folders(tmp_path, "mini_imagenet", "mini_pictures", ".")
    assert found == [own, tmp_path / spelling, tmp_path / "mini-pictures", tmp_path]
    assert dataset_folders(tmp_path / "gone", "mini_imagenet", ".") == [
        tmp_path / "gone" / "mini_imagenet", tmp_path / "gone",
    ]  # fmt: skip
