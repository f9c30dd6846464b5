"""Lake's one-shot classification: 20 runs of 20-way 1-shot within alphabets, on which people err in 4.5 %.

Source. Brenden Lake, Ruslan Salakhutdinov, Joshua Tenenbaum, "Human-level concept learning through probabilistic
program induction", Science 350 (2015); https://github.com/brendenlake/omniglot, folder python/one-shot-classification,
MIT licence. In every run one person drew 20 new characters of an alphabet, which are the classes, and another person
drew them again, which are the 20 queries.

Files. The archive `all_runs.zip`, or the folder it was unpacked to, is looked for where Omniglot's archives are (see
`benchmark.data.omniglot`), and there also in `one-shot-classification`; it is downloaded when missing. It has folders
`run01` to `run20`, each with `training/class01.png` to `class20.png`, `test/item01.png` to `item20.png`, and
`class_labels.txt`, whose lines name a test file and the training file of its class.

Checksum. None was published, and none could be taken when this was written, so the content is checked instead: every
picture must be a drawing of Omniglot's evaluation set, whose archive has a published checksum, and every query must be
of the same character as the class that its label names. What is not so must be accepted with `htbench data --trust`.
The SHA-256 of all pictures and labels is the hash of the test, so that numbers from other pictures never compare.

Images are made as Omniglot's are: 28 x 28, bright ink. The characters belong to the evaluation alphabets: train with
`dataset.split: lake`.
"""

import hashlib
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmark.data.dataset import ClassImages
from benchmark.data.files.download import fetch
from benchmark.data.files.drawings import LARGEST_DRAWING, MOST_DRAWINGS, Drawings
from benchmark.data.files.places import dataset_folders
from benchmark.data.files.trust import check_trusted
from benchmark.data.official import OfficialRuns
from benchmark.data.omniglot import (
    ARCHIVES,
    EVALUATION_ALPHABETS,
    PLACES,
    SIZE,
    URL,
    Archive,
    drawing,
    find_or_fetch,
    read_characters,
)
from benchmark.errors import UserError

NAME = "lake-oneshot"
ARCHIVE = "all_runs.zip"
INSIDE = "one-shot-classification"
RUNS, WAYS, ITEMS = 20, 20, 20

_PLACE = re.compile(r"(?:^|/)run(\d\d)/(class_labels\.txt|training/class(\d\d)\.png|test/item(\d\d)\.png)$")


def load(root: Path, archives: Sequence[Archive] = ARCHIVES, url: str = URL) -> OfficialRuns:
    """The runs from the archive under `root`, which is found or downloaded, checked against Omniglot's drawings there.

    Raises:
        UserError: something is missing and cannot be downloaded, is damaged, or is not what was published.
    """
    folders = dataset_folders(root, "omniglot", *PLACES)
    runs = read_runs(_find(folders) or _fetched(folders[0], url))
    known = read_characters(find_or_fetch(folders, archives, url), archives)
    problem = unlike_omniglot(runs, known)
    if problem:
        check_trusted(
            runs.sha256, f"{ARCHIVE} in {folders[0]} has no published checksum, and {problem} (SHA-256 {runs.sha256})"
        )
    return runs


def _find(folders: Sequence[Path]) -> Drawings | None:
    """The first archive in the folders, else the first folder with runs."""
    places = [place / inside for folder in folders for place in (folder, folder / "python") for inside in ("", INSIDE)]
    for place in places:
        if (place / ARCHIVE).is_file():
            return Drawings(place / ARCHIVE, (place / ARCHIVE,))
    for place in places:
        for path in (place / Path(ARCHIVE).stem, place):
            if (path / "run01").is_dir():
                files = sorted(file for run in path.glob("run[0-9][0-9]") for file in run.rglob("*") if file.is_file())
                return Drawings(path, tuple(files))
    return None


def _fetched(folder: Path, url: str) -> Drawings:
    path = folder / ARCHIVE
    remedy = (
        f"Get {ARCHIVE} from https://github.com/brendenlake/omniglot (folder python/{INSIDE}) and put it into {folder},"
        " or set HTBENCH_DATA to a folder that has it in its subfolder omniglot."
    )
    fetch(f"{url}/{INSIDE}/{ARCHIVE}", path, None, remedy)
    return Drawings(path, (path,))


