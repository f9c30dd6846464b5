"""Omniglot: 1,623 handwritten characters from 50 alphabets, 20 drawings of each, by 20 people.

Source. Brenden Lake, Ruslan Salakhutdinov, Joshua Tenenbaum, "Human-level concept learning through probabilistic
program induction", Science 350 (2015), https://github.com/brendenlake/omniglot, MIT licence. Cite that paper when you
publish numbers. The archives `images_background.zip` (30 alphabets, 964 characters) and `images_evaluation.zip` (20
alphabets, 659 characters), or the folders they were unpacked to, are read from `<root>/omniglot/`, or from where
torchvision and learn2learn have them (see `benchmark.data.files.drawings`), and downloaded (14 MB) when missing. What
has not the published checksum, because it was packed anew or unpacked, must give the very images that the published
archives give, or be accepted with `htbench data --trust`. The decoded images are cached beside the files, or in the
per-user cache folder where that cannot be written.

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

import contextlib
import io
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
from benchmark.data.files.drawings import Drawings, find_drawings
from benchmark.data.files.places import dataset_folders, user_cache
from benchmark.data.files.progress import progress
from benchmark.data.files.trust import check_trusted, has_md5
from benchmark.data.splits import content_sha256, permuted, split_dataset
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
SHA256 = "c1a1b23e1791d125f4e5f48458ca5e4ef6147b824eedcd60ba349dcec8e0baab"
"""Of the decoded images and the characters' names, as `content_sha256` has it."""
PLACES = ("omniglot-py", ".")
"""Folders beside `omniglot` in which the archives may be: torchvision's and learn2learn's, and the root itself."""
DRAWINGS = 20
SIZE = 28
LARGEST_SIDE = 1000
"""Of a drawing before it is resized, in pixels; the official ones have 105."""

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
    """Find or download the archives under `root` and split the characters.

    Raises:
        UserError: an archive is missing and cannot be downloaded, is damaged, or has other images than Omniglot.
    """
    parts = find_or_fetch(dataset_folders(root, "omniglot", *PLACES), ARCHIVES)
    pool = read_characters(parts, ARCHIVES)
    sha256 = content_sha256(pool)
    published = all(p.packed and has_md5(p.path, a.md5) for p, a in zip(parts, ARCHIVES, strict=True))
    if not published and sha256 != SHA256:
        check_trusted(
            sha256,
            f"{' and '.join(str(part.path) for part in parts)} are not the archives that were published (by their MD5),"
            f" and do not hold the same images (SHA-256 {sha256[:12]}..., not {SHA256[:12]}...)",
        )
    splits = ht_split(len(pool.names)) if config.split == "ht" else lake_split(pool.names)
    files = tuple(file for part in parts for file in part.files)
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


def find_or_fetch(folders: Sequence[Path], archives: Sequence[Archive] = ARCHIVES, url: str = URL) -> list[Drawings]:
    """Each archive, or what it was unpacked to, from the first folder that has it; else downloaded into the first.

    Raises:
        UserError: it cannot be downloaded, or has another checksum then.
    """
    parts = []
    for archive in archives:
        found = find_drawings(folders, archive.name)
        if found is None:
            path = folders[0] / archive.name
            remedy = (
                f"Get {archive.name} from https://github.com/brendenlake/omniglot (folder python) and put it into "
                f"{path.parent}, or set HTBENCH_DATA to a folder that has it in its subfolder omniglot."
            )
            fetch(f"{url}/{archive.name}", path, archive.md5, remedy)
            found = Drawings(path, (path,))
        parts.append(found)
    return parts


def read_characters(parts: Sequence[Drawings], archives: Sequence[Archive] = ARCHIVES) -> ClassImages:
    """All characters of both parts, from the cache if it was made from these very files.

    Raises:
        UserError: a file is damaged, or there are more or fewer drawings than in the official archives.
    """
    fingerprint = ":".join(part.fingerprint() for part in parts)
    folders = (parts[0].path.parent, user_cache() / "omniglot")
    return cached(f"omniglot-{SIZE}", fingerprint, folders, lambda: _decode(parts, archives))


def _decode(parts: Sequence[Drawings], archives: Sequence[Archive]) -> ClassImages:
    where: dict[str, tuple[Drawings, list[str]]] = {}
    for part, archive in zip(parts, archives, strict=True):
        drawings = part.characters()
        counts = {len(members) for members in drawings.values()}
        if len(drawings) != archive.characters or counts != {DRAWINGS}:
            raise UserError(
                f"{part.path} has {len(drawings)} characters with {sorted(counts)} drawings each; the official archive"
                f" has {archive.characters} with {DRAWINGS}. {part.remedy}"
            )
        where |= {character: (part, members) for character, members in drawings.items()}

    names = sorted(where)
    images = np.empty((len(names), DRAWINGS, 1, SIZE, SIZE), dtype=np.uint8)
    with contextlib.ExitStack() as stack:
        read = {part.path: stack.enter_context(part.opened()) for part in parts}
        for number, name in enumerate(progress(names, "decoding Omniglot")):
            part, members = where[name]
            for place, member in enumerate(members):
                images[number, place, 0] = drawing(read[part.path](member), part, member)
    first = torch.arange(len(names) + 1) * DRAWINGS
    return ClassImages(torch.from_numpy(images.reshape(-1, 1, SIZE, SIZE)), first, tuple(names))


def drawing(content: bytes, part: Drawings, member: str) -> np.ndarray:
    """The pixels (28, 28) uint8 of a drawing's file, bright ink on black.

    Raises:
        UserError: it is none, or too large.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if max(image.size) > LARGEST_SIDE:
                raise ValueError(f"{image.size[0]} x {image.size[1]} pixels, and at most {LARGEST_SIDE} each are read")
            grey = image.convert("L").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{part.path}: image {member} is damaged ({error}). {part.remedy}") from error
    return 255 - np.asarray(grey)
