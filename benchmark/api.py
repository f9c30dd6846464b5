"""htbench from Python: read a grid, run it, load what came of it into a pandas frame. See docs/python.md."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.reporting.record import CellRecord, Record, collect

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from benchmark.grid import Grid

__all__ = ["Grid", "Results", "UserError", "load_results", "read_grid", "run"]


def __getattr__(name: str) -> Any:
    """`Grid`, whose module knows all methods and so takes longer to import than results take to load."""
    if name == "Grid":
        from benchmark.grid import Grid

        return Grid
    raise AttributeError(f"module 'benchmark.api' has no attribute {name!r}")


def read_grid(path: str | Path) -> "Grid":
    """Read and resolve a grid file; importing its plugins registers the user's methods.

    Raises:
        UserError: everything that is wrong with the file, one `file:line: message` per line.
    """
    from benchmark.grid import read_grid as read

    return read(Path(path))


@dataclass(frozen=True)
class Results:
    """What has come of the cells of a grid, whichever of them are done.

    Attributes:
        record: all that is known of every planned cell.
    """

    record: Record

    @property
    def name(self) -> str:
        """Of the grid."""
        return self.record.name

    def accuracy(self, key: str) -> "NDArray[np.float32]":
        """Test accuracy of every episode of a finished cell, (episodes,) float32 in [0, 1].

        Episode i is the same task for all cells with the same `test_sha256`, so differences may be taken in pairs.

        Raises:
            KeyError: no cell of that key is done.
        """
        return self.record.accuracy[key]

    def to_frame(self, *, episodes: bool = False) -> "pd.DataFrame":
        """One row per planned cell, in the order of the grid, or, with `episodes`, one per test episode of those done.

        Columns are `method`, `seed` and the grid's other axes by their names (`channels`, `train.learning_rate`), then
        `dataset`, `ways`, `shots`, `state`, what was measured (accuracies are fractions in [0, 1], times are seconds),
        `note` with the reason where there is no result, `test_sha256` and `key`. With `episodes` the columns are
        `method`, `seed`, the axes, `episode`, `accuracy`, `test_sha256` and `key`.

        Raises:
            UserError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise UserError("a frame needs pandas, which is not installed; pip install 'htbench[report]'") from error
        if not episodes:
            return pd.DataFrame([{**self._place(cell), **_facts(cell)} for cell in self.record.cells])
        parts = []
        for cell in self.record.cells:
            if cell.key in self.record.accuracy:
                scores = self.accuracy(cell.key)
                told = {"episode": range(len(scores)), "accuracy": scores}
                parts.append(pd.DataFrame({**self._place(cell), **told, **_identity(cell)}))
        columns = [*self._place(None), "episode", "accuracy", *_identity(None)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)

    def _place(self, cell: CellRecord | None) -> dict[str, Any]:
        """A cell's method, seed and values on the other axes; a value that is a list is shown as text."""
        place: dict[str, Any] = {"method": cell and cell.config.method, "seed": cell and cell.config.seed}
        for axis in self.record.axes:
            value = cell.axes.get(axis) if cell else None
            place[axis.removeprefix("model.")] = str(value) if isinstance(value, list | tuple | dict) else value
        return place


def load_results(source: "str | Path | Grid", runs: str | Path = "runs") -> Results:
    """What has come of a grid so far.

    Args:
        source: a folder that `htbench report` wrote, such as `results/omniglot-table1`, or a grid or its file.
        runs: of a grid, the folder of run directories.

    Raises:
        UserError: there is no such folder or file, or what it holds is damaged.
    """
    if isinstance(source, str | Path):
        if Path(source).is_dir():
            return Results(Record.load(Path(source)))
        source = read_grid(source)
    experiment = ExperimentFolder(Path(runs) / source.name)
    return Results(collect(replace(source, cells=experiment.recalled(source.cells)), experiment))


def run(
    grid: "str | Path | Grid",
    *,
    runs: str | Path = "runs",
    only: Sequence[str] = (),
    workers: int = 0,
    device: str = "auto",
    retry_failed: bool = False,
    mlflow: str | bool = False,
    progress: bool = True,
) -> Results:
    """Run every cell of a grid that has no result yet, each in its own process, as `htbench run` does.

    Interrupting it, or Python, stops the processes; the same call, or `htbench run`, goes on where it stopped.

    Args:
        grid: a grid or its file.
        runs: the folder of run directories.
        only: only cells like this: `["method=ht-all", "channels=8,16"]`.
        workers: cells at a time; 0 is one per core, or one on a GPU.
        device: "cpu", "cuda", or "auto": a GPU if there is one.
        retry_failed: run failed and damaged cells again.
        mlflow: a tracking URI to mirror the run to, or True for the default one.
        progress: whether to print how far it is.

    Returns:
        What has come of all cells of the grid. A cell that failed is a row with its reason, and no error.

    Raises:
        UserError: something is wrong with the grid, or another run is writing its cells.
    """
    from contextlib import nullcontext

    from benchmark.execution.display import RunDisplay
    from benchmark.execution.launch import ready_cells
    from benchmark.execution.local import execute
    from benchmark.execution.plan import make_plan
    from benchmark.grid import select
    from benchmark.machine.device import resolve_device, resolve_workers
    from benchmark.machine.terminal import Terminal

    read = read_grid(grid) if isinstance(grid, str | Path) else grid
    experiment = ExperimentFolder(Path(runs) / read.name)
    read = replace(read, cells=experiment.recalled(read.cells))
    device = resolve_device(device)
    chosen = select(read.cells, only) if only else read.cells
    to_train, to_test = ready_cells(make_plan(chosen, experiment), retry_failed=retry_failed)
    todo = [cell.store for cell in [*to_train, *(cell for cell, _ in to_test)]]
    if todo:
        experiment.write_grid(read.text)
        mirroring: Any = nullcontext()
        if mlflow:
            from benchmark.tracking import open_mirror

            mirroring = open_mirror(None if mlflow is True else str(mlflow), read, experiment)
        with mirroring as mirror:
            events = execute(todo, workers=resolve_workers(workers, device), device=device)
            try:
                for event in RunDisplay(Terminal(quiet=not progress, soft_wrap=True), todo).follow(events):
                    if mirror is not None:
                        mirror.follow(event)
            finally:
                events.close()
    return load_results(read, runs)


def _identity(cell: CellRecord | None) -> dict[str, Any]:
    test = cell.result.test if cell and cell.result else None
    return {"test_sha256": test and test.sha256, "key": cell and cell.key}


def _facts(cell: CellRecord) -> dict[str, Any]:
    config, result = cell.config, cell.result
    test, training, model = (result.test, result.training, result.model) if result else (None, None, None)
    failure = result.failure if result else None
    shape = config.test_episodes
    return {
        "dataset": config.data_name,
        "ways": shape.ways,
        "shots": shape.shots,
        "state": cell.state,
        "accuracy": test and test.accuracy,
        "episodes": test and test.episodes,
        "ensemble_accuracy": result.ensemble.accuracy if result and result.ensemble else None,
        "validation_accuracy": training and training.best_validation_accuracy,
        "best_step": training and training.best_step,
        "steps": training and training.steps,
        "train_seconds": training and training.seconds,
        "episodes_per_second": training and training.episodes_per_second,
        "seconds_per_task": test and test.seconds_per_task,
        "parameters": model and model.parameters,
        "solver_parameters": model and model.solver_parameters,
        "transductive": model and model.transductive,
        "device": result.provenance.device if result and result.provenance else None,
        "note": failure.reason if failure else cell.note,
        **_identity(cell),
    }
