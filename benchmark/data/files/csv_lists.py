"""Photographs in one folder and a CSV file per split that says which class each is of (Ravi and Larochelle 2017).

images/n0153282900000005.jpg ...   train.csv, val.csv, test.csv:   filename,label
n0153282900000005.jpg,n01532829
"""

import csv
from pathlib import Path

from benchmark.data.files.formats import Source, Sources, folders_source
from benchmark.data.files.split_names import all_or_none
from benchmark.errors import UserError

_FILE = ("filename", "file_name", "image_name", "image", "file", "path")
_LABEL = ("label", "class_name", "class", "class_label", "wnid")
MOST_ROWS = 2_000_000
"""Of a list; the largest of these datasets has 448,695 images in a split."""


def csv_lists(folder: Path, size: int) -> Sources | None:
    """`{train,val,test}.csv` in the folder, or in `split` or `splits` in it.

    The first row names two columns, of the file and of the class, in any order and beside others. A file is looked for
    in `images/` and in the folder itself, there also in a folder of its class.

    Raises:
        UserError: a split without list, a list without these columns or rows, a file that is missing, listed twice, or
            outside the folder.
    """
    for place in (folder, folder / "split", folder / "splits"):
        found = all_or_none(place, ["{}.csv"])
        if found is not None:
            known: dict[Path, Path] = {}
            return {split: _source(path, folder, size, known) for split, path in found.items()}
    return None


def _source(path: Path, folder: Path, size: int, known: dict[Path, Path]) -> Source:
    """Of one list; `known` holds the files of all lists so far, and in which each is."""
    classes: dict[str, list[Path]] = {}
    for line, (name, label) in enumerate(_rows(path), start=2):
        file = _file(folder, name, label)
        if file is None:
            raise UserError(f"{path}:{line}: there is no file {name} in {folder / 'images'} or {folder}")
        if file in known:
            raise UserError(f"{path}:{line}: {name} is listed twice, already in {known[file]}")
        known[file] = path
        classes.setdefault(label, []).append(file)
    if not classes:
        raise UserError(f"{path} lists no images")
    return folders_source({label: classes[label] for label in sorted(classes)}, size, path)


def _rows(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.reader(file)
            header = [name.strip().lower() for name in next(rows, [])]
            name, label = _column(header, _FILE), _column(header, _LABEL)
            if name is None or label is None:
                raise UserError(
                    f"{path}: the first row should name the columns 'filename' and 'label', found {header[:5]}"
                )
            found = []
            for row in rows:
                if len(row) <= max(name, label):
                    if row:
                        raise UserError(f"{path}:{rows.line_num}: {len(row)} columns, and {len(header)} are named")
                    continue
                found.append((row[name].strip(), row[label].strip()))
                if len(found) > MOST_ROWS:
                    raise UserError(f"{path} has more than {MOST_ROWS:,} rows")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as CSV ({error})") from error
    return found


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _file(folder: Path, name: str, label: str) -> Path | None:
    for part in (name, label):
        if not part or Path(part).is_absolute() or ".." in Path(part).parts or "\0" in part:
            raise UserError(f"{folder}: a list names {part!r}, which is not inside the folder")
    places = (folder / "images" / name, folder / "images" / label / name, folder / name, folder / label / name)
    return next((place for place in places if place.is_file()), None)
