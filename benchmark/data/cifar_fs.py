"""CIFAR-FS: the 100 classes of CIFAR-100, 600 colour images each, 32 x 32 pixels, divided 64/16/20.

Source. Bertinetto, Henriques, Torr, Vedaldi, "Meta-learning with differentiable closed-form solvers", ICLR 2019; the
class lists below are theirs. Images are CIFAR-100's, see `benchmark.data.cifar100`.

Files, in `<root>/cifar_fs/` (or another spelling of it, as learn2learn's `cifarfs`), the first found of

- `splits/bertinetto/{train,val,test}.txt` and `data/CLASS/*.png`: the authors' archive, unpacked (also in a folder
  `cifar100`, as it unpacks, here or in `<root>`);
- `CIFAR_FS_{train,val,test}.pickle`: MetaOptNet;
- `train/CLASS/*.png`, `val/...`, `test/...`: class folders, also in `processed/`, where learn2learn makes them;

else CIFAR-100's official archive, packed or not, in `<root>/cifar100/`, downloaded when missing. The pixels are the
same, the order of images in a class is not, nor are class names, so the hashes of data and test episodes tell formats
apart.
"""

from pathlib import Path

from benchmark.data.cifar100 import SIZE, cifar100
from benchmark.data.configs import CIFARFSConfig
from benchmark.data.dataset import Dataset
from benchmark.data.files.formats import class_folders, labels_pickles, listed_folders
from benchmark.data.files.places import dataset_folders
from benchmark.data.photographs import Photographs, first_found

CIFAR_FS = Photographs("cifar_fs", SIZE, 4, {"train": (64, 38_400), "validation": (16, 9_600), "test": (20, 12_000)})

# fmt: off
VALIDATION_CLASSES = frozenset({
    "beaver", "beetle", "butterfly", "camel", "cattle", "crab", "crocodile", "flatfish", "lamp", "maple_tree",
    "motorcycle", "otter", "sea", "shark", "television", "tractor",
})
TEST_CLASSES = frozenset({
    "baby", "bed", "bicycle", "chimpanzee", "fox", "leopard", "man", "pickup_truck", "plain", "poppy", "rocket", "rose",
    "snail", "sweet_pepper", "table", "telephone", "wardrobe", "whale", "woman", "worm",
})
# fmt: on


def split_of(name: str, superclass: str) -> str:
    """The split of a class of CIFAR-100; training has what is in neither list."""
    if name in VALIDATION_CLASSES:
        return "validation"
    return "test" if name in TEST_CLASSES else "train"


def load(config: CIFARFSConfig, root: Path) -> Dataset:
    """Read the files under `root / "cifar_fs"`, or the archive under `root / "cifar100"`.

    Raises:
        UserError: no files and no download, or something is wrong with them.
    """
    folder = root / config.name
    sources = first_found(
        dataset_folders(root, config.name),
        lambda folder: listed_folders(folder, SIZE),
        lambda folder: listed_folders(folder / "cifar100", SIZE),
        lambda folder: labels_pickles(folder, SIZE, "CIFAR_FS_{}"),
        lambda folder: class_folders(folder, SIZE),
        lambda folder: class_folders(folder / "processed", SIZE),
    ) or first_found(dataset_folders(root, "cifar100"), lambda folder: listed_folders(folder, SIZE))
    return CIFAR_FS.load(config, folder, sources or cifar100(root, split_of, other_files=config.partial))
