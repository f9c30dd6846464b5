"""What is in a folder of pictures, and what becomes of each thing there: the one place that decides it.

Used: files whose name ends as a picture's does, in the folder and in those inside it. Links to files and to folders are
followed, but for one that leads back to a folder it lies in.

Ignored, as nobody would miss them: hidden files and folders, and files that are no pictures.

Suspicious, so named where somebody reads it: pictures in formats that are not read here (`.heic`, `.svg`), pictures
under a name that is not a picture's, links back, linked folders and folders named like pictures (what is in these is
used).

Refused, since a picture seems to be there and is not: dead links, empty files, pipes and devices named like pictures,
and what may not be read.
"""

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.errors import UserError

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
"""Of the files that are read as pictures, in small or capital letters."""

# fmt: off
NOT_READ = frozenset({
    ".arw", ".avif", ".cr2", ".cr3", ".dng", ".emf", ".eps", ".exr", ".hdr", ".heic", ".heif", ".j2k", ".jfif", ".jp2",
    ".jxl", ".nef", ".orf", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".raw", ".rw2", ".svg", ".svgz",
    ".tga", ".wmf", ".xcf",
})
# fmt: on
"""Endings of pictures in formats that are not read: few have them, and each would need a library of its own."""

_BEGINNINGS = {
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"GIF8": "GIF",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
}

Fate = Literal["used", "ignored", "suspicious", "refused"]


@dataclass(frozen=True)
class Remark:
    """What is said about a file or folder."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"{self.path}: {self.why}"


@dataclass(frozen=True)
class Listing:
    """What is in a folder, each sorted by path."""

    folder: Path
    used: tuple[Path, ...] = ()
    ignored: tuple[Remark, ...] = ()
    suspicious: tuple[Remark, ...] = ()
    refused: tuple[Remark, ...] = ()

    def check(self) -> None:
        """Refuse the folder if something in it is refused.

        Raises:
            UserError: naming the first few things.
        """
        if self.refused:
            raise UserError(f"{_some(self.refused)}; repair or remove {'it' if len(self.refused) == 1 else 'them'}")

    def pictures(self) -> list[Path]:
        """The files that are used.

        Raises:
            UserError: something is refused, or there are none.
        """
        self.check()
        if not self.used:
            left_out = f"; left out: {_some(self.suspicious)}" if self.suspicious else ""
            raise UserError(
                f"{self.folder} has no images ({', '.join(ENDINGS)}); put some there or remove the folder{left_out}"
            )
        return list(self.used)


def look(folder: Path) -> Listing:
    """Everything in a folder and the folders inside it; no file is opened whose name is a picture's.

    Raises:
        UserError: it is no folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder; give one that holds images")
    found: dict[Fate, list[Remark]] = {"used": [], "ignored": [], "suspicious": [], "refused": []}
    for fate, remark in _walk(folder, (_identity(folder.stat()),)):
        found[fate].append(remark)
    for remarks in found.values():
        remarks.sort(key=lambda remark: remark.path)
    return Listing(
        folder,
        tuple(remark.path for remark in found["used"]),
        *(tuple(found[fate]) for fate in ("ignored", "suspicious", "refused")),
    )


def merged(folder: Path, listings: Iterable[Listing]) -> Listing:
    """Several folders' listings as one of the folder they lie in."""
    parts = list(listings)
    return Listing(
        folder,
        tuple(path for part in parts for path in part.used),
        tuple(remark for part in parts for remark in part.ignored),
        tuple(remark for part in parts for remark in part.suspicious),
        tuple(remark for part in parts for remark in part.refused),
    )


def _walk(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[tuple[Fate, Remark]]:
    """`above` are the folders from the top to this one, by which a link back is known."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        yield "refused", Remark(folder, f"the folder cannot be read ({error.strerror})")
        return
    for path in paths:
        fate, why, inside = judge(path)
        if inside is not None and inside in above:
            fate, why, inside = "suspicious", f"a link back to {path.resolve()}; it is not followed", None
        if fate != "used" or inside is None:
            yield fate, Remark(path, why)
        if inside is not None:
            yield from _walk(path, (*above, inside))


def judge(path: Path) -> tuple[Fate, str, tuple[int, int] | None]:
    """What becomes of a file or folder, why, and for a folder that is looked into which one it is."""
    picture = path.suffix.lower() in ENDINGS
    if path.name.startswith(".") or path.name == "__MACOSX":
        return "ignored", "hidden", None
    if not _is_text(path.name):
        return "refused", "its name is not UTF-8; rename it", None
    try:
        status = path.stat()
    except OSError as error:
        return _unreachable(path, picture, error)
    if stat.S_ISDIR(status.st_mode):
        why = "a folder named like a picture; what is in it is used" if picture else ""
        why = f"a link to the folder {path.resolve()}; what is in it is used" if path.is_symlink() else why
        return ("suspicious" if why else "used"), why, _identity(status)
    if not stat.S_ISREG(status.st_mode):
        return ("refused" if picture else "ignored"), "a pipe, socket or device, not a file", None
    return (*(_picture(path, status) if picture else _other(path)), None)


def _unreachable(path: Path, picture: bool, error: OSError) -> tuple[Fate, str, None]:
    if error.errno == errno.ELOOP:
        why = "a link that leads to itself"
    elif path.is_symlink():
        why = f"a dead link to {path.readlink()}"
    else:
        why = f"cannot be looked at ({error.strerror})"
    # A name without ending may be a folder's, of a class or of pictures.
    return ("refused" if picture or not path.suffix else "ignored"), why, None


def _picture(path: Path, status: os.stat_result) -> tuple[Fate, str]:
    if status.st_size == 0:
        return "refused", "an empty file"
    if not os.access(path, os.R_OK):
        return "refused", "not readable (permission denied)"
    return "used", ""


def _other(path: Path) -> tuple[Fate, str]:
    ending = path.suffix.lower()
    if ending in NOT_READ:
        return "suspicious", f"a picture in a format that is not read ({ending}); convert it to .png or .jpg"
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        start = b""
    kind = next((kind for beginning, kind in _BEGINNINGS.items() if start.startswith(beginning)), None)
    kind = "WebP" if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else kind
    if kind is not None:
        return "suspicious", f"a {kind} picture whose name does not end as a picture's; rename it"
    return "ignored", "not a picture"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _some(remarks: tuple[Remark, ...], most: int = 3) -> str:
    more = f"; and {len(remarks) - most} more" if len(remarks) > most else ""
    return "; ".join(map(str, remarks[:most])) + more
