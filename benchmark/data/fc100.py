"""FC100: the 100 classes of CIFAR-100, 600 colour images each, 32 x 32 pixels, divided by superclass.

Source. Oreshkin, Rodriguez, Lacoste, "TADAM: task dependent adaptive metric for improved few-shot learning", NeurIPS
2018; the superclasses below are theirs: 12 for training, 4 for validation and 4 for testing (60, 20 and 20 classes), so
that test classes are strange, as in tieredImageNet. Images are CIFAR-100's, see `benchmark.data.cifar100`.

Files, in `<root>/fc100/`, the first found of

- `FC100_{train,val,test}.pickle`: MetaOptNet, learn2learn (also in `<root>` itself);
- `train/CLASS/*.png`, `val/...`, `test/...`: class folders;

else CIFAR-100's official archive, packed or not, in `<root>/cifar100/`, downloaded when missing; see
CIFAR-FS about hashes.
"""

from pathlib import Path

from benchmark.data.cifar100 import SIZE, cifar100
from benchmark.data.configs import FC100Config
from benchmark.data.dataset import Dataset
from benchmark.data.files.formats import class_folders, labels_pickles
from benchmark.data.files.places import dataset_folders
from benchmark.data.photographs import Photographs, first_found

FC100 = Photographs("fc100", SIZE, 4, {"train": (60, 36_000), "validation": (20, 12_000), "test": (20, 12_000)})

VALIDATION_SUPERCLASSES = frozenset(
    {"large_carnivores", "large_omnivores_and_herbivores", "non-insect_invertebrates", "small_mammals"}
)
TEST_SUPERCLASSES = frozenset({"aquatic_mammals", "insects", "medium_mammals", "people"})


def split_of(name: str, superclass: str) -> str:
    """The split of a class of CIFAR-100; training has what is in neither list."""
    if superclass in VALIDATION_SUPERCLASSES:
        return "validation"
    return "test" if superclass in TEST_SUPERCLASSES else "train"


def load(config: FC100Config, root: Path) -> Dataset:
    """Read the files under `root / "fc100"`, or the archive under `root / "cifar100"`.

    Raises:
        UserError: no files and no download, or something is wrong with them.
    """
    folder = root / config.name
    sources = first_found(
        dataset_folders(root, config.name),
        lambda folder: labels_pickles(folder, SIZE, "FC100_{}"),
        lambda folder: class_folders(folder, SIZE),
    ) or labels_pickles(root, SIZE, "FC100_{}")
    return FC100.load(config, folder, sources or cifar100(root, split_of, other_files=config.partial))
