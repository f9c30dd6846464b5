"""The run directory: the only place that knows its file names.

    runs/<experiment>/
      grid.yaml                   the grid as last run, resolved
      <method>-<width>ch-seed<seed>-<key>/   "ch" begins the name of the width option, `channels`
        cell.json                 the cell's configuration
        origin.json               benchmark.cells.result.Origin: what training started from
        metrics.jsonl             one JSON object per line: {"step": 500, "train/loss": 0.7, ...}
        last.pt                   where to continue
        best.pt                   the method at its best validation accuracy
        member-500.pt             with test.ensemble, the method after 500 steps, if among the best on validation
        test_accuracy.npy         (episodes,) float32
        test_domains.npy          (episodes,) uint16, places in `test.domains` of the record, where tasks have domains
        ensemble_accuracy.npy     (episodes,) float32, with test.ensemble only
        test_matrices.npy         (episodes, steps, tasks) float32, of task sequences only
        result.json               benchmark.cells.result.Result, written last
        tests/<key>.json          benchmark.cells.result.TestRecord of a further test, written after its scores
        tests/<key>.npy           (episodes,) float32
        tests/lock                held by the process that writes these: an evaluation beside training, or the cell's
        log.txt                   what the cell's process printed
        progress                  benchmark.cells.now.Now: how far the process that writes the cell is
        lock                      held by the process that writes the cell
      superseded/<cell>-1/        an older result of the cell, kept when it was trained again

Files are written under a temporary name, flushed and renamed: whatever is there is whole.
"""

import contextlib
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from benchmark.cells import arrays
from benchmark.cells.arrays import DamagedError, brief, check_sha256, file_sha256, npy_bytes, read_npy
from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.declared import size, size_axis
from benchmark.cells.lock import Held, held, is_held
from benchmark.cells.metrics import MetricsLine, lines
from benchmark.cells.metrics_file import read_metrics
from benchmark.cells.names import checked_name
from benchmark.cells.records import read_record
from benchmark.cells.result import Origin, Result
from benchmark.cells.superseded import moved_aside
from benchmark.cells.tests_folder import TestsFolder
from benchmark.data.configs import FolderConfig
from benchmark.machine.files import make_folder, parse_json, write_text, write_whole

BEST_CHECKPOINT = "best.pt"
TEST_ACCURACY, ENSEMBLE_ACCURACY, TEST_MATRICES = "test_accuracy.npy", "ensemble_accuracy.npy", "test_matrices.npy"
TEST_DOMAINS = "test_domains.npy"