def read_runs(part: Drawings) -> OfficialRuns:
    """All runs in the archive or folder.

    Raises:
        UserError: it cannot be read, or has other runs, pictures or labels than the published ones.
    """
    members = _members(part)
    support = np.empty((RUNS, WAYS, 1, SIZE, SIZE), dtype=np.uint8)
    query = np.empty((RUNS, ITEMS, 1, SIZE, SIZE), dtype=np.uint8)
    labels = np.empty((RUNS, ITEMS), dtype=np.int64)
    with part.opened() as read:
        for run in range(1, RUNS + 1):
            files = members.get(run, {})
            wanted = [f"training/class{n:02}.png" for n in range(1, WAYS + 1)]
            asked = [f"test/item{n:02}.png" for n in range(1, ITEMS + 1)]
            missing = [name for name in ("class_labels.txt", *wanted, *asked) if name not in files]
            if missing:
                more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
                raise UserError(
                    f"{part.path}: run{run:02} lacks {missing[0]}{more};"
                    f" the published runs have {WAYS} classes and {ITEMS} items each. {part.remedy}"
                )
            for images, names in ((support, wanted), (query, asked)):
                for number, name in enumerate(names):
                    images[run - 1, number, 0] = drawing(read(files[name]), part, files[name])
            labels[run - 1] = _labels(read(files["class_labels.txt"]), f"{part.path}: run{run:02}/class_labels.txt")
    digest = hashlib.sha256(f"{NAME}:{support.shape}:{query.shape}".encode())
    for array in (support, query, labels.astype("<i8")):
        digest.update(array.tobytes())
    pictures, queries = torch.from_numpy(support), torch.from_numpy(query)
    return OfficialRuns(NAME, pictures, queries, torch.from_numpy(labels), digest.hexdigest())


def _members(part: Drawings) -> dict[int, dict[str, str]]:
    """By run, and by place in it, the names of its files.

    Raises:
        UserError: the archive cannot be read, or is larger than any such archive is.
    """
    names = [file.relative_to(part.path).as_posix() for file in part.files]
    sizes = [0] * len(names)
    if part.packed:
        try:
            with zipfile.ZipFile(part.path) as archive:
                listed = archive.infolist()
        except (zipfile.BadZipFile, OSError) as error:
            raise UserError(f"{part.path} cannot be read ({error}). {part.remedy}") from error
        names, sizes = [one.filename for one in listed], [one.file_size for one in listed]
    if len(names) > MOST_DRAWINGS or max(sizes, default=0) > LARGEST_DRAWING:
        raise UserError(f"{part.path} has more or larger files than the published runs. {part.remedy}")
    found: dict[int, dict[str, str]] = {}
    for name in names:
        place = _PLACE.search(name)
        if place and "__MACOSX" not in name:
            found.setdefault(int(place[1]), {})[place[2]] = name
    return found


def _labels(content: bytes, what: str) -> list[int]:
    """The class, from 0, of every item in the order of their numbers.

    Raises:
        UserError: a line names something else, or an item has not exactly one class.
    """
    found: dict[int, int] = {}
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        if not line.strip():
            continue
        places = [_PLACE.search(name) for name in line.split()]
        item, known = (places[0], places[1]) if len(places) == 2 else (None, None)
        if item is None or known is None or not item[4] or not known[3] or not 1 <= int(known[3]) <= WAYS:
            raise UserError(
                f"{what}, line {number}: expected 'run01/test/item01.png run01/training/class01.png', found {line!r}"
            )
        if int(item[4]) in found:
            raise UserError(f"{what}, line {number}: item{item[4]} has a class already")
        found[int(item[4])] = int(known[3]) - 1
    if sorted(found) != list(range(1, ITEMS + 1)):
        raise UserError(f"{what} should name {ITEMS} items once each, found {len(found)}")
    return [found[item] for item in range(1, ITEMS + 1)]


def unlike_omniglot(runs: OfficialRuns, known: ClassImages) -> str:
    """How the runs contradict Omniglot's evaluation set, in words that follow "and"; nothing if they do not."""
    characters: dict[bytes, set[int]] = {}
    for number, name in enumerate(known.names):
        if name.partition("/")[0] in EVALUATION_ALPHABETS:
            for row in known.images[int(known.first[number]) : int(known.first[number + 1])]:
                characters.setdefault(_bytes(row), set()).add(number)
    classes = [[characters.get(_bytes(one), set()) for one in run] for run in runs.support]
    items = [[characters.get(_bytes(one), set()) for one in run] for run in runs.query]
    strange = sum(not found for run in (*classes, *items) for found in run)
    if strange:
        return f"{strange} of its {RUNS * (WAYS + ITEMS)} pictures are no drawings of Omniglot's evaluation set"
    wrong = sum(
        not found & of_class[label]
        for of_class, of_item, labels in zip(classes, items, runs.labels.tolist(), strict=True)
        for found, label in zip(of_item, labels, strict=True)
    )
    return f"{wrong} of its queries are of another character than their label says" if wrong else ""


def _bytes(image: Tensor) -> bytes:
    return image.numpy().tobytes()
