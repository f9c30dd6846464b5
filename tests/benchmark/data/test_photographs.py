"""Every file format of every dataset: pixel by pixel, class by class, and what is said when something is wrong."""

import pickle
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmark.data import account_of_files, load
from benchmark.data.configs import (
    CIFARFSConfig,
    DatasetConfig,
    FC100Config,
    MiniImageNetConfig,
    TieredImageNetConfig,
)
from benchmark.data.dataset import ClassImages
from benchmark.data.pixels.normalization import CIFAR_100, IMAGENET_84
from benchmark.errors import UserError
from tests.benchmark.data.photograph_archives import (
    Photos,
    all_photos,
    dump,
    png,
    shuffled,
    write_class_dict,
    write_class_folders,
    write_folders,
    write_labels,
    write_lists,
    write_npz,
    write_pngs,
)

MINI = MiniImageNetConfig(name="mini_imagenet", partial=True)
TIERED = TieredImageNetConfig(name="tiered_imagenet", partial=True)
CIFAR_FS = CIFARFSConfig(name="cifar_fs", partial=True)
FC100 = FC100Config(name="fc100", partial=True)

Writer = Callable[[Path, Mapping[str, Photos]], None]


def write_listed(folder: Path, content: Mapping[str, Photos]) -> None:
    """CIFAR-FS as its authors share it: one folder of all classes and a list for each split."""
    (folder / "cifar100" / "splits" / "bertinetto").mkdir(parents=True)
    for split, members in content.items():
        write_class_folders(folder / "cifar100" / "data", members)
        names = "".join(f"{name}\n" for name in reversed(members))
        (folder / "cifar100" / "splits" / "bertinetto" / f"{split}.txt").write_text(names)


def labelled(pattern: str) -> Writer:
    return lambda folder, content: write_labels(folder, content, pattern)


def metaoptnet_mini(folder: Path, content: Mapping[str, Photos]) -> None:
    write_labels(folder, content, "miniImageNet_category_split_{}.pickle")
    first = folder / "miniImageNet_category_split_train.pickle"
    first.rename(folder / "miniImageNet_category_split_train_phase_train.pickle")


def learn2learn_mini(folder: Path, content: Mapping[str, Photos]) -> None:
    renamed = {"validation" if split == "val" else split: members for split, members in content.items()}
    write_class_dict(folder, renamed, "pickle", protocol=4)


FORMATS = [
    pytest.param(MINI, 84, write_class_dict, True, id="mini-class-dict"),
    pytest.param(MINI, 84, learn2learn_mini, True, id="mini-learn2learn"),
    pytest.param(MINI, 84, metaoptnet_mini, False, id="mini-metaoptnet"),
    pytest.param(MINI, 84, write_folders, True, id="mini-folders"),
    pytest.param(TIERED, 84, write_pngs, False, id="tiered-pngs"),
    pytest.param(MINI, 84, write_lists, True, id="mini-csv"),
    pytest.param(TIERED, 84, write_npz, False, id="tiered-npz"),
    pytest.param(TIERED, 84, partial(write_npz, compressed=True), False, id="tiered-npz-compressed"),
    pytest.param(TIERED, 84, write_lists, True, id="tiered-csv"),
    pytest.param(TIERED, 84, write_folders, True, id="tiered-folders"),
    pytest.param(CIFAR_FS, 32, write_listed, True, id="cifar-fs-lists"),
    pytest.param(CIFAR_FS, 32, labelled("CIFAR_FS_{}.pickle"), False, id="cifar-fs-metaoptnet"),
    pytest.param(CIFAR_FS, 32, write_folders, True, id="cifar-fs-folders"),
    pytest.param(FC100, 32, labelled("FC100_{}.pickle"), False, id="fc100-metaoptnet"),
    pytest.param(FC100, 32, write_folders, True, id="fc100-folders"),
]


def assert_holds(images: ClassImages, expected: Photos, named: bool, split: str) -> None:
    """Exactly these classes in this order with exactly these pixels."""
    names = tuple(expected) if named else tuple(f"{split}/{number}" for number in range(len(expected)))
    assert images.names == names
    for number, photos in enumerate(expected.values()):
        found = images.images[images.first[number] : images.first[number + 1]]
        assert torch.equal(found.permute(0, 2, 3, 1), torch.from_numpy(photos))


