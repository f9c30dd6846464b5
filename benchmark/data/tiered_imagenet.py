"""tieredImageNet: 608 ImageNet classes, 779,165 colour photographs, 84 x 84 pixels.

Source. Ren, Triantafillou, Ravi, Snell, Swersky, Tenenbaum, Larochelle, Zemel, "Meta-learning for semi-supervised
few-shot classification", ICLR 2018. 351 training, 97 validation and 160 test classes (448,695, 124,261 and 206,209
images); classes of one higher category are all in one split, which makes test classes stranger than in miniImageNet.
Images are ImageNet's (Russakovsky et al. 2015), for non-commercial research. The authors' archive (12 GB) has no public
location that could be relied upon, so nothing is downloaded.

Files, in `<root>/tiered_imagenet/` (or another spelling of it, as learn2learn's `tiered-imagenet`), the first found of

- `{train,val,test}_images_png.pkl` and `{train,val,test}_labels.pkl`: the authors' archive, unpacked;
- `{train,val,test}_images.npz` and `{train,val,test}_labels.pkl`: MetaOptNet, and few-shot-meta-baseline;
- `images/*.jpg` and `{train,val,test}.csv`, as for miniImageNet;
- `train/CLASS/*.jpg`, `val/...`, `test/...`: class folders, as for miniImageNet.

Decoded once into 16.5 GB beside the files (or in the user's cache), which are mapped into memory and never read as a
whole. Decoding the pickles needs memory for the PNG files of one split, several GB for training; class folders need
next to none.
"""

from pathlib import Path

from benchmark.data.configs import TieredImageNetConfig
from benchmark.data.dataset import Dataset
from benchmark.data.files.csv_lists import csv_lists
from benchmark.data.files.formats import class_folders, png_pickles
from benchmark.data.files.npz_arrays import npz_arrays
from benchmark.data.files.places import dataset_folders
from benchmark.data.photographs import Photographs, first_found

TIERED_IMAGENET = Photographs(
    "tiered_imagenet", 84, 8, {"train": (351, 448_695), "validation": (97, 124_261), "test": (160, 206_209)}
)


def load(config: TieredImageNetConfig, root: Path) -> Dataset:
    """Read the files under `root / "tiered_imagenet"`.

    Raises:
        UserError: no files, or something is wrong with them.
    """
    folder, size = root / config.name, TIERED_IMAGENET.image_size
    sources = first_found(
        dataset_folders(root, config.name),
        lambda folder: png_pickles(folder, size),
        lambda folder: npz_arrays(folder, size),
        lambda folder: csv_lists(folder, size),
        lambda folder: class_folders(folder, size),
    )
    if sources is None:
        raise TIERED_IMAGENET.missing(
            folder,
            "Put train_images_png.pkl (or train_images.npz), train_labels.pkl and the same of val and test there, or"
            " folders train, val and test with a folder of images per class.",
        )
    return TIERED_IMAGENET.load(config, folder, sources)
