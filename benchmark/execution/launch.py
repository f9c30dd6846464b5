"""Which cells of a grid a launch runs, and making their folders ready for it."""

from collections.abc import Callable, Sequence

from benchmark.cells.further_standing import TestStanding
from benchmark.errors import UserError
from benchmark.execution.plan import PlannedCell, preflight


def ready_cells(
    planned: Sequence[PlannedCell],
    *,
    retry_failed: bool = False,
    stale: bool = False,
    told: Callable[[str], None] = lambda line: None,
) -> tuple[list[PlannedCell], list[tuple[PlannedCell, list[TestStanding]]]]:
    """The cells that are to be run, and those that only want further tests, checked and claimed.

    `told` gets a line for every result that is kept aside.

    Args:
        planned: as `make_plan` finds them.
        retry_failed: also those that failed or are damaged.
        stale: also those that were made with other built-in code or data than today's.
        told: where to say what is kept aside.

    Raises:
        UserError: a cell is being written by another run, or cannot be run as it is.
    """
    records = {p.config.key: p.store.record() for p in planned}
    busy = [p.store.folder for p in planned if p.state == "running"]
    if busy:
        raise UserError(f"{busy[0]} is being written by another run; wait for it or choose another --runs")
    kept = {"done"} if retry_failed else {"done", "failed", "damaged"}
    todo = [p for p in planned if p.state not in kept or (p.stale and stale)]
    to_test = [
        (p, tests)
        for p in planned
        if p not in todo and (tests := p.tests_to_score(retry_failed=retry_failed, stale=stale))
    ]
    preflight([p.config for p in todo + [p for p, _ in to_test]])
    todo = [p for p in todo if _made_ready(p, records[p.config.key], told)]
    for cell, tests in to_test:
        cell.store.plan_tests(cell.config.tests)
        for test in tests:
            cell.store.tests.forget(test.test.key)
    return todo, to_test


def _made_ready(cell: PlannedCell, record: bytes | None, told: Callable[[str], None]) -> bool:
    """Make a cell ready to be run, with what is to be replaced kept aside; False if another run has finished it."""
    if cell.state in ("done", "damaged", "outdated"):
        aside = cell.store.set_aside(planned=record)
        if aside is None:
            return False
        told(f"kept aside: {aside}  {cell.note}")
        record = None
    return cell.store.claim(cell.config, planned=record)