State = Literal["missing", "running", "interrupted", "done", "failed", "damaged", "outdated"]
"""What has become of a cell. "damaged": its record or its scores cannot be trusted, see `CellFolder.damage`;
"outdated", as seen from today only: made from something else, see `benchmark.cells.identity`."""


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
        return self.folder / BEST_CHECKPOINT

    def member_checkpoint(self, step: int) -> Path:
        """The weights after a step, kept for the ensemble."""
        return self.folder / f"member-{step}.pt"

    def drop_members_but(self, steps: Iterable[int]) -> None:
        """Delete the weights of all other steps that were kept for the ensemble."""
        kept = {self.member_checkpoint(step) for step in steps}
        for path in set(self.folder.glob("member-*.pt")) - kept:
            path.unlink()

    @property
    def tests(self) -> TestsFolder:
        """Where its further tests are."""
        return TestsFolder(self.folder / "tests")

    @property
    def member_steps(self) -> list[int]:
        """After how many steps there are weights for the ensemble."""
        return sorted(int(path.stem.partition("-")[2]) for path in self.folder.glob("member-*.pt"))

    @property
    def log_file(self) -> Path:
        """Output of the cell's process."""
        return self.folder / "log.txt"

    def create(self, config: CellConfig) -> None:
        """Make the folder and write the configuration."""
        make_folder(self.folder)
        write_text(self.folder / "cell.json", config.model_dump_json(indent=1))

    def record(self) -> bytes | None:
        """The record's bytes, whatever they are; None while there is none."""
        try:
            return (self.folder / "result.json").read_bytes()
        except OSError:
            return None

    def claim(self, config: CellConfig, *, planned: bytes | None) -> bool:
        """Make the cell ready for a process that runs it; False if it has another record than when that was planned.

        What was planned may be out of date: another launch may have finished the cell since. So its record is looked
        at again under the lock, and the one that was `planned` to be replaced is deleted.

        Raises:
            UserError: another process is writing this cell.
        """
        make_folder(self.folder)
        with self.lock():
            if self.record() != planned:
                return False
            self.create(config)
            self.forget_result()
        return True

    def config(self) -> CellConfig:
        """The cell's configuration.

        Raises:
            FileNotFoundError: there is none.
            DamagedError: it is damaged or of another version.
        """
        path = self.folder / "cell.json"
        try:
            return CellConfig.model_validate(parse_json(path.read_bytes()))
        except (ValueError, ValidationError, IsADirectoryError, PermissionError) as error:
            raise DamagedError(f"{path} is damaged or of another version ({brief(error)})") from error

    def plan_tests(self, tests: tuple[FurtherTest, ...]) -> None:
        """Let a finished cell have these further tests, to be scored by a process that runs it.

        Raises:
            UserError: another process is writing this cell.
        """
        with self.lock():
            config = self.config().model_copy(update={"tests": tests})
            write_text(self.folder / "cell.json", config.model_dump_json(indent=1))

    def write_origin(self, origin: Origin) -> None:
        """Keep what training starts from, for its record."""
        write_text(self.folder / "origin.json", origin.model_dump_json(indent=1))

    def origin(self) -> Origin:
        """What training started from; says nothing where nothing is kept.

        Raises:
            DamagedError: it is damaged.
        """
        return read_record(self.folder / "origin.json", Origin) or Origin()

    def set_aside(self, *, planned: bytes | None) -> Path | None:
        """Move the folder out of the way, into `superseded/` beside it, and return where it is now.

        None if it has another record than when that was planned: see `claim`.

        Raises:
            UserError: another process is writing this cell, or it cannot be moved.
        """
        with self.lock(), self.tests.lock_if_any():
            return moved_aside(self.folder) if self.record() == planned else None

    def state(self) -> State:
        """What has become of the cell."""
        if not (self.folder / "cell.json").exists():
            return "missing"
        if self.is_locked():
            return "running"
        if self.damage():
            return "damaged"
        result = self.result()
        if result is not None:
            return result.state
        return "interrupted" if self.last_checkpoint.exists() else "missing"

    def damage(self) -> str:
        """Why the cell's files cannot be trusted, in one line; empty if nothing is wrong with them.

        Looks at everything but checkpoints, which are checked when they are used.
        """
        try:
            self.config()
            self.origin()
            result = self.result()
            if result is not None and result.test is not None:
                self.test_accuracy()
                self.test_domains()
            if result is not None and result.ensemble is not None:
                self.ensemble_accuracy()
            if result is not None and result.continual is not None:
                self.test_matrices()
            self.metrics()
        except DamagedError as error:
            return str(error)
        return ""

    def result(self) -> Result | None:
        """The record, or None while there is none.

        Raises:
            DamagedError: the record is damaged, not of this cell, or was written by a newer htbench.
        """
        path = self.folder / "result.json"
        result = read_record(path, Result)
        if result is None:
            return None
        if result.failure is None and result.test is None and result.training is None:
            raise DamagedError(f"{path} is damaged (it has neither numbers nor a failure)")
        return result

    def write_result(
        self,
        result: Result,
        test_accuracy: np.ndarray | None = None,
        test_matrices: np.ndarray | None = None,
        ensemble_accuracy: np.ndarray | None = None,
        test_domains: np.ndarray | None = None,
    ) -> None:
        """Write the record, and before it test accuracies and domains per episode, and matrices per task sequence.

        The record gets the SHA-256 of these arrays and of the checkpoints that are there. An adopted one keeps those of
        checkpoints that stayed elsewhere.
        """
        given = {TEST_ACCURACY: test_accuracy, ENSEMBLE_ACCURACY: ensemble_accuracy, TEST_MATRICES: test_matrices}
        for name, values in given.items():
            if values is not None:
                self._write_array(name, values)
        if test_domains is not None:
            self._write_array(TEST_DOMAINS, test_domains, np.uint16)
        if result.failure is None:
            kept = sorted([*self.folder.glob("*.npy"), self.best_checkpoint, *self.folder.glob("member-*.pt")])
            hashes = {path.name: file_sha256(path) for path in kept if path.exists()}
            result = result.model_copy(update={"sha256": result.sha256 | hashes})
        write_text(self.folder / "result.json", result.model_dump_json(indent=1))

    def test_accuracy(self) -> NDArray[np.float32]:
        """Per-episode test accuracies, (episodes,) float32.

        Raises:
            DamagedError: they are not those of the record.
        """
        result = self._finished()
        assert result.test is not None
        return arrays.check_accuracy(self._read_array(TEST_ACCURACY, result), result.test, self._name(TEST_ACCURACY))

    def test_domains(self) -> NDArray[np.uint16] | None:
        """The domain of each test episode, (episodes,) places in the record's `test.domains`; raises as above."""
        result = self._finished()
        if result.test is None or not result.test.domains:
            return None
        values = read_npy(self.folder / TEST_DOMAINS, result.sha256.get(TEST_DOMAINS), np.uint16)
        return arrays.check_domains(values, self.test_accuracy(), result.test, self._name(TEST_DOMAINS))

    def ensemble_accuracy(self) -> NDArray[np.float32]:
        """Per-episode test accuracies of the ensemble, (episodes,) float32; raises as `test_accuracy`."""
        result = self._finished()
        assert result.ensemble is not None
        values = self._read_array(ENSEMBLE_ACCURACY, result)
        return arrays.check_accuracy(values, result.ensemble, self._name(ENSEMBLE_ACCURACY))

    def test_matrices(self) -> NDArray[np.float32]:
        """Accuracy matrices (episodes, steps, tasks) of task sequences, see `benchmark.scoring.forgetting`; checked."""
        result = self._finished()
        assert result.test is not None
        return arrays.check_matrices(
            self._read_array(TEST_MATRICES, result), result.test.episodes, self._name(TEST_MATRICES)
        )

    def check_checkpoint(self, path: Path) -> None:
        """Refuse a checkpoint of a finished cell that is not the one it was tested with.

        Raises:
            DamagedError: another file than the record's.
        """
        result = self.result()
        if result is not None and path.name in result.sha256:
            check_sha256(path, file_sha256(path), result.sha256[path.name])

    def _finished(self) -> Result:
        result = self.result()
        if result is None:
            raise DamagedError(f"{self.folder} has no record")
        return result

    def _name(self, file: str) -> str:
        return str(self.folder / file)

    def _write_array(self, name: str, values: np.ndarray, dtype: type = np.float32) -> None:
        write_whole(self.folder / name, lambda file: file.write(npy_bytes(values, dtype)))

    def _read_array(self, name: str, result: Result) -> NDArray[np.float32]:
        return read_npy(self.folder / name, result.sha256.get(name))

    def metrics(self) -> list[MetricsLine]:
        """All lines in the order written; a torn one at the end (a kill while writing) is left out.

        Raises:
            DamagedError: some other line is none of metrics.
        """
        return read_metrics(self.metrics_file)

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

    def lock(self) -> AbstractContextManager[Held]:
        """Hold the cell, see `benchmark.cells.lock.held`."""
        return held(self.folder)

    def is_locked(self) -> bool:
        """Whether some process is writing this cell."""
        return is_held(self.folder)


