"""SHA-256 of files' contents, computed once for each state of a file.

Kept in the user's cache, by path. A hash holds while a file's size, its times of modification and of change, and its
inode stay as they were: `cp -p` of other content over a file may keep the first two. What was changed within the last
two seconds is hashed again the next time, since the file system's clock may not tell the next change from this one.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from benchmark.data.files.places import user_cache
from benchmark.data.files.progress import progress
from benchmark.errors import UserError
from benchmark.machine.files import write_text

SETTLED_NS = 2_000_000_000

State = list[int | str]
"""Of a file: size, times of modification and of change, inode."""


def content_hashes(folder: Path, files: Sequence[Path], algorithm: str = "sha256") -> list[str]:
    """The SHA-256 of each file, in hex, or its MD5, where that is what is published.

    Args:
        folder: names the file in the cache; the files usually lie in it.
        files: what to hash.
        algorithm: as `hashlib` calls it.

    Raises:
        UserError: a file cannot be read.
    """
    where = hashlib.sha256(f"{folder.absolute()}:{algorithm}".encode()).hexdigest()[:16]
    cache = user_cache() / "hashes" / f"{where}.json"
    known = read_states(cache)
    kept: dict[str, State] = {}
    hashes = []
    now = time.time_ns()
    for file in progress(files, f"hashing {folder.name}"):
        name = str(file.absolute())
        try:
            state = state_of(file)
            if known.get(name, [])[:-1] == state:
                kept[name] = known[name]
            else:
                with file.open("rb") as opened:
                    digest = hashlib.file_digest(opened, algorithm).hexdigest()
                if now - file.stat().st_ctime_ns >= SETTLED_NS:
                    kept[name] = [*state, digest]
        except OSError as error:
            raise UserError(f"{file} cannot be read ({error.strerror})") from error
        hashes.append(digest if name not in kept else str(kept[name][-1]))
    if kept != known:
        write_states(cache, kept)
    return hashes


def state_of(file: Path) -> State:
    """What changes when a file's content does.

    Raises:
        OSError: it is not there.
    """
    status = file.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def read_states(cache: Path) -> dict[str, State]:
    """By file its state and a hash; nothing from a cache that is missing or damaged."""
    try:
        content = json.loads(cache.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(content, dict):
        return {}
    return {name: state for name, state in content.items() if isinstance(state, list) and len(state) == 5}


def write_states(cache: Path, content: dict[str, State]) -> None:
    """Keep them; where that is not possible, everything is hashed again the next time, and that is all."""
    with contextlib.suppress(OSError, UserError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        if os.access(cache.parent, os.W_OK):
            write_text(cache, json.dumps(content))
