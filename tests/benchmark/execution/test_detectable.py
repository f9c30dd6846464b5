"""What difference a grid will find: from which cells its seed deviation is known, and what is then promised."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmark.cells.folder import ExperimentFolder
from benchmark.execution.detectable import Detectable, detectable
from benchmark.execution.plan import make_plan
from benchmark.grid import Grid
from benchmark.reporting import write_report
from benchmark.statistics import minimum_detectable_difference
from tests.benchmark.reporting.simulated import finish, make_grid, simulate

FEW = make_grid(("a", "b"), channels=(8,), seeds=(0, 1))


def found(grid: Grid, runs: Path, results: Path) -> Detectable:
    return detectable(make_plan(grid.cells, ExperimentFolder(runs / grid.name)), results)


def test_one_seed_promises_nothing(tmp_path: Path) -> None:
    grid = make_grid(seeds=(0,), channels=(8,))
    simulate(grid, tmp_path, lambda cell: 0.8)
    one = found(grid, tmp_path, tmp_path / "results")
    assert one.difference is None and "one seed says nothing about methods" in one.sentence


def test_the_fewest_seeds_of_any_setting_count(tmp_path: Path) -> None:
    grid = make_grid(("a", "b"), channels=(8,), seeds=(0, 1, 2))
    assert found(grid, tmp_path, tmp_path).seeds == 3
    short = replace(grid, cells=grid.cells[:-1])
    assert found(short, tmp_path, tmp_path).seeds == 2


def test_nothing_is_promised_of_a_data_set_without_results(tmp_path: Path) -> None:
    one = found(FEW, tmp_path, tmp_path / "results")
    assert one.difference is None and "no method with two finished seeds" in one.sentence


def test_earlier_results_of_the_data_set_tell_until_the_grid_has_its_own(tmp_path: Path) -> None:
    results = tmp_path / "results"
    earlier = make_grid(tuple("cdefgh"), channels=(8,), seeds=(0, 1, 2, 3))
    write_report(earlier, simulate(earlier, tmp_path / "earlier", lambda cell: 0.8, seed_sd=0.03), results / "one")
    # The same cells in a second report count once, and a damaged one is passed over.
    write_report(earlier, ExperimentFolder(tmp_path / "earlier" / earlier.name), results / "two")
    (results / "three").mkdir()
    (results / "three" / "cells.json").write_text("{")
    one = found(FEW, tmp_path, results)
    assert one.source == "earlier results of omniglot"
    assert one.seed_sd == pytest.approx(0.03, rel=0.35)
    assert one.difference is not None and one.seed_sd is not None
    # Two pooled seeds: more than with the deviation known exactly, less than with two seeds' own.
    certain, alone = (minimum_detectable_difference(2, 60, one.seed_sd, freedom=freedom) for freedom in (1e6, None))
    assert certain < one.difference < alone

    grid = make_grid(tuple("abcd"), channels=(8,), seeds=(0, 1, 2))
    simulate(grid, tmp_path, lambda cell: 0.8, seed_sd=0.002)
    own = found(grid, tmp_path, results)
    assert own.source == "finished cells of the grid"
    assert own.seed_sd is not None and own.seed_sd < 0.01


def test_a_collapsed_training_does_not_count(tmp_path: Path) -> None:
    grid = make_grid(tuple("abcd"), channels=(8,), seeds=(0, 1, 2))
    experiment = simulate(grid, tmp_path, lambda cell: 0.8, seed_sd=0.002)
    finish(experiment, grid.cells[0], 0.06)
    own = found(grid, tmp_path, tmp_path / "results")
    assert own.seed_sd is not None and own.seed_sd < 0.02