@pytest.mark.parametrize(("config", "size", "write", "named"), FORMATS)
def test_every_format_gives_the_same_pixels(
    tmp_path: Path, config: DatasetConfig, size: int, write: Writer, named: bool
) -> None:
    content = all_photos(size)
    write(tmp_path / config.name, content)
    dataset = load(config, tmp_path)
    for split, short in {"train": "train", "validation": "val", "test": "test"}.items():
        assert_holds(dataset.splits[split], content[short], named, split)
        assert dataset.splits[split].normalization is (IMAGENET_84 if size == 84 else CIFAR_100)
        assert dataset.splits[split].augmentation is None
    again = load(config, tmp_path)
    assert (again.sha256, again.split_sha256) == (dataset.sha256, dataset.split_sha256)


def l2l_cifar(folder: Path, content: Mapping[str, Photos]) -> None:
    write_folders(folder / "processed", content)


@pytest.mark.parametrize(
    ("config", "folder", "size", "write"),
    [
        pytest.param(MINI, ".", 84, write_class_dict, id="mini-in-the-root"),
        pytest.param(MINI, "miniImageNet", 84, write_class_dict, id="mini-spelt"),
        pytest.param(TIERED, "tiered-imagenet", 84, write_pngs, id="tiered-spelt"),
        pytest.param(CIFAR_FS, "cifarfs", 32, l2l_cifar, id="cifar-fs-processed"),
        pytest.param(CIFAR_FS, "cifarfs", 32, write_listed, id="cifar-fs-spelt"),
        pytest.param(CIFAR_FS, ".", 32, write_listed, id="cifar-fs-authors"),
        pytest.param(CIFAR_FS, "CIFAR-FS", 32, write_folders, id="cifar-fs-folders"),
        pytest.param(FC100, ".", 32, labelled("FC100_{}.pickle"), id="fc100-in-the-root"),
        pytest.param(FC100, "FC100", 32, write_folders, id="fc100-spelt"),
    ],
)
def test_where_others_have_them(tmp_path: Path, config: DatasetConfig, folder: str, size: int, write: Writer) -> None:
    """As learn2learn, torchvision and the authors' archives have them, or with another spelling."""
    write(tmp_path / "own" / config.name, all_photos(size))
    write(tmp_path / "other" / folder, all_photos(size))
    assert load(config, tmp_path / "other").fingerprint == load(config, tmp_path / "own").fingerprint


@pytest.mark.parametrize(
    ("train", "val", "test"), [("base", "val", "novel"), ("Train", "Valid", "Test"), ("TRAIN", "dev", "testing")]
)
def test_other_words_for_the_splits(tmp_path: Path, train: str, val: str, test: str) -> None:
    content = {train: all_photos()["train"], val: all_photos()["val"], test: all_photos()["test"]}
    write_folders(tmp_path / "mini_imagenet", content)
    assert [len(images.names) for images in load(MINI, tmp_path).splits.values()] == [4, 2, 3]


def test_images_of_one_colour_are_told(tmp_path: Path) -> None:
    content = all_photos(32)
    content["val"]["val-1"][1] = (9, 8, 7)
    content["val"]["val-0"][:2] = (9, 8, 7)
    write_labels(tmp_path / "fc100", content, "FC100_{}.pickle")
    for _ in range(2):  # decoded, and as it was decoded
        assert load(FC100, tmp_path).remarks == (
            "3 images of validation are of one colour only, in class validation/0, validation/1",
        )


def test_what_is_dropped_is_told(tmp_path: Path) -> None:
    write_folders(tmp_path / "mini_imagenet", all_photos())
    (tmp_path / "mini_imagenet" / "val" / "val-1" / "a.heic").write_bytes(b"x")
    found = account_of_files(load(MINI, tmp_path), tmp_path)
    assert found is not None
    (remark,) = found.suspicious
    assert str(remark).startswith(str(tmp_path / "mini_imagenet" / "val" / "val-1" / "a.heic: a picture in a format"))
    assert len(found.used) == 27
    assert found.ignored == ()  # of the decoded images, too


@pytest.mark.parametrize(("config", "size", "write", "named"), FORMATS)
def test_the_account_of_every_format(
    tmp_path: Path, config: DatasetConfig, size: int, write: Writer, named: bool
) -> None:
    """Exactly the files that were there are used; what is put beside them is named, and not used."""
    folder = tmp_path / config.name
    write(folder, all_photos(size))
    there = {path for path in folder.rglob("*") if path.is_file()}
    dataset = load(config, tmp_path)
    found = account_of_files(dataset, tmp_path)
    assert found is not None
    assert (set(found.used), found.ignored, found.suspicious) == (there, (), ())
    assert found.folder == (folder / "cifar100" if write is write_listed else folder)
    (found.folder / "notes.txt").write_text("x")
    (found.folder / "extra.jpg").write_bytes(png(all_photos(size)["val"]["val-0"][0]))
    (found.folder / "other" / "deep").mkdir(parents=True)
    for number in range(3):
        (found.folder / "other" / "deep" / f"{number}.png").write_bytes(b"x")
    again = load(config, tmp_path)
    assert again.fingerprint == dataset.fingerprint
    found = account_of_files(again, tmp_path)
    assert found is not None
    assert set(found.used) == there
    assert [(r.path.name, r.why) for r in found.ignored] == [("notes.txt", "not a picture")]
    assert [(r.path.name, r.why) for r in found.suspicious] == [
        ("extra.jpg", "a picture that is not used: no list or format names it"),
        ("other", "3 files in it, none of them used"),
    ]


