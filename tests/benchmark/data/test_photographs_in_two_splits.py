"""Classes and pictures that are in two splits of a dataset of photographs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.data import fc100, load
from benchmark.data.configs import FC100Config, MiniImageNetConfig
from benchmark.data.files.trust import trusting
from benchmark.errors import UserError
from tests.benchmark.data.photograph_archives import Photos, all_photos, write_folders, write_labels, write_lists

MINI = MiniImageNetConfig(name="mini_imagenet", partial=True)
FC100 = FC100Config(name="fc100", partial=True)

Writer = Callable[[Path, Mapping[str, Photos]], None]


def test_a_class_in_two_splits_is_refused_by_name_and_by_content(tmp_path: Path) -> None:
    content = all_photos(32)
    write_folders(
        tmp_path / "named" / "fc100", {**content, "test": {**content["test"], "train-1": content["val"]["val-0"]}}
    )
    with pytest.raises(UserError, match="class train-1 of train is also in test, as train-1"):
        load(FC100, tmp_path / "named")
    hidden = {**content, "test": {"x": content["test"]["test-0"], "y": content["train"]["train-2"]}}
    write_labels(tmp_path / "hidden" / "fc100", hidden, "FC100_{}.pickle")
    with pytest.raises(UserError, match=r"class train/2 of train is also in test, as test/1; .*--trust"):
        load(FC100, tmp_path / "hidden")
    with trusting():
        assert load(FC100, tmp_path / "hidden").shared_pictures == 3
        with pytest.raises(UserError, match="class train-1 of train"):  # one name for two classes is never right
            load(FC100, tmp_path / "named")


@pytest.mark.parametrize("write", [write_folders, write_lists])
def test_the_two_files_of_a_shared_image_are_named(tmp_path: Path, write: Writer) -> None:
    content = all_photos()
    content["test"]["test-2"][1] = content["train"]["train-3"][2]
    write(tmp_path / "mini_imagenet", content)
    with pytest.raises(UserError, match=r"two splits: (\S+) in train and (\S+) in test;") as caught:
        load(MINI, tmp_path)
    found = re.search(r"two splits: (\S+) in train and (\S+) in test;", str(caught.value))
    assert found is not None
    one, other = (Path(name).read_bytes() for name in found.groups())
    assert one == other
    assert found[1] != found[2]


def test_a_single_image_in_two_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused in what a user put together; named and counted in a complete dataset, which everybody has so."""
    content = all_photos(32)
    content["test"]["test-2"][1] = content["train"]["train-3"][0]
    write_labels(tmp_path / "fc100", content, "FC100_{}.pickle")
    where = "image 0 of class train/3 in train and image 1 of class test/2 in test"
    with pytest.raises(UserError, match=f"the same picture is in two splits: {where}; .*--trust"):
        load(FC100, tmp_path)
    counts = {"train": (4, 12), "validation": (2, 6), "test": (3, 9)}
    monkeypatch.setattr("benchmark.data.fc100.FC100", replace(fc100.FC100, counts=counts))
    for _ in range(2):  # compared, and as remembered
        found = load(FC100.model_copy(update={"partial": False}), tmp_path)
        assert found.shared_pictures == 1
        assert found.remarks == (f"1 picture is in two splits, such as {where}",)
