"""One more test of a run by hand: `htbench evaluate`, of a finished cell or beside its training."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import data
from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.folder import CellFolder
from benchmark.cells.further import TestEntry, further_test, own_test
from benchmark.cells.further_standing import standing_of_test
from benchmark.cells.result import TestScore
from benchmark.data.configs import FolderConfig
from benchmark.errors import UserError
from benchmark.execution.further import keep, score
from benchmark.grid.tests import why_not
from benchmark.trained.run import config_of
from benchmark.trained.weights import Which, read_weights
from methods import registry

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    Attributes:
        test: which, with the step of its weights if they are not those of the cell's own test.
        step: after how many training steps the weights were.
        score: as recorded.
        accuracy: of each episode, (E,) float32.
        origin: "scored" just now; "recorded" before, with the same weights; "own", the cell's own test.
        note: how a recorded score differs from what would come of it today.
    """

    test: FurtherTest
    step: int
    score: TestScore
    accuracy: "np.ndarray"
    origin: str
    note: str = ""


def evaluate(store: CellFolder, entry: TestEntry, which: Which, device: str) -> Evaluation:
    """Score a run's weights on a test and keep the result beside the run's others; known ones are looked up.

    Raises:
        UserError: the run has no such weights, or cannot take the test; nothing is written then.
    """
    config = config_of(store)
    if config.tuning:
        raise UserError(f"{store.folder} is a trial of htbench tune, which never sees a test split")
    method = _method(store, config)
    weights = read_weights(store, which)
    test = _test(entry, config).model_copy(update={"step": None if weights.chosen else weights.step})
    if test.key == own_test(config).key:
        result = store.result()
        assert result is not None and result.test is not None
        return Evaluation(test, weights.step, result.test, store.test_accuracy(), "own")
    test = next((planned for planned in config.tests if planned.key == test.key), test)
    if refused := why_not(test, config, method):
        raise UserError(refused.partition("; leave it out")[0])
    known = standing_of_test(config, store, test)
    if known.state == "done" and known.record is not None and known.record.score is not None:
        accuracy = store.tests.accuracy(known.record)
        return Evaluation(test, weights.step, known.record.score, accuracy, "recorded", known.note)
    try:
        found = score(config, test, weights, device)
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{store.folder}: {config.method} cannot be tested so ({reason})") from error
    keep(store, found)
    assert found.record.score is not None and found.accuracy is not None
    return Evaluation(test, weights.step, found.record.score, found.accuracy, "scored")


def _test(entry: TestEntry, config: CellConfig) -> FurtherTest:
    content = data.fingerprint(entry.dataset) if isinstance(entry.dataset, FolderConfig) else None
    try:
        return further_test(entry, config, content)
    except ValueError as error:
        raise UserError(str(error)) from error


def _method(store: CellFolder, config: CellConfig) -> registry.Registered:
    try:
        for plugin in config.plugins:
            registry.load_plugin(Path(plugin))
        return registry.get(config.method)
    except (FileNotFoundError, registry.UnknownMethodError) as error:
        raise UserError(f"{store.folder} was trained with {config.method!r}, which is not here: {error}") from error
