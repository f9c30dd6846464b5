"""Omniglot: 1,623 handwritten characters from 50 alphabets, 20 drawings of each, by 20 people.

Source. Brenden Lake, Ruslan Salakhutdinov, Joshua Tenenbaum, "Human-level concept learning through probabilistic
program induction", Science 350 (2015), https://github.com/brendenlake/omniglot, MIT licence. Cite that paper when you
publish numbers. The archives `images_background.zip` (30 alphabets, 964 characters) and `images_evaluation.zip` (20
alphabets, 659 characters) are read from `<root>/omniglot/` and downloaded there (14 MB) when missing. The decoded
images are cached beside them, or in the per-user cache folder where that cannot be written.

Images. The originals are 105 x 105 one-bit drawings, dark ink on white. They become (1, 28, 28) uint8 with bright ink
(255) on black (0): converted to grey, resized with Pillow's LANCZOS filter, inverted. 28 x 28 is the field's size
(Vinyals et al. 2016). The sharpness differs between papers: MAML's script (Finn et al. 2017,
`data/omniglot/resize_images.py`) also names LANCZOS, but calls it on the one-bit image, where Pillow takes the nearest
pixel instead; MAML makes ink bright, MAML++ leaves it dark. Grey anti-aliased strokes are what learn2learn trains on.

Order. Characters are sorted by "Alphabet/characterNN" over both archives together, drawings by file name, so a class
number does not depend on how a file system lists a folder (in MAML's code it does).

Splits, always by character and before any rotation:

- `ht`: 1,150 training, 50 validation and 423 test characters, after one random permutation with seed 2022. The
  HyperTransformer's scripts (Zhmoginov, Sandler, Vladymyrov 2022) cut a permutation with seed 2022 at the same places,
  but the sorted order it permutes is not ours: the same kind of split, not the same characters. MAML++ uses
  1150/50/423 too. Characters of one alphabet fall into all three splits.
- `lake`: the authors' own split by alphabet, harder because no test alphabet was ever seen: the 659 characters of the
  20 evaluation alphabets are for testing; of the 30 background alphabets, five drawn once at random (Anglo-Saxon
  Futhorc, Burmese, Greek, Inuktitut, Japanese hiragana: 155 characters) are for validation and the other 809
  characters for training.

Neither is the list of Vinyals et al. (1028/172/423 characters) that Prototypical Networks use, with rotations as extra
classes at test time too; here only training rotates. Published Omniglot numbers come from at least four protocols, so
comparing them with these, or with each other, to a tenth of a point means nothing.
"""

import hashlib
import io
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmark.data.configs import OmniglotConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.cache import cached
from benchmark.data.files.download import fetch
from benchmark.data.files.places import user_cache
from benchmark.data.files.progress import progress
from benchmark.data.splits import permuted, split_dataset
from benchmark.errors import UserError


@dataclass(frozen=True)
class Archive:
    """One official archive: file name, published MD5, number of characters."""

    name: str
    md5: str
    characters: int


URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python"
ARCHIVES = (  # checksums as in torchvision.datasets.Omniglot
    Archive("images_background.zip", "68d2efa1b9178cc56df9314c21c6e718", 964),
    Archive("images_evaluation.zip", "6b91aef0f799c5bb55b94e3f2daec811", 659),
)
DRAWINGS = 20
SIZE = 28

# fmt: off
EVALUATION_ALPHABETS = frozenset({
    "Angelic", "Atemayar_Qelisayer", "Atlantean", "Aurek-Besh", "Avesta", "Ge_ez", "Glagolitic", "Gurmukhi", "Kannada",
    "Keble", "Malayalam", "Manipuri", "Mongolian", "Old_Church_Slavonic_(Cyrillic)", "Oriya", "Sylheti",
    "Syriac_(Serto)", "Tengwar", "Tibetan", "ULOG",
})
# random.Random(2022).sample(sorted(background alphabets), 5)
VALIDATION_ALPHABETS = frozenset({
    "Anglo-Saxon_Futhorc", "Burmese_(Myanmar)", "Greek", "Inuktitut_(Canadian_Aboriginal_Syllabics)",
    "Japanese_(hiragana)",
})
# fmt: on


