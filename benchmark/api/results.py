"""What has come of a grid, as a pandas frame. See docs/python.md."""

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
        from benchmark.grid import read_grid  # knows all methods: finished reports are read sooner without

        source = read_grid(Path(source))
    experiment = ExperimentFolder(Path(runs) / source.name)
    return Results(collect(replace(source, cells=experiment.recalled(source.cells)), experiment))


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
