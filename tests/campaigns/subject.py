"""The small real run that everything is done to, and whether a cell tells the truth about it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.errors import UserError
from benchmark.grid import read_grid
from benchmark.reporting import write_report
from tests.benchmark.helpers import untimed, write_grid
from tests.campaigns import forked
from tests.campaigns.tally import Outcome, Tally

CHANGES = {
    "train": {"batch": 4, "steps": 12, "validate_every": 3, "validation_episodes": 10},
    "test": {"episodes": 20, "ensemble": 2},
    "model": {"dropout": 0.3},
    "grid": {"method": ["linear-mean"], "seed": [0, 1]},
}


@dataclass(frozen=True)
class Subject:
    """A grid in a folder, and its cells as they are when nothing goes wrong."""

    folder: Path
    grid: Path
    configs: tuple[CellConfig, ...]
    whole: ExperimentFolder

    @classmethod
    def make(cls, folder: Path) -> "Subject":
        """Run it undisturbed."""
        forked.fresh(folder)
        grid = write_grid(folder, **CHANGES)
        configs = read_grid(grid).cells
        whole = ExperimentFolder(folder / "runs" / "small")
        for config in configs:
            store = whole.cell(config)
            store.claim(config, planned=None)
            ended = forked.cell(store.folder, folder / "log")
            assert ended.status == 0, ended.output
        # Here, and not in a fork: what a report needs is then loaded in all of them.
        write_report(read_grid(grid), whole, folder / "warm")
        return cls(folder, grid, configs, whole)

    @property
    def accuracy(self) -> dict[str, float]:
        """The true test accuracies by key."""
        results = {config.key: self.whole.cell(config).result() for config in self.configs}
        return {key: result.test.accuracy for key, result in results.items() if result and result.test}

    def empty(self, runs: Path, index: int = 0) -> CellFolder:
        """A cell that is yet to be run, in a run directory of its own."""
        store = ExperimentFolder(forked.fresh(runs) / "small").cell(self.configs[index])
        store.claim(self.configs[index], planned=None)
        return store

    def copy(self, runs: Path) -> ExperimentFolder:
        """The finished run, copied."""
        shutil.rmtree(runs, ignore_errors=True)
        shutil.copytree(self.whole.folder, runs / "small")
        return ExperimentFolder(runs / "small")

    def judge(self, store: CellFolder, *, finished: bool) -> tuple[Outcome, str]:
        """Whether what a cell shows is true; with `finished`, whether it is all there, to the last line of metrics."""
        index = next(
            i for i, config in enumerate(self.configs) if self.whole.cell(config).folder.name == store.folder.name
        )
        true = self.whole.cell(self.configs[index])
        try:
            state, result = store.state(), store.result()
        except UserError as error:
            return ("lost" if finished else "refused"), str(error)
        if state != "done" or result is None:
            return ("lost" if finished else "right"), f"{state}: {result.failure if result else None}"
        expected = true.result()
        assert result.test and expected and expected.test
        same = result.test.accuracy == expected.test.accuracy and np.array_equal(
            store.test_accuracy(), true.test_accuracy()
        )
        if not same or not np.array_equal(store.ensemble_accuracy(), true.ensemble_accuracy()):
            return "wrong number", f"{result.test.accuracy} for {expected.test.accuracy}"
        if [untimed(line) for line in store.metrics()] != [untimed(line) for line in true.metrics()]:
            return "wrong number", "other metrics over training"
        left = [path.name for path in store.folder.iterdir() if path.name.startswith(".")]
        return ("unclear", f"temporary files stay: {left}") if left and finished else ("right", "")

    def continued(self, store: CellFolder, tally: Tally, what: str) -> None:
        """Judge a disturbed cell as it stands, then run it to its end and judge it again; count the worse."""
        outcome, note = self.judge(store, finished=False)
        if outcome in ("right", "refused"):
            ended = forked.cell(store.folder, self.folder / "log")
            outcome, note = self.judge(store, finished=True)
            if outcome != "right":
                note += f"; status {ended.status}: {ended.output[-200:]}"
        tally.add(outcome, f"{what}: {note}")