def load(config: OmniglotConfig, root: Path) -> Dataset:
    """Read or download the archives under `root / "omniglot"` and split the characters.

    Raises:
        UserError: an archive is missing and cannot be downloaded, or is damaged.
    """
    pool = read_characters(root / "omniglot")
    splits = ht_split(len(pool.names)) if config.split == "ht" else lake_split(pool.names)
    files = tuple(root / "omniglot" / archive.name for archive in ARCHIVES)
    return replace(split_dataset(config.name, pool, splits, config.rotations), files=files)


def ht_split(characters: int) -> dict[str, list[int]]:
    """1,150 / 50 / 423 of the 1,623 characters after a permutation with seed 2022."""
    order = permuted(characters, seed=2022)
    return {"train": order[:1150], "validation": order[1150:1200], "test": order[1200:]}


def lake_split(names: Sequence[str]) -> dict[str, list[int]]:
    """Whole alphabets: 25 background ones, 5 background ones, 20 evaluation ones."""
    splits: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for character, name in enumerate(names):
        alphabet = name.split("/")[0]
        if alphabet in EVALUATION_ALPHABETS:
            splits["test"].append(character)
        elif alphabet in VALIDATION_ALPHABETS:
            splits["validation"].append(character)
        else:
            splits["train"].append(character)
    return splits


def read_characters(folder: Path, archives: Sequence[Archive] = ARCHIVES, url: str = URL) -> ClassImages:
    """All characters of the archives in `folder`, from the cache if it was made from these very archives.

    Args:
        folder: holds the archives, or receives them.
        archives: what to read.
        url: where missing archives are downloaded from.
    """
    paths = [folder / archive.name for archive in archives]
    for archive, path in zip(archives, paths, strict=True):
        remedy = (
            f"Get {archive.name} from https://github.com/brendenlake/omniglot (folder python) and put it into "
            f"{folder}, or set HTBENCH_DATA to a folder that has it in its subfolder omniglot."
        )
        fetch(f"{url}/{archive.name}", path, archive.md5, remedy)
    fingerprint = ":".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return cached(
        f"omniglot-{SIZE}", fingerprint, (folder, user_cache() / "omniglot"), lambda: _decode(paths, archives)
    )


def _decode(paths: Sequence[Path], archives: Sequence[Archive]) -> ClassImages:
    where: dict[str, tuple[Path, list[str]]] = {}
    for path, archive in zip(paths, archives, strict=True):
        drawings = _drawings(path)
        counts = {len(members) for members in drawings.values()}
        if len(drawings) != archive.characters or counts != {DRAWINGS}:
            raise UserError(
                f"{path} has {len(drawings)} characters with {sorted(counts)} drawings each; the official archive has "
                f"{archive.characters} with {DRAWINGS}. Delete it, and it is downloaded again."
            )
        where |= {character: (path, members) for character, members in drawings.items()}

    names = sorted(where)
    images = np.empty((len(names), DRAWINGS, 1, SIZE, SIZE), dtype=np.uint8)
    opened = {path: zipfile.ZipFile(path) for path in paths}
    try:
        for number, name in enumerate(progress(names, "decoding Omniglot")):
            path, members = where[name]
            for drawing, member in enumerate(members):
                images[number, drawing, 0] = _drawing(opened[path], member)
    finally:
        for file in opened.values():
            file.close()
    first = torch.arange(len(names) + 1) * DRAWINGS
    return ClassImages(torch.from_numpy(images.reshape(-1, 1, SIZE, SIZE)), first, tuple(names))


def _drawings(path: Path) -> dict[str, list[str]]:
    """The image files of each "Alphabet/character", sorted: `images_*/Alphabet/character/NNNN_MM.png`."""
    try:
        with zipfile.ZipFile(path) as file:
            members = sorted(member for member in file.namelist() if member.endswith(".png"))
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"{path} cannot be read ({error}). Delete it, and it is downloaded again.") from error
    drawings = defaultdict(list)
    for member in members:
        drawings["/".join(member.split("/")[-3:-1])].append(member)
    return dict(drawings)


def _drawing(file: zipfile.ZipFile, member: str) -> np.ndarray:
    try:
        with Image.open(io.BytesIO(file.read(member))) as image:
            grey = image.convert("L").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    except (zipfile.BadZipFile, zlib.error, OSError, SyntaxError) as error:
        raise UserError(
            f"{file.filename}: image {member} is damaged ({error}). Delete the archive, and it is downloaded again."
        ) from error
    return 255 - np.asarray(grey)