@dataclass(frozen=True)
class ExperimentFolder:
    """The folder of one experiment: `runs/<name>`."""

    folder: Path

    def cell(self, config: CellConfig) -> CellFolder:
        """The folder of a cell, whether it exists or not."""
        width = size(config)
        text = "" if width is None else f"-{width}{size_axis(config.method)[:2]}"
        return CellFolder(self.folder / f"{checked_name(config.method)}{text}-seed{config.seed}-{config.key}")

    def recalled(self, configs: Iterable[CellConfig]) -> tuple[CellConfig, ...]:
        """The cells; those whose pictures are not here now, so that their content is unknown, as they were last run."""
        configs = tuple(configs)
        if not any(isinstance(config.dataset, FolderConfig) and config.content is None for config in configs):
            return configs
        known: dict[str, str | None] = {}
        for cell in sorted(self.cells(), key=lambda cell: (cell.folder / "cell.json").stat().st_mtime):
            with contextlib.suppress(DamagedError):
                config = cell.config()
                known[config.model_copy(update={"content": None}).key] = config.content
        return tuple(
            config.model_copy(update={"content": config.content or known.get(config.key)}) for config in configs
        )

    def cells(self) -> list[CellFolder]:
        """All cells that were ever started, sorted by folder name."""
        return [CellFolder(path.parent) for path in sorted(self.folder.glob("*/cell.json"))]

    def write_grid(self, text: str) -> None:
        """Keep the grid as last run."""
        write_text(self.folder / "grid.yaml", text)
