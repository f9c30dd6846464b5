"""`{train,val,test}_images.npz` with all images in one array, and `{train,val,test}_labels.pkl` (tieredImageNet).

An array that the archive holds as it is (`numpy.savez`) is mapped into memory, not read: that of training has 9.5 GB.
"""

import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.data.files.formats import Classes, Sources, checked, entry, rows_by_label, with_labels
from benchmark.data.files.restricted_pickle import read_pickle
from benchmark.errors import UserError

LARGEST_UNPACKED = 16 * 1024**3
"""Bytes of a compressed array, which is read as a whole; mapped ones may be larger."""


def npz_arrays(folder: Path, size: int) -> Sources | None:
    """`images`, (M, size, size, 3) uint8, and `labels` (or `label_specific`), M numbers; classes are split/number.

    Raises:
        UserError: a missing file. So does iterating the classes if the content is not as described.
    """
    return with_labels(folder, "{}_images.npz", partial(_classes, size=size))


def _classes(path: Path, labels_path: Path, split: str, *, size: int) -> Classes:
    images = read_array(path, "images", size)
    content = read_pickle(labels_path)
    key = "label_specific" if isinstance(content, dict) and "label_specific" in content else "labels"
    for label, rows in rows_by_label(entry(content, key, labels_path), len(images), labels_path).items():
        yield f"{split}/{label}", np.ascontiguousarray(images[rows])


def read_array(path: Path, name: str, size: int) -> np.ndarray:
    """One array of images from an npz archive.

    Raises:
        UserError: the archive cannot be read, has no such array or one of another kind, or takes too much memory.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.removesuffix(".npy") for member in archive.namelist()]
            if name not in names:
                raise UserError(f"{path} has no array {name!r}; it has {', '.join(names[:5]) or 'none'}")
            member = archive.getinfo(f"{name}.npy")
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                header: Callable[..., tuple[tuple[int, ...], bool, np.dtype]] = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shape, fortran, dtype = header(file)
                start = file.tell()
                about = np.empty(0, dtype) if dtype.hasobject else np.broadcast_to(np.empty((), dtype), shape)
                checked(about, size, path)
                length = about.nbytes
                if fortran or member.file_size - start != length:
                    raise UserError(f"{path}: {name!r} is cut off, or in an order that is not read")
                if member.compress_type == zipfile.ZIP_STORED:
                    return np.memmap(path, np.uint8, "r", _offset(path, member) + start, shape)
                if length > LARGEST_UNPACKED:
                    raise UserError(
                        f"{path}: {name!r} takes {length:,} bytes unpacked, at most {LARGEST_UNPACKED:,} are read;"
                        " save it with numpy.savez"
                    )
                return np.frombuffer(file.read(length), np.uint8).reshape(shape)
    except (OSError, EOFError, KeyError, ValueError, SyntaxError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(f"{path} cannot be read as an archive of arrays ({error})") from error


def _offset(path: Path, member: zipfile.ZipInfo) -> int:
    """Where a member's bytes begin: after its local header, of 30 bytes, a name and extra fields."""
    with path.open("rb") as file:
        file.seek(member.header_offset)
        header = file.read(30)
    return member.header_offset + 30 + int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
