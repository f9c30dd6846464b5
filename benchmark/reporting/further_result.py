"""Further tests of a cell in a report's record, and what a record leaves out of what a machine says."""

import re

from benchmark.cells.config import FurtherTest
from benchmark.cells.further_standing import TestStanding, TestState
from benchmark.cells.result import Failure, TestRecord
from benchmark.machine.frozen import Frozen


class FurtherResult(Frozen):
    """A further test of a cell: planned by the grid, or made by `htbench evaluate`.

    `record` is of finished and failed ones; `note` says why there is no score, or how it differs from today's.
    """

    test: FurtherTest
    state: TestState
    record: TestRecord | None = None
    note: str = ""


def further_key(cell: str, test: FurtherTest) -> str:
    """Under which the accuracies of a cell's further test are."""
    return f"{cell}-{test.key}"


def further_result(one: TestStanding) -> FurtherResult:
    """A further test as it is now."""
    failure = one.record.failure if one.record else None
    record = one.record and one.record.model_copy(update={"failure": failure and without_machine(failure)})
    note = "" if one.state == "failed" else without_folders(one.note)
    return FurtherResult(test=one.test, state=one.state, record=record, note=note)


def without_machine(failure: Failure) -> Failure:
    """Files of packages are named from the package on, others by their last part."""
    traceback = re.sub(r'(?<=File ")[^"]*/(?=(?:benchmark|methods|site-packages)/)', "", failure.traceback)
    traceback = re.sub(r'(?<=File ")/[^"]*/', "", traceback)
    return failure.model_copy(update={"traceback": traceback})


def without_folders(text: str) -> str:
    """A message with this machine's files named by their last two parts."""
    return re.sub(r"(?<!\S)/\S*/(?=[^/\s]+/[^/\s]+)", "", text)