def test_images_of_another_size_are_cut_from_class_folders(tmp_path: Path) -> None:
    """A bright middle square with dark ends, wider than high; and one smaller than 84 pixels."""
    wide = np.zeros((1, 90, 200, 3), dtype=np.uint8)
    wide[:, :, 55:145] = 250
    small = np.full((1, 30, 30, 3), 250, dtype=np.uint8)
    for number, split in enumerate(("train", "val", "test")):
        write_class_folders(
            tmp_path / "mini_imagenet" / split, {f"{split}1": wide - number, f"{split}2": small - 9 - number}
        )
    for number, images in enumerate(load(MINI, tmp_path).splits.values()):
        assert images.image_shape == (3, 84, 84)
        inside = images.images[..., 10:-10, 10:-10].flatten(1)  # the resizing filter rings at the ends
        assert bool((inside == torch.tensor([[250 - number], [241 - number]])).all())


def test_only_training_is_augmented_and_the_padding_fits_the_size(tmp_path: Path) -> None:
    write_folders(tmp_path / "fc100", all_photos(32))
    write_folders(tmp_path / "mini_imagenet", all_photos(84))
    configs: list[tuple[DatasetConfig, int]] = [(FC100, 4), (MINI, 8)]
    for config, padding in configs:
        splits = load(config.model_copy(update={"augment": True}), tmp_path).splits
        assert splits["train"].augmentation is not None
        assert splits["train"].augmentation.padding == padding
        assert splits["validation"].augmentation is splits["test"].augmentation is None


def test_hashes_tell_pixels_names_and_splits_apart(tmp_path: Path) -> None:
    base = all_photos(32)
    brighter = all_photos(32)
    brighter["test"]["test-0"][1, 2, 3, 0] ^= 1
    swapped = {**base, "val": base["test"], "test": base["val"]}
    found = []
    for name, content in {"base": base, "same": base, "brighter": brighter, "swapped": swapped}.items():
        write_folders(tmp_path / name / "fc100", content)
        dataset = load(FC100, tmp_path / name)
        found.append((dataset.sha256, dataset.split_sha256))
    assert found[0] == found[1]
    assert len({content for content, _ in found}) == 3
    assert found[0][1] == found[2][1] != found[3][1]


def test_an_incomplete_dataset_is_refused_unless_accepted(tmp_path: Path) -> None:
    write_folders(tmp_path / "mini_imagenet", all_photos())
    with pytest.raises(
        UserError, match=r"train has 4 classes with 12 images; mini_imagenet has 64 with 38400.*partial: true"
    ):
        load(MINI.model_copy(update={"partial": False}), tmp_path)


@pytest.mark.parametrize("config", [MINI, TIERED])
def test_nothing_there_says_what_to_put_where(tmp_path: Path, config: DatasetConfig) -> None:
    with pytest.raises(UserError, match=rf"no files in {tmp_path}/{config.name}\. Put .*train.*benchmark/data/README"):
        load(config, tmp_path)


def test_a_missing_split_is_named(tmp_path: Path) -> None:
    content = all_photos()
    del content["val"]
    write_class_dict(tmp_path / "mini_imagenet", content)
    with pytest.raises(UserError, match=r"no mini-imagenet-cache-val\.pkl or mini-imagenet-cache-validation\.pkl"):
        load(MINI, tmp_path)
    write_pngs(tmp_path / "tiered_imagenet", content)
    with pytest.raises(UserError, match=r"no val_images_png\.pkl"):
        load(TIERED, tmp_path)
    for labels in (tmp_path / "tiered_imagenet").glob("*_labels.pkl"):
        labels.unlink()
    write_pngs(tmp_path / "pngs", all_photos())
    (tmp_path / "pngs" / "val_images_png.pkl").rename(tmp_path / "tiered_imagenet" / "val_images_png.pkl")
    with pytest.raises(UserError, match=r"has images, but no train_labels\.pkl"):
        load(TIERED, tmp_path)


