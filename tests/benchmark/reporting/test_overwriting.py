"""A report replaces its own older one, and no other."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.reporting import rebuild_all, write_report
from benchmark.reporting.record import Record, collect
from benchmark.reporting.report import check_replaces
from tests.benchmark.helpers import invoke
from tests.benchmark.reporting.simulated import make_grid, simulate

GRID = make_grid(methods=("protonet",), channels=(8,), seeds=(0, 1))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The record of a finished grid."""
    collect(GRID, simulate(GRID, tmp_path / "runs", lambda config: 0.7)).save(tmp_path / "out")
    return tmp_path / "out"


def test_a_report_is_written_again_and_grows(out: Path, tmp_path: Path) -> None:
    check_replaces(Record.load(out), out)
    check_replaces(Record.load(out), tmp_path / "new")
    larger = make_grid(methods=("protonet",), channels=(8,), seeds=(0, 1, 2))
    check_replaces(collect(larger, ExperimentFolder(tmp_path / "runs" / "simulated")), out)


def test_finished_cells_that_are_not_at_hand_are_kept(out: Path, tmp_path: Path) -> None:
    elsewhere = ExperimentFolder(tmp_path / "nothing")
    with pytest.raises(
        UserError, match=r"holds 2 finished cells that are not at hand here, such as protonet-8ch-seed0"
    ):
        write_report(GRID, elsewhere, out)
    assert len(Record.load(out).accuracy) == 2
    fewer = make_grid(methods=("protonet",), channels=(8,), seeds=(0,))
    with pytest.raises(UserError, match="holds 1 finished cells"):
        write_report(fewer, ExperimentFolder(tmp_path / "runs" / "simulated"), out)
    write_report(GRID, elsewhere, out, overwrite=True)
    assert Record.load(out).accuracy == {}


def test_another_grid_of_the_same_name_is_refused(out: Path, tmp_path: Path) -> None:
    twin = make_grid(methods=("ht-all",), channels=(8,), seeds=(0,))
    assert twin.name == GRID.name
    with pytest.raises(UserError, match="holds the report of another grid, simulated, with none of these cells"):
        write_report(twin, simulate(twin, tmp_path / "others", lambda config: 0.9), out)


def test_what_cannot_be_read_is_not_replaced_either(out: Path) -> None:
    record = Record.load(out)
    (out / "cells.json").write_text("{")
    with pytest.raises(UserError, match=r"is damaged .*--overwrite to replace it"):
        check_replaces(record, out)


def test_a_damaged_folder_stops_no_other(out: Path, tmp_path: Path) -> None:
    for name in ("a", "c"):
        replace(Record.load(out), name=name).save(tmp_path / "all" / name)
    broken = tmp_path / "all" / "b"
    broken.mkdir()
    (broken / "cells.json").write_text("[]")
    found = dict(rebuild_all(tmp_path / "all"))
    assert [folder.name for folder, error in found.items() if error is None] == ["a", "c"]
    assert "b is damaged" in str(found[broken])
    done = invoke("report", "--all", tmp_path / "all")
    assert done.exit_code == 1
    assert "not rebuilt" in done.output and done.output.count("rebuilt ") == 2
