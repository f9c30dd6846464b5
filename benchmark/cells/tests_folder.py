"""The further tests of a cell: a record and an array for each, in the folder `tests` of the cell's.

They have a lock of their own, so that an evaluation can write there while the cell is being trained.
"""

import contextlib
import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.cells.arrays import DamagedError, check_accuracy, npy_bytes, read_npy
from benchmark.cells.lock import LOCK, Held, held
from benchmark.cells.records import read_record
from benchmark.cells.result import TestRecord
from benchmark.machine.files import make_folder, write_text, write_whole


@dataclass(frozen=True)
class TestsFolder:
    """The folder, which need not exist."""

    __test__ = False  # not a pytest class

    folder: Path

    def recorded(self) -> list[str]:
        """Of the tests that have a record, sorted."""
        return sorted(path.stem for path in self.folder.glob("*.json"))

    def record(self, key: str) -> TestRecord | None:
        """The record of a test, None if there is none; `accuracy` checks its array.

        Raises:
            DamagedError: it cannot be trusted, or was written by a newer htbench.
        """
        path = self.folder / f"{key}.json"
        record = read_record(path, TestRecord)
        if record is None:
            return None
        if record.key != key or record.test.key != key:
            raise DamagedError(f"{path} is the record of another test, {record.test.key}")
        if (record.failure is None) == (record.score is None):
            raise DamagedError(f"{path} is damaged (it should have either a score or a failure)")
        return record

    def accuracy(self, record: TestRecord) -> NDArray[np.float32]:
        """Per-episode accuracies (episodes,) of a test that has a score.

        Raises:
            DamagedError: they are not those of the record.
        """
        assert record.score is not None
        path = self.folder / f"{record.key}.npy"
        return check_accuracy(read_npy(path, record.sha256), record.score, str(path))

    def write(self, record: TestRecord, accuracy: np.ndarray | None = None) -> None:
        """Write the accuracies, then the record, which gets their SHA-256."""
        make_folder(self.folder)
        if accuracy is not None:
            content = npy_bytes(accuracy)
            write_whole(self.folder / f"{record.key}.npy", lambda file: file.write(content))
            record = record.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
        write_text(self.folder / f"{record.key}.json", record.model_dump_json(indent=1))

    def forget(self, key: str) -> None:
        """Delete a test's record, so that it is scored again."""
        (self.folder / f"{key}.json").unlink(missing_ok=True)

    def lock(self) -> AbstractContextManager[Held]:
        """Hold the folder, see `benchmark.cells.lock.held`; it is made if need be."""
        make_folder(self.folder)
        return held(self.folder)

    def lock_if_any(self) -> AbstractContextManager[Held | None]:
        """Hold the folder if it is there."""
        return self.lock() if (self.folder / LOCK).exists() else contextlib.nullcontext()
