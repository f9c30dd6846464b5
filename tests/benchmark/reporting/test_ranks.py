"""Ranks over data sets: drawn where there are enough of them, refused with a reason where not."""

from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.config import CellConfig
from benchmark.grid import Grid
from benchmark.reporting.figures.ranks import critical_differences, rank_over_datasets, why_no_diagram
from benchmark.reporting.record import collect
from benchmark.reporting.rows import Row, make_rows
from tests.benchmark.reporting.simulated import make_grid, simulate

SKILL = {"protonet": 0.80, "ht-logits": 0.86, "ht-all": 0.86, "maml": 0.70}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Results of four methods on eight folders of images."""
    paths = [f"/data/set{number}" for number in range(8)]
    cells = tuple(
        CellConfig.model_validate(
            {
                "dataset": {"name": "folder", "path": path},
                "episodes": {"queries": 15},
                "method": method,
                "model": {"channels": 8},
                "train": {"steps": 1000},
                "test": {"episodes": 60},
            }
        )
        for path in paths
        for method in SKILL
    )
    grid = Grid("ranks", cells, {"dataset.path": tuple(paths), "method": tuple(SKILL)}, Path("ranks.yaml"), "name: r\n")
    runs = tmp_path_factory.mktemp("ranks")
    return make_rows(collect(grid, simulate(grid, runs, lambda cell: SKILL[cell.method])))


def test_ranks_are_of_the_means_on_each_data_set(rows: list[Row]) -> None:
    means = np.array([[r.interval.mean for r in rows if r.method == method and r.interval] for method in SKILL])
    ranks = rank_over_datasets(rows)
    expected = (-means).argsort(axis=0).argsort(axis=0).mean(axis=1) + 1
    assert [ranks.mean_rank[method] for method in SKILL] == pytest.approx(expected)
    assert ranks.tied_groups == [tuple(sorted(("ht-logits", "ht-all"), key=ranks.mean_rank.__getitem__))]
    assert why_no_diagram(rows) is None
    figure = critical_differences(rows)
    assert figure is not None
    (axes,) = figure.axes
    assert {text.get_text().partition(" ")[0] for text in axes.texts} == set(SKILL)
    bars = [line for line in axes.get_lines() if line.get_linewidth() == 3]
    assert len(bars) == 1
    low, high = np.asarray(bars[0].get_xdata())
    inside = {name for name, rank in ranks.mean_rank.items() if low <= rank <= high}
    assert inside == {"ht-logits", "ht-all"}


def test_settings_of_one_data_set_are_not_independent(tmp_path: Path) -> None:
    grid = make_grid(shots=(1, 5), seeds=(0,))
    rows = make_rows(collect(grid, simulate(grid, tmp_path, lambda _: 0.8)))
    assert critical_differences(rows) is None
    reason = why_no_diagram(rows)
    assert reason is not None
    assert "ranks over 1 independent task(s) prove nothing" in reason
    assert "below 6" in reason


def test_a_data_set_that_some_methods_lack_is_named(rows: list[Row]) -> None:
    reason = why_no_diagram(rows[1:])
    assert reason is not None
    assert "no setting of folder set0 in which every method has a result" in reason
