"""How far the further tests of a cell are, seen from today."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.cells.arrays import DamagedError
from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.folder import BEST_CHECKPOINT, CellFolder
from benchmark.cells.identity import data_today
from benchmark.cells.result import Origin, Result, TestRecord
from benchmark.cells.source import built_in_sha256, plugin_sha256
from benchmark.data.configs import LakeOneshotConfig
from methods import registry

TestState = Literal["missing", "done", "failed", "damaged"]


@dataclass(frozen=True)
class TestStanding:
    """How far a further test is.

    Attributes:
        test: which.
        state: "missing" too while there are only scores of other weights than the cell's.
        note: why, in one line; for finished ones how they differ from today's.
        stale: whether `htbench run --stale` scores it again.
        record: of finished and failed ones.
    """

    __test__ = False  # not a pytest class

    test: FurtherTest
    state: TestState
    note: str = ""
    stale: bool = False
    record: TestRecord | None = None

    @property
    def label(self) -> str:
        """What tables call it."""
        after = "" if self.test.step is None else f" after {self.test.step:,} steps"
        return f"{self.test.name}{after}"


def standings_of_tests(config: CellConfig, store: CellFolder) -> list[TestStanding]:
    """The further tests that the cell should have, in their order, then others that somebody made of it."""
    planned = {test.key: test for test in config.tests}
    found = {key: standing_of_test(config, store, test) for key, test in planned.items()}
    for key in store.tests.recorded():
        if key not in found:
            try:
                record = store.tests.record(key)
            except DamagedError:  # nobody knows what it was a test of; asked for again, it is made anew
                continue
            if record is not None and record.cell == config.key:
                found[key] = standing_of_test(config, store, record.test)
    return list(found.values())


def standing_of_test(config: CellConfig, store: CellFolder, test: FurtherTest) -> TestStanding:
    """How far one of them is."""
    try:
        record = store.tests.record(test.key)
        if record is not None and record.score is not None:
            store.tests.accuracy(record)
        result = store.result()
    except DamagedError as error:
        return TestStanding(test, "damaged", str(error))
    if record is None or record.cell != config.key:
        gone = "" if store.best_checkpoint.exists() else "the cell's weights are not here to score it"
        return TestStanding(test, "missing", gone)
    if test.step is None and record.weights != _weights(result):
        return TestStanding(test, "missing", "scored with other weights than the cell's")
    if record.failure is not None:
        return TestStanding(test, "failed", f"{record.failure.kind}: {record.failure.reason}", record=record)
    notes = _differences(config, record)
    return TestStanding(test, "done", "; ".join(notes), bool(notes), record)


def origin_of_test(config: CellConfig, test: FurtherTest) -> Origin:
    """The code that a test would be scored with now; imports the cell's plugins."""
    for plugin in config.plugins:
        registry.load_plugin(Path(plugin))
    method = registry.get(config.method)
    return Origin(
        plugin=plugin_sha256(method.where.partition(":")[0]),
        code=built_in_sha256(method.where, tuple(name.replace("-", "_") for name in test.dataset.names)),
    )


def _weights(result: Result | None) -> str | None:
    return None if result is None else result.sha256.get(BEST_CHECKPOINT)


def _differences(config: CellConfig, record: TestRecord) -> list[str]:
    """How what it was made from differs from today's."""
    notes = []
    if registry.find(config.method) is not None and record.origin.code != origin_of_test(config, record.test).code:
        notes.append("with older code")
    dataset = record.test.dataset
    today = None if isinstance(dataset, LakeOneshotConfig) else data_today(dataset)
    if today is not None and record.data is not None and record.data.sha256 != today:
        notes.append("with other data")
    return notes
