"""What was loaded from which files, so that a dataset's content can be told again without loading it.

A memory holds while every file it was loaded from, and every folder between these and the folder of datasets, is as
it was (see `benchmark.data.files.hashes`): an archive that is exchanged, or another put beside it, ends it. Memories
are kept in the user's cache.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.data.files.hashes import SETTLED_NS, State, read_states, state_of, write_states
from benchmark.data.files.places import user_cache


@dataclass(frozen=True)
class Memory:
    """Of one configuration of a dataset under one folder of datasets."""

    config: str
    root: Path

    @property
    def _file(self) -> Path:
        name = hashlib.sha256(f"{self.config}:{self.root.absolute()}".encode()).hexdigest()[:16]
        return user_cache() / "loaded" / f"{name}.json"

    def keep(self, files: Sequence[Path], fingerprint: str, started: int) -> None:
        """Remember what these files held; nothing happens if the cache cannot be written.

        Args:
            files: what was loaded.
            fingerprint: of what they held.
            started: when loading began, as `time.time_ns` tells it. Of files that changed later, or shortly before,
                nobody can say which content was read: they are remembered the next time.
        """
        folders = {
            folder
            for inner in {file.parent for file in files}
            for folder in (inner, *inner.parents)
            if self.root in folder.parents
        }
        try:
            states = {str(path): [*state_of(path), fingerprint] for path in files}
            settled = started - max(int(state[2]) for state in states.values()) >= SETTLED_NS
            states |= {str(path): [*state_of(path), fingerprint] for path in sorted(folders)}
        except OSError:
            return
        if settled and states != read_states(self._file):
            write_states(self._file, states)

    def recall(self) -> tuple[Literal["unknown", "gone", "changed", "same"], str]:
        """How the files are now, and the fingerprint if they are the same."""
        states = read_states(self._file)
        if not states:
            return "unknown", ""
        found: Literal["changed", "same"] = "same"
        for name, (*state, _) in states.items():
            try:
                now: State = state_of(Path(name))
            except OSError:
                return "gone", ""
            found = found if now == state else "changed"
        return found, str(next(iter(states.values()))[-1])
