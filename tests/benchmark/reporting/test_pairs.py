"""Every two methods of a setting against SciPy's paired t-test, and what cannot be paired."""

from pathlib import Path

import pytest
from scipy import stats

from benchmark.grid import Grid
from benchmark.reporting.record import collect
from benchmark.reporting.rows import make_rows
from benchmark.reporting.tables.pairs import pairs_table
from benchmark.reporting.tables.table import Estimate
from tests.benchmark.reporting.simulated import fail, make_grid, simulate

SKILL = {"protonet": 0.80, "ht-all": 0.90, "maml": 0.85}


def grid_of(seeds: tuple[int, ...]) -> Grid:
    return make_grid(methods=tuple(SKILL), channels=(4, 8), seeds=seeds)


def test_all_pairs_of_a_setting_with_a_paired_interval(tmp_path: Path) -> None:
    grid = grid_of((0,))
    rows = make_rows(collect(grid, simulate(grid, tmp_path, lambda cell: SKILL[cell.method])))
    table = pairs_table(rows)
    assert table is not None
    accuracy = {(row.setting_text, row.label): row.accuracy[0] for row in rows if row.accuracy is not None}
    names = [(line["a"], line["b"]) for line in table.rows]
    assert names == [("ht-all", "maml"), ("ht-all", "protonet"), ("maml", "protonet")] * 2
    for line in table.rows:
        setting, difference = str(line["setting"]), line["difference"]
        oracle = stats.ttest_rel(accuracy[setting, str(line["a"])], accuracy[setting, str(line["b"])])
        ends = oracle.confidence_interval(0.95)
        assert isinstance(difference, Estimate)
        assert difference.mean == pytest.approx((ends.low + ends.high) / 2)
        assert difference.half_width == pytest.approx((ends.high - ends.low) / 2)
        assert line["p_value"] == pytest.approx(oracle.pvalue)
        assert line["p_adjusted"] >= line["p_value"]  # type: ignore[operator]


def test_pairs_share_seeds(tmp_path: Path) -> None:
    grid = grid_of((0, 1))
    experiment = simulate(grid, tmp_path, lambda cell: SKILL[cell.method])
    for cell in grid.cells:
        if cell.model["channels"] == 8 and (cell.method, cell.seed) in (("protonet", 0), ("maml", 1)):
            fail(experiment, cell, "out of memory")
    table = pairs_table(make_rows(collect(grid, experiment)))
    assert table is not None
    assert [(line["a"], line["b"], line["seeds"]) for line in table.rows][3:] == [
        ("ht-all", "maml", 1),
        ("ht-all", "protonet", 1),
    ]


def test_one_method_makes_no_pair(tmp_path: Path) -> None:
    grid = make_grid(methods=("protonet",), channels=(8,))
    assert pairs_table(make_rows(collect(grid, simulate(grid, tmp_path, lambda cell: 0.8)))) is None
