"""miniImageNet: 100 ImageNet classes with 600 colour photographs each, 84 x 84 pixels.

Source. Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra, "Matching networks for one shot learning", NeurIPS 2016;
the split into 64 training, 16 validation and 20 test classes everybody uses is by Ravi and Larochelle, "Optimization as
a model for few-shot learning", ICLR 2017. Images are ImageNet's (Russakovsky et al. 2015), for non-commercial research.
There is no public location that could be relied upon, so nothing is downloaded.

Files, in `<root>/mini_imagenet/` (or another spelling of it, as `miniImageNet`), the first found of

- `mini-imagenet-cache-{train,val,test}.pkl` (or `.pickle`, or `validation`): Ren et al. 2018, and learn2learn;
- `miniImageNet_category_split_{train_phase_train,val,test}.pickle`: MetaOptNet and RFS;
- `images/*.jpg` and `{train,val,test}.csv` with `filename,label`: Ravi and Larochelle's lists, as
  `benchmark.data.files.csv_lists` says;
- `train/CLASS/*.jpg`, `val/...`, `test/...`: class folders; photographs of other sizes are resized by their shorter
  side (antialiased, Lanczos) and the middle square is cut out, so numbers from such files differ a little from others'.

The pickles may also lie in `<root>` itself, where learn2learn has them.
"""

from pathlib import Path

from benchmark.data.configs import MiniImageNetConfig
from benchmark.data.dataset import Dataset
from benchmark.data.files.csv_lists import csv_lists
from benchmark.data.files.formats import class_dict_pickles, class_folders, labels_pickles
from benchmark.data.files.places import dataset_folders
from benchmark.data.photographs import Photographs, first_found

MINI_IMAGENET = Photographs(
    "mini_imagenet", 84, 8, {"train": (64, 38_400), "validation": (16, 9_600), "test": (20, 12_000)}
)


def load(config: MiniImageNetConfig, root: Path) -> Dataset:
    """Read the files under `root / "mini_imagenet"`.

    Raises:
        UserError: no files, or something is wrong with them.
    """
    folder, size = root / config.name, MINI_IMAGENET.image_size
    pickles = (
        lambda folder: class_dict_pickles(folder, size, "mini-imagenet-cache-{}"),
        lambda folder: labels_pickles(
            folder, size, "miniImageNet_category_split_{}_phase_train", "miniImageNet_category_split_{}"
        ),
    )
    sources = first_found(
        dataset_folders(root, config.name),
        *pickles,
        lambda folder: csv_lists(folder, size),
        lambda folder: class_folders(folder, size),
    ) or first_found([root], *pickles)
    if sources is None:
        raise MINI_IMAGENET.missing(
            folder,
            "Put mini-imagenet-cache-train.pkl, -val.pkl and -test.pkl there, or images and train.csv, val.csv and"
            " test.csv, or folders train, val and test with a folder of images per class.",
        )
    return MINI_IMAGENET.load(config, folder, sources)
