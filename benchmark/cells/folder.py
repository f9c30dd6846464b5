"""The run directory: the only place that knows its file names.

    runs/<experiment>/
      grid.yaml                   the grid as last run, resolved
      <method>-<width>ch-seed<seed>-<key>/   "ch" begins the name of the width option, `channels`
        cell.json                 the cell's configuration
        metrics.jsonl             one JSON object per line: {"step": 500, "train/loss": 0.7, ...}
        last.pt                   where to continue
        best.pt                   the method at its best validation accuracy
        member-500.pt             with test.ensemble, the method after 500 steps, if among the best on validation
        test_accuracy.npy         (episodes,) float32
        ensemble_accuracy.npy     (episodes,) float32, with test.ensemble only
        test_matrices.npy         (episodes, steps, tasks) float32, of task sequences only
        result.json               benchmark.cells.result.Result, written last
        log.txt                   what the cell's process printed
        lock                      held by the process that writes the cell

Files are written under a temporary name, flushed and renamed: whatever is there is whole.
"""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from benchmark.cells.config import CellConfig
from benchmark.cells.declared import size, size_axis
from benchmark.cells.metrics import MetricsLine, lines
from benchmark.cells.names import checked_name
from benchmark.cells.result import FORMAT, Result
from benchmark.errors import MachineError, UserError
from benchmark.machine.files import make_folder, remove_temporaries, write_text, write_whole

State = Literal["missing", "running", "interrupted", "done", "failed"]


@dataclass(frozen=True)
class Held:
    """A cell's folder held by this process."""

    folder: Path
    _path: Path
    _inode: int

    def check(self) -> None:
        """Make sure the folder is still the one that is held, and not deleted, or made anew by somebody else.

        Raises:
            MachineError: it is another one, or none.
        """
        try:
            same = self._path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            raise MachineError(f"{self.folder} was deleted or replaced while its cell ran; run again to start it anew")


