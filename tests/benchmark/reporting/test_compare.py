"""Two reports in one table."""

import csv
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from benchmark.errors import UserError
from benchmark.reporting.compare import comparison_table
from benchmark.reporting.record import Record, collect
from benchmark.reporting.rows import make_rows
from benchmark.reporting.tables.table import Parts
from tests.benchmark.helpers import invoke
from tests.benchmark.reporting.simulated import finish, make_grid, simulate


def record_of(folder: Path, skill: float, methods: tuple[str, ...], seeds: tuple[int, ...] = (0, 1, 2)) -> Record:
    grid = make_grid(methods, channels=(4, 8), seeds=seeds)
    return collect(grid, simulate(grid, folder, lambda cell: skill if cell.method == "protonet" else 0.7))


def test_methods_that_both_have_are_paired_on_shared_episodes(tmp_path: Path) -> None:
    first = record_of(tmp_path / "a", 0.8, ("protonet", "maml"), (0,))
    second = record_of(tmp_path / "b", 0.85, ("protonet", "ht-all"), (0,))
    table = comparison_table(first, second)
    assert {(line["setting"], line["method"]) for line in table.rows} == {
        (f"Omniglot 20-way 1-shot, {width} channels", method)
        for width in (4, 8)
        for method in ("protonet", "maml", "ht-all")
    }
    rows = [{(r.setting_text, r.label): r for r in make_rows(record)} for record in (first, second)]
    for line in table.rows:
        place = (str(line["setting"]), str(line["method"]))
        if line["method"] == "protonet":
            matrices = [found[place].accuracy for found in rows]
            assert matrices[0] is not None and matrices[1] is not None
            test = stats.ttest_rel(matrices[1][0], matrices[0][0])
            difference = line["difference"]
            assert isinstance(difference, Parts)
            ends = test.confidence_interval(0.95)
            assert difference.values == pytest.approx(((ends.low + ends.high) / 2, (ends.high - ends.low) / 2))
            assert line["note"] == "one seed"
        else:
            assert "difference" not in line and ("first" in line) == (line["method"] == "maml")


def test_a_better_version_is_told_from_an_equal_one(tmp_path: Path) -> None:
    first = record_of(tmp_path / "a", 0.7, ("protonet",))
    better, same = record_of(tmp_path / "b", 0.9, ("protonet",)), first
    assert [line["note"] for line in comparison_table(first, better).rows] == ["higher"] * 2
    assert [line["note"] for line in comparison_table(better, first).rows] == ["lower"] * 2
    lines = comparison_table(first, same).rows
    assert [line["note"] for line in lines] == ["not shown to differ"] * 2


def test_other_episodes_are_not_paired(tmp_path: Path) -> None:
    grid = make_grid(("protonet",), channels=(8,), seeds=(0,))
    experiment = simulate(grid, tmp_path / "a", lambda _: 0.8)
    first = collect(grid, experiment)
    finish(experiment, grid.cells[0], 0.9, episodes_sha256="0" * 64)
    (line,) = comparison_table(first, collect(grid, experiment)).rows
    assert "different episodes" in str(line["note"]) and "difference" not in line


def test_a_command_compares_two_folders(tmp_path: Path) -> None:
    for name, skill in (("a", 0.7), ("b", 0.9)):
        record_of(tmp_path / f"runs-{name}", skill, ("protonet",)).save(tmp_path / name)
    done = invoke("report", tmp_path / "a", tmp_path / "b", "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "higher" in done.output
    with (tmp_path / "out" / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert np.allclose([float(row["difference"]) for row in rows], 0.2, atol=0.03)
    with pytest.raises(UserError, match="two to compare"):
        invoke("report", *(tmp_path / "a" for _ in range(3)))
