"""The record a finished or failed cell leaves behind, typed; `benchmark.cells.folder` reads and writes it."""

from typing import Any, Literal

from pydantic import Field

from benchmark.cells.config import FurtherTest
from benchmark.machine.frozen import Frozen, Grown

FORMAT = 1
"""Version of the record; a newer one is refused."""


class DomainScore(Frozen):
    """Accuracy on those of the episodes that are of one domain (`benchmark.data.domain`)."""

    name: str
    accuracy: float = Field(ge=0, le=1)
    episodes: int = Field(ge=1)


class TestScore(Grown):
    """Accuracy on the frozen test episodes; per-episode values are in the cell's `test_accuracy.npy`.

    Of a task sequence it is the mean over its tasks after the last one, at the length of training.
    `sha256` identifies the episodes: only results with equal hashes may be compared in pairs.
    `seconds_per_task` is what adapting to a task and classifying its queries took, see
    `benchmark.scoring.scoring.Scored`: a measurement, different in every run; None where it was not taken.
    `domains` are those that have episodes, in the order in which the cell's `test_domains.npy` counts them.
    """

    __test__ = False  # not a pytest class

    accuracy: float = Field(ge=0, le=1)
    episodes: int = Field(ge=1)
    sha256: str
    seconds_per_task: float | None = None
    domains: tuple[DomainScore, ...] = ()

    left_out = frozenset({"domains"})


class EnsembleScore(TestScore):
    """As `TestScore`, of the checkpoints after these `steps` as one method; values in `ensemble_accuracy.npy`."""

    steps: tuple[int, ...]


class Continual(Frozen):
    """What came of following sequences: values after each step, of the mean over the matrices in `test_matrices.npy`.

    Steps beyond the training length are included, as `sha256` is of the sequences followed that far. See
    `benchmark.scoring.forgetting` for definitions. `carried` is how many numbers the learner keeps from task to task.
    """

    average_accuracy: tuple[float, ...]
    forgetting: tuple[float, ...]
    backward_transfer: tuple[float, ...]
    carried: tuple[int, ...]
    sha256: str


class Restored(Frozen):
    """What training started from: the key of the run of `train.shared_from`, SHA-256 of the weights taken from it."""

    run: str
    sha256: str


class Training(Frozen):
    """What training cost. `seconds` as in `TrainConfig.minutes`; `wall_seconds` includes validation."""

    steps: int
    episodes: int
    seconds: float
    wall_seconds: float
    episodes_per_second: float
    best_step: int
    best_validation_accuracy: float
    shared_from: Restored | None = None


class Model(Frozen):
    """Facts about the trained method.

    `parameters` are trained numbers, `solver_parameters` those in the network that classifies one task's queries.
    `transductive` is measured: whether a query's prediction changes when the other queries are dropped.
    So is `order_dependent`: whether it changes with the places of queries or of unlabelled images; None in records from
    before it was measured.
    """

    parameters: int
    solver_parameters: int
    transductive: bool
    order_dependent: bool | None = None


class Data(Grown):
    """Which data: `sha256` of the images and class names, and how many pictures are in more than one split.

    `shared_pictures` is left out where there are none: published datasets have some, others a user may have accepted.
    """

    name: str
    sha256: str
    shared_pictures: int = Field(0, ge=0)

    left_out = frozenset({"shared_pictures"})


class Provenance(Frozen):
    """Where and when: enough to find the code and the machine again."""

    commit: str | None
    uncommitted_changes: bool | None
    versions: dict[str, str]
    hardware: dict[str, Any]
    device: str
    started: str
    finished: str


class Origin(Frozen):
    """What a result was made from, besides its configuration; None, or left out, is what was not recorded.

    `options` are all options of the method, defaults included; `plugin` and `code` are SHA-256 of the source of the
    method, if it is a user's, and of the built-in code that its numbers depend on: see `benchmark.cells.source`.
    """

    options: dict[str, Any] = Field({})
    plugin: str | None = None
    code: str | None = None


class Failure(Frozen):
    """Why a cell has no numbers: `kind`, one line of `reason`, and the traceback if there is one."""

    kind: Literal["crashed", "diverged", "timed out", "bad input", "unsound"]
    reason: str
    traceback: str = ""


class Result(Frozen):
    """A cell's record: `config` is the full resolved configuration; either `failure` or the numbers are set.

    A trial of `htbench tune` has no `test`. `sha256` is of the files that belong to the numbers, by name: arrays of
    scores and checkpoints; see `benchmark.cells.arrays`.
    """

    format: int = FORMAT
    key: str
    config: dict[str, Any]
    failure: Failure | None = None
    test: TestScore | None = None
    ensemble: EnsembleScore | None = None
    continual: Continual | None = None
    training: Training | None = None
    model: Model | None = None
    data: Data | None = None
    provenance: Provenance | None = None
    origin: Origin = Origin()
    sha256: dict[str, str] = Field({})

    @property
    def state(self) -> Literal["done", "failed"]:
        """Whether the cell finished with numbers."""
        return "failed" if self.failure else "done"


class TestRecord(Frozen):
    """The record of a further test; either `failure` or `score` is set.

    Attributes:
        key: of the test.
        cell: key of the cell whose method was tested.
        test: the test.
        weights: SHA-256 of the file with the weights that were tested, and after how many steps they were.
        score: as of the cell's own test; its values are in the file named after the key.
        solver_parameters: numbers in the network that classifies the queries of one of its tasks.
        sha256: of that file.
        data: what it was tested on.
        origin: the code it was tested with; the options are the cell's.
    """

    __test__ = False  # not a pytest class

    format: int = FORMAT
    key: str
    cell: str
    test: FurtherTest
    weights: str
    step: int
    failure: Failure | None = None
    score: TestScore | None = None
    solver_parameters: int | None = None
    sha256: str | None = None
    data: Data | None = None
    provenance: Provenance | None = None
    origin: Origin = Origin()