@dataclass(frozen=True)
class CellFolder:
    """One cell's folder."""

    folder: Path

    @property
    def metrics_file(self) -> Path:
        """Metrics over training, one JSON object per line."""
        return self.folder / "metrics.jsonl"

    @property
    def last_checkpoint(self) -> Path:
        """The state training continues from."""
        return self.folder / "last.pt"

    @property
    def best_checkpoint(self) -> Path:
        """The weights chosen on validation."""
        return self.folder / "best.pt"

    def member_checkpoint(self, step: int) -> Path:
        """The weights after a step, kept for the ensemble."""
        return self.folder / f"member-{step}.pt"

    def drop_members_but(self, steps: Iterable[int]) -> None:
        """Delete the weights of all other steps that were kept for the ensemble."""
        kept = {self.member_checkpoint(step) for step in steps}
        for path in set(self.folder.glob("member-*.pt")) - kept:
            path.unlink()

    @property
    def log_file(self) -> Path:
        """Output of the cell's process."""
        return self.folder / "log.txt"

    def create(self, config: CellConfig) -> None:
        """Make the folder and write the configuration."""
        make_folder(self.folder)
        write_text(self.folder / "cell.json", config.model_dump_json(indent=1))

    def claim(self, config: CellConfig, *, again: bool) -> bool:
        """Make the cell ready for a process that runs it; False if it has a record by now.

        What was planned may be out of date: another launch may have finished the cell since. So its record is looked
        at under the lock; with `again`, that of a failed cell is deleted.

        Raises:
            UserError: another process is writing this cell.
        """
        make_folder(self.folder)
        with self.lock():
            result = self.result()
            if result is not None and (result.state == "done" or not again):
                return False
            self.create(config)
            self.forget_result()
        return True

    def config(self) -> CellConfig:
        """The cell's configuration."""
        return CellConfig.model_validate_json((self.folder / "cell.json").read_text())

    def state(self) -> State:
        """What has become of the cell."""
        if not (self.folder / "cell.json").exists():
            return "missing"
        if self.is_locked():
            return "running"
        result = self.result()
        if result is not None:
            return result.state
        return "interrupted" if self.last_checkpoint.exists() else "missing"

    def result(self) -> Result | None:
        """The record, or None while there is none.

        Raises:
            UserError: the record is damaged or was written by a newer htbench.
        """
        path = self.folder / "result.json"
        if not path.exists():
            return None
        try:
            record = json.loads(path.read_text())
            if record.get("format", 0) > FORMAT:
                raise UserError(
                    f"{path} was written by a newer htbench (format {record['format']}, this one reads {FORMAT});"
                    " upgrade"
                )
            return Result.model_validate(record)
        except (ValueError, ValidationError) as error:
            raise UserError(f"{path} is damaged ({error}); delete the folder to run the cell again") from error

    def write_result(
        self,
        result: Result,
        test_accuracy: np.ndarray | None = None,
        test_matrices: np.ndarray | None = None,
        ensemble_accuracy: np.ndarray | None = None,
    ) -> None:
        """Write the record, and before it the test accuracies per episode and matrices per task sequence."""
        if test_accuracy is not None:
            self._write_array("test_accuracy.npy", test_accuracy)
        if ensemble_accuracy is not None:
            self._write_array("ensemble_accuracy.npy", ensemble_accuracy)
        if test_matrices is not None:
            self._write_array("test_matrices.npy", test_matrices)
        write_text(self.folder / "result.json", result.model_dump_json(indent=1))

    def test_accuracy(self) -> np.ndarray:
        """Per-episode test accuracies, (episodes,) float32."""
        return self._read_array("test_accuracy.npy")

    def ensemble_accuracy(self) -> np.ndarray:
        """Per-episode test accuracies of the ensemble, (episodes,) float32."""
        return self._read_array("ensemble_accuracy.npy")

    def test_matrices(self) -> np.ndarray:
        """Accuracy matrices of task sequences, (episodes, steps, tasks) float32; see `benchmark.scoring.forgetting`."""
        return self._read_array("test_matrices.npy")

    def _write_array(self, name: str, values: np.ndarray) -> None:
        write_whole(self.folder / name, lambda file: np.save(file, values.astype(np.float32)))

    def _read_array(self, name: str) -> np.ndarray:
        values: np.ndarray = np.load(self.folder / name, allow_pickle=False)
        return values

    def metrics(self) -> list[MetricsLine]:
        """All lines in the order written; a torn one (a kill while writing) is left out."""
        if not self.metrics_file.exists():
            return []
        found = []
        for line in self.metrics_file.read_text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(MetricsLine.from_json(line))
        return found

    def write_metrics(self, metrics: Iterable[MetricsLine]) -> None:
        """Write all lines anew."""
        write_text(self.metrics_file, lines(metrics))

    def drop_metrics_after(self, step: int) -> None:
        """Forget what was logged after the checkpoint that training continues from; it will be logged again.

        Torn lines go too, and of several with one step all but the last, which the checkpoint comes after.
        """
        kept = {line.step: line for line in self.metrics() if line.step <= step}
        self.write_metrics([kept[step] for step in sorted(kept)])

    def forget_result(self) -> None:
        """Delete a failed cell's record so that it is tried again."""
        (self.folder / "result.json").unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator["Held"]:
        """Hold the cell; the operating system releases it when the process ends, however it ends.

        What a killed writer left half written is deleted.

        Raises:
            MachineError: the folder is not there or cannot be written to.
            UserError: another process is writing this cell.
        """
        path = self.folder / "lock"
        try:
            opened = path.open("a")
        except OSError as error:
            raise MachineError(f"cannot open {path}: {error.strerror}") from error
        with opened as file:
            deadline = time.monotonic() + 1.0  # somebody asking `is_locked` holds it for an instant
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError as error:
                    if time.monotonic() > deadline:
                        raise UserError(
                            f"{self.folder} is being written by another run; wait for it or choose another --runs"
                        ) from error
                    time.sleep(0.05)
            held = Held(self.folder, path, os.fstat(file.fileno()).st_ino)
            held.check()
            remove_temporaries(self.folder)
            yield held

    def is_locked(self) -> bool:
        """Whether some process is writing this cell."""
        path = self.folder / "lock"
        if not path.exists():
            return False
        try:
            opened = path.open("r")
        except FileNotFoundError:  # deleted in this very moment
            return False
        with opened as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False


@dataclass(frozen=True)
class ExperimentFolder:
    """The folder of one experiment: `runs/<name>`."""

    folder: Path

    def cell(self, config: CellConfig) -> CellFolder:
        """The folder of a cell, whether it exists or not."""
        width = size(config)
        text = "" if width is None else f"-{width}{size_axis(config.method)[:2]}"
        return CellFolder(self.folder / f"{checked_name(config.method)}{text}-seed{config.seed}-{config.key}")

    def cells(self) -> list[CellFolder]:
        """All cells that were ever started, sorted by folder name."""
        return [CellFolder(path.parent) for path in sorted(self.folder.glob("*/cell.json"))]

    def write_grid(self, text: str) -> None:
        """Keep the grid as last run."""
        write_text(self.folder / "grid.yaml", text)
