"""Records that somebody else has made: they name nothing that is written outside their folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.errors import UserError
from benchmark.reporting.record import collect
from tests.benchmark.helpers import invoke, main_here, write_grid
from tests.benchmark.reporting.simulated import make_grid, simulate


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A report's record of two finished cells, in a folder far inside."""
    grid = make_grid(("protonet",), (8,), seeds=(0, 1))
    experiment = simulate(grid, tmp_path / "their-runs", lambda config: 0.9)
    folder = tmp_path / "a" / "b" / "theirs"
    collect(grid, experiment).save(folder)
    return folder


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


Craft = Callable[[dict[str, Any]], object]

CRAFTED: dict[str, Craft] = {
    "name": lambda record: record.update(name="../../../outside"),
    "absolute name": lambda record: record.update(name="/outside"),
    "empty name": lambda record: record.update(name=""),
    "folder": lambda record: record["cells"][0].update(folder="../../outside"),
    "method": lambda record: record["cells"][0]["config"].update(method="../../../outside/x"),
    "long method": lambda record: record["cells"][0]["config"].update(method="x" * 300),
}


@pytest.mark.parametrize("what", CRAFTED)
def test_a_crafted_record_is_refused(theirs: Path, tmp_path: Path, what: str) -> None:
    record = json.loads((theirs / "cells.json").read_text())
    CRAFTED[what](record)
    (theirs / "cells.json").write_text(json.dumps(record))
    before = everything(tmp_path)
    for command in (["adopt", theirs, "--runs", tmp_path / "a" / "b" / "runs"], ["report", theirs]):
        with pytest.raises(UserError, match="is damaged"):
            invoke(*command)
    assert everything(tmp_path) == before


def test_a_crafted_width_makes_no_path(theirs: Path, tmp_path: Path) -> None:
    """A method that is not here may have any option, so this one is no damage; it names no folder either."""
    record = json.loads((theirs / "cells.json").read_text())
    for cell in record["cells"]:
        cell["config"] |= {"method": "theirs", "model": {"channels": "/../../../../outside"}}
    (theirs / "cells.json").write_text(json.dumps(record))
    runs = tmp_path / "a" / "b" / "runs"
    outside = everything(tmp_path)
    invoke("adopt", theirs, "--runs", runs)
    assert {path for path in everything(tmp_path) - outside if runs not in (path, *path.parents)} == set()


def test_where_nothing_can_be_written_is_one_line(tmp_path: Path) -> None:
    """A file in the way and a folder of the system, which even the superuser cannot write to."""
    grid = write_grid(tmp_path)
    assert main_here("run", grid, "--no-track", cwd=tmp_path).returncode == 0
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "out", Path("/proc/htbench")):
        done = main_here("report", grid, "--out", out, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"error: cannot create {out}") and done.stderr.count("\n") == 1
