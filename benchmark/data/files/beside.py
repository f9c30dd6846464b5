"""The account of a dataset that is read from archives, lists or arrays: the files used, and what lies beside them.

What a folder of classes holds is judged in `benchmark.data.files.listing`; here it is known which files were read, and
everything else is named: pictures that no list names, a second format that is not read because another goes before it.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.data.files.class_folders import shown
from benchmark.data.files.listing import Remark, look

OWN = ("htbench-", "omniglot-28.npz")
"""Beginnings of the names of files that htbench puts beside a dataset's own."""


@dataclass(frozen=True)
class Beside:
    """What was read, and what else is there.

    Attributes:
        folder: in which all of it lies.
        used: the files that were read.
        ignored: what nobody would miss.
        suspicious: what somebody may think is used.
    """

    folder: Path
    used: tuple[Path, ...]
    ignored: tuple[Remark, ...]
    suspicious: tuple[Remark, ...]

    def facts(self) -> dict[str, Any]:
        """The account of it as JSON has it: paths are below `folder`."""
        return {
            "folder": str(self.folder),
            "used": [str(path.relative_to(self.folder)) for path in self.used],
            **{
                fate: [{"path": str(r.path.relative_to(self.folder)), "why": r.why} for r in remarks]
                for fate, remarks in (("ignored", self.ignored), ("suspicious", self.suspicious))
            },
        }

    def lines(self) -> Iterator[str]:
        """The account for the terminal."""
        tops = list(dict.fromkeys(path.relative_to(self.folder).parts[0] for path in self.used))
        named = ", ".join(tops[:7]) + (" ..." if len(tops) > 7 else "")
        yield (
            f"{self.folder}: {len(self.used)} file{'' if len(self.used) == 1 else 's'} used ({named}),"
            f" {len(self.ignored)} things ignored, {len(self.suspicious)} suspicious"
        )
        for fate, remarks in (("suspicious", self.suspicious), ("ignored", self.ignored)):
            yield from shown(fate, [f"{r.path.relative_to(self.folder)}: {r.why}" for r in remarks])


def beside(files: Sequence[Path], root: Path) -> Beside:
    """The account of what was read from `files`.

    Args:
        files: those that were read, at least one.
        root: the folder of all datasets; where files lie in it directly, what else is in it is of other datasets.
    """
    used = tuple(sorted({file.absolute() for file in files}))
    folder = Path(os.path.commonpath([path.parent for path in used]))
    if folder == root.absolute():
        return Beside(folder, used, (), ())
    found = look(folder)
    suspicious = [Remark(path, "a picture that is not used: no list or format names it") for path in found.used]
    suspicious += [*found.suspicious, *found.refused]
    known = set(used)
    return Beside(
        folder,
        used,
        _whole_folders(folder, known, [r for r in found.ignored if r.path not in known]),
        _whole_folders(folder, known, [r for r in suspicious if r.path not in known]),
    )


def _whole_folders(folder: Path, used: set[Path], remarks: Sequence[Remark]) -> tuple[Remark, ...]:
    """Remarks on what is in a folder of which nothing is used become one; those on htbench's own files are left out."""
    holding = {parent for path in used for parent in path.parents}
    kept: dict[Path, list[Remark]] = {}
    for remark in remarks:
        if remark.path.name.lstrip(".").startswith(OWN):
            continue
        below = [remark.path, *remark.path.parents]
        top = next((path for path in reversed(below) if folder in path.parents and path not in holding), remark.path)
        kept.setdefault(top, []).append(remark)
    return tuple(
        some[0] if len(some) == 1 else Remark(path, f"{len(some):,} files in it, none of them used")
        for path, some in sorted(kept.items())
    )
