"""Where Omniglot's drawings are: in archives or unpacked, under the names that others give the folders.

An archive `images_background.zip`, or a folder `images_background` with `Alphabet/character/NNNN_MM.png`, is looked for
in the dataset's folder and in those of `benchmark.data.omniglot.PLACES`, and there also in a folder `python`, as in the
authors' repository. An archive goes before a folder.
"""

import contextlib
import hashlib
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.data.files.hashes import content_hashes
from benchmark.data.files.listing import look
from benchmark.errors import UserError

MOST_DRAWINGS = 100_000
LARGEST_DRAWING = 1_000_000
"""Bytes of a drawing's file; the official ones have at most 300."""

Read = Callable[[str], bytes]
"""The bytes of a drawing, by its name as `Drawings.characters` gives it."""


@dataclass(frozen=True)
class Drawings:
    """An archive, or the folder it was unpacked to.

    Attributes:
        path: of the archive or folder.
        files: what it consists of: the archive, or all drawings, sorted.
    """

    path: Path
    files: tuple[Path, ...]

    @property
    def packed(self) -> bool:
        """Whether it is an archive."""
        return self.files == (self.path,)

    @property
    def remedy(self) -> str:
        """What to do if something is wrong with it."""
        return "Delete it, and it is downloaded again." if self.packed else "Unpack the archive again."

    def fingerprint(self) -> str:
        """SHA-256 of the archive, or of all drawings with their names."""
        hashes = content_hashes(self.path, self.files)
        if self.packed:
            return hashes[0]
        names = [str(file.relative_to(self.path)) for file in self.files]
        return hashlib.sha256(repr(sorted(zip(names, hashes, strict=True))).encode()).hexdigest()

    def characters(self) -> dict[str, list[str]]:
        """The names of the drawings of each "Alphabet/character", sorted.

        Raises:
            UserError: the archive cannot be read, or is larger than any such archive is.
        """
        names = [str(file.relative_to(self.path)) for file in self.files]
        if self.packed:
            try:
                with zipfile.ZipFile(self.path) as archive:
                    members = [member for member in archive.infolist() if _is_drawing(member.filename)]
            except (zipfile.BadZipFile, OSError) as error:
                raise UserError(f"{self.path} cannot be read ({error}). {self.remedy}") from error
            large = next((member for member in members if member.file_size > LARGEST_DRAWING), None)
            if large:
                raise UserError(
                    f"{self.path}: {large.filename} would be {large.file_size:,} bytes, and a drawing has at most"
                    f" {LARGEST_DRAWING:,}. {self.remedy}"
                )
            names = [member.filename for member in members]
        if len(names) > MOST_DRAWINGS:
            raise UserError(
                f"{self.path} has {len(names):,} drawings, at most {MOST_DRAWINGS:,} are read. {self.remedy}"
            )
        found = defaultdict(list)
        for name in sorted(names):
            found["/".join(name.split("/")[-3:-1])].append(name)
        return dict(found)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Read]:
        """Gives a function that reads drawings.

        Raises:
            UserError: from the function, if a drawing cannot be read.
        """
        with contextlib.ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(self.path)) if self.packed else None

            def read(name: str) -> bytes:
                try:
                    return archive.read(name) if archive else (self.path / name).read_bytes()
                except (zipfile.BadZipFile, zlib.error, OSError) as error:
                    raise UserError(f"{self.path}: image {name} is damaged ({error}). {self.remedy}") from error

            yield read


def _is_drawing(name: str) -> bool:
    """Not so are what macOS puts beside each file of an archive."""
    return name.endswith(".png") and not any(part.startswith((".", "__MACOSX")) for part in name.split("/"))


def find_drawings(folders: Sequence[Path], archive: str) -> Drawings | None:
    """The first archive of that name in the folders, else the first folder it was unpacked to."""
    places = [place for folder in folders for place in (folder, folder / "python")]
    for place in places:
        if (place / archive).is_file():
            return Drawings(place / archive, (place / archive,))
    stem = Path(archive).stem
    for place in places:
        for path in (place / stem, place / stem / stem):  # some tools unpack into a folder of the archive's name
            if any(inside.is_dir() and inside.name != stem for inside in (path.iterdir() if path.is_dir() else ())):
                listing = look(path)
                listing.check()
                return Drawings(path, tuple(file for file in listing.used if file.suffix == ".png"))
    return None