def mini_with(folder: Path, **changed: object) -> None:
    """miniImageNet with something else in the pickle of the test split."""
    write_class_dict(folder, all_photos())
    images, rows = shuffled(all_photos()["test"])
    dump(folder / "mini-imagenet-cache-test.pkl", {"image_data": images, "class_dict": rows, **changed})


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"image_data": np.zeros((9, 3, 84, 84), np.uint8)},
            r"uint8 array \(images, 84, 84, 3\), found uint8 \(9, 3, 84",
        ),
        ({"image_data": np.zeros((9, 84, 84, 3), np.float32)}, r"found float32 \(9, 84, 84, 3\)"),
        ({"image_data": [b"png"]}, "found list"),
        ({"image_data": np.zeros((8, 84, 84, 3), np.uint8)}, r"class test-\d should have rows of the 8 images"),
        ({"class_dict": {"a": [], "b": [1]}}, "class a should have rows of the 9 images, found list"),
        ({"class_dict": {"a": [0.5]}}, "class a should have rows of the 9 images, found 1 of them, such as 0.5"),
        ({"class_dict": [1, 2]}, "class_dict should map class names to rows, found 2 of them"),
    ],
)
def test_pickles_of_something_else_are_refused(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    mini_with(tmp_path / "mini_imagenet", **changed)
    with pytest.raises(UserError, match=rf"mini-imagenet-cache-test\.pkl.*{message}"):
        load(MINI, tmp_path)


def test_a_pickle_without_the_entry_says_what_it_has(tmp_path: Path) -> None:
    write_class_dict(tmp_path / "mini_imagenet", all_photos())
    dump(tmp_path / "mini_imagenet" / "mini-imagenet-cache-val.pkl", {"pictures": 1})
    with pytest.raises(UserError, match=r"cache-val\.pkl has no entry 'image_data'; it has pictures"):
        load(MINI, tmp_path)
    dump(tmp_path / "mini_imagenet" / "mini-imagenet-cache-val.pkl", [1, 2])
    with pytest.raises(UserError, match="should hold a dictionary with 'image_data', found list"):
        load(MINI, tmp_path)


@pytest.mark.parametrize("labels", [[0, 1], [0.5] * 9, ["cat"] * 9, 7])
def test_labels_must_be_one_whole_number_per_image(tmp_path: Path, labels: object) -> None:
    write_labels(tmp_path / "fc100", all_photos(32), "FC100_{}.pickle")
    images, _ = shuffled(all_photos(32)["test"])
    dump(tmp_path / "fc100" / "FC100_test.pickle", {"data": images, "labels": labels})
    with pytest.raises(UserError, match=r"FC100_test\.pickle: 9 images need 9 whole numbers as labels, found "):
        load(FC100, tmp_path)


def test_a_truncated_or_malicious_pickle_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = tmp_path / "mini_imagenet"
    write_class_dict(folder, all_photos())
    path = folder / "mini-imagenet-cache-train.pkl"
    before = sorted(folder.iterdir())
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"cache-train\.pkl cannot be read as a pickle of images"):
        load(MINI, tmp_path)
    path.write_bytes(pickle.dumps({"image_data": print}))
    with pytest.raises(UserError, match=r"it asks for builtins\.print"):
        load(MINI, tmp_path)
    assert [file for file in sorted(folder.iterdir()) if not file.name.endswith(".lock")] == before


def test_an_unreadable_image_is_named(tmp_path: Path) -> None:
    write_folders(tmp_path / "mini_imagenet", all_photos())
    (tmp_path / "mini_imagenet" / "val" / "val-1" / "001.png").write_bytes(b"\x89PNG not really")
    with pytest.raises(UserError, match=r"val/val-1/001\.png cannot be read as an image"):
        load(MINI, tmp_path)
    write_pngs(tmp_path / "tiered_imagenet", all_photos())
    broken = tmp_path / "tiered_imagenet" / "test_images_png.pkl"
    files = pickle.loads(broken.read_bytes())
    for content, message in [
        (b"\x89PNG no", "image 4 cannot be read"),
        (png(np.zeros((9, 9, 3), np.uint8)), r"should be \(84, 84\) pixels, found \(9, 9\)"),
    ]:
        dump(broken, [*files[:4], content, *files[5:]])
        with pytest.raises(UserError, match=rf"test_images_png\.pkl, image 4.*{message}|{message}"):
            load(TIERED, tmp_path)


def test_a_listed_class_without_folder(tmp_path: Path) -> None:
    write_listed(tmp_path / "cifar_fs", all_photos(32))
    with (tmp_path / "cifar_fs" / "cifar100" / "splits" / "bertinetto" / "val.txt").open("a") as file:
        file.write("unicorn\n")
    with pytest.raises(UserError, match=r"val\.txt lists unicorn, but there is no folder .*data/unicorn"):
        load(CIFAR_FS, tmp_path)
