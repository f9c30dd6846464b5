"""How rows stand to the best of their setting with few seeds, with simulated results on disk."""

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.config import CellConfig
from benchmark.cells.metrics import TEST_ACCURACY, TEST_ACCURACY_HIGH, TEST_ACCURACY_LOW
from benchmark.grid import Grid
from benchmark.reporting.findings import findings, headlines
from benchmark.reporting.record import collect
from benchmark.reporting.row import Row
from benchmark.reporting.rows import make_rows
from benchmark.reporting.summary import summarize
from benchmark.reporting.tables.results import results_table
from benchmark.reporting.tables.table import to_csv
from benchmark.statistics import fit_prior, two_way_interval
from benchmark.statistics.collapse import RULE
from benchmark.tracking.appearance import Appearance
from benchmark.tracking.mean_run import aggregate_facts
from methods import register
from tests.benchmark.reporting.simulated import Skill, finish, make_grid, simulate
from tests.benchmark.toy_grids import Toy


@register("toy-flat", "has no width")
@register("toy-flatter", "neither")
class Flat(Toy):
    @dataclass(frozen=True)
    class Config:
        depth: int = 1


def rows_of(grid: Grid, runs: Path, skill: Skill, *, seed_sd: float = 0.005) -> list[Row]:
    return make_rows(collect(grid, simulate(grid, runs, skill, seed_sd=seed_sd)))


def without_a_width(grid: Grid, *methods: str) -> Grid:
    """The grid with methods that have no option `channels`, one cell each per seed."""
    seeds = sorted({cell.seed for cell in grid.cells})
    first = grid.cells[0]
    new = [first.model_copy(update={"method": name, "model": {}, "seed": seed}) for name in methods for seed in seeds]
    methods_of_all = (*grid.axes.get("method", ()), *methods)
    return replace(grid, cells=(*grid.cells, *new), axes={**grid.axes, "method": methods_of_all})


def test_two_seeds_that_cannot_decide_are_undecided_and_nothing_is_bold(tmp_path: Path) -> None:
    grid = make_grid(("a", "b", "c"), channels=(8,), seeds=(0, 1))
    record = collect(grid, simulate(grid, tmp_path, lambda cell: 0.8, seed_sd=0.03))
    summary = summarize(record)
    assert {row.standing for row in summary.rows} == {"undecided"}
    assert not any(row.bold for row in summary.rows)
    assert "undecided against" in summary.sentences[1]
    text = " ".join([*summary.sentences, *summary.table.notes])
    assert "tied" not in text and "undecided, which more seeds would decide" in text
    assert [finding.sure for finding in findings(summary.rows)] == ["no"]


def test_two_seeds_agreeing_by_luck_do_not_make_a_narrow_interval(tmp_path: Path) -> None:
    """One method's seeds have the same accuracy; its interval is as wide as the others tell it to be."""
    grid = make_grid(tuple("abcdef"), channels=(8,), seeds=(0, 1))
    experiment = simulate(grid, tmp_path, lambda cell: 0.8, seed_sd=0.03)
    lucky = [cell for cell in grid.cells if cell.method == "a"]
    accuracy = [finish(experiment, cell, 0.8, seed_sd=0.0) for cell in lucky]
    row = next(row for row in make_rows(collect(grid, experiment)) if row.method == "a")
    own = two_way_interval(np.stack(accuracy))
    assert row.interval is not None and row.prior is not None
    assert row.interval.half_width > 0.02 > own.half_width
    assert row.used_sd == pytest.approx(np.sqrt(row.prior.variance))
    assert row.own_sd is not None and row.own_sd < 0.3 * row.prior.variance**0.5


def test_a_lone_pair_takes_the_variances_of_its_methods(tmp_path: Path) -> None:
    """Of two methods with two seeds each, whose paired differences agree by luck."""
    grid = make_grid(("a", "b"), channels=(8,), seeds=(0, 1), episodes=300)
    shift = {0: -0.03, 1: 0.03}
    rows = rows_of(grid, tmp_path, lambda cell: 0.8 + shift[cell.seed] + 0.01 * (cell.method == "a"), seed_sd=0.0)
    compared = next(row.comparison for row in rows if row.comparison)
    variances = [float(row.accuracy.mean(axis=1).var(ddof=1)) for row in rows if row.accuracy is not None]
    # t with 2 degrees of freedom at 97.5 % is 4.303; the episodes add next to nothing.
    expected = 4.303 * (sum(variances) / 2) ** 0.5
    assert compared.interval.half_width == pytest.approx(expected, rel=0.05)
    assert {row.standing for row in rows} == {"undecided"}


def test_a_collapsed_training_is_named_and_does_not_widen_the_others(tmp_path: Path) -> None:
    grid = make_grid(("a", "b", "c", "d"), channels=(8,), seeds=(0, 1, 2))
    experiment = simulate(grid, tmp_path, lambda cell: 0.8)
    fallen = next(cell for cell in grid.cells if (cell.method, cell.seed) == ("d", 1))
    finish(experiment, fallen, 0.06)
    summary = summarize(collect(grid, experiment))
    *healthy, row = summary.rows
    assert row.collapsed == (False, True, False) and not row.pools
    assert row.interval is not None and row.interval.kind == "seeds x episodes" and row.interval.half_width > 0.5
    assert row.interval.low == 0.0 and row.interval.high == 1.0
    assert summary.table.rows[3]["note"] == "1 of 3 trainings collapsed (seed 1)"
    assert RULE in summary.table.notes and any("cut at 0 and 100 %" in note for note in summary.table.notes)
    of = [one.accuracy for one in healthy if one.accuracy is not None]
    prior = fit_prior([float(one.mean(axis=1).var(ddof=1)) for one in of], [2, 2, 2])
    assert all(one.prior == pytest.approx(prior) or one.prior == prior for one in healthy)


def test_methods_without_a_width_are_compared_with_every_width(tmp_path: Path) -> None:
    grid = without_a_width(make_grid(("a", "b"), channels=(8, 16), seeds=(0, 1, 2)), "toy-flat", "toy-flatter")
    skill = {"a": 0.7, "b": 0.6, "toy-flat": 0.9, "toy-flatter": 0.65}
    rows = rows_of(grid, tmp_path, lambda cell: skill[cell.method])
    flat, other = (next(row for row in rows if row.method == name) for name in ("toy-flat", "toy-flatter"))
    assert flat.standing == "best" and other.standing == "worse"
    assert "any width" in flat.setting_text
    assert [rival.label for rival in flat.rivals] == [f"{m}, {w} channels" for m in "ab" for w in (8, 16)]
    assert all(rival.comparison and rival.comparison.a == "toy-flat" for rival in flat.rivals)
    # Methods that have widths are judged among their own width, as before.
    assert [row.standing for row in rows if row.method in "ab"] == ["best", "best", "worse", "worse"]


def test_rows_are_not_split_by_size_where_there_is_one(tmp_path: Path) -> None:
    grid = without_a_width(make_grid(("a",), channels=(8,), seeds=(0, 1, 2)), "toy-flat")
    rows = rows_of(grid, tmp_path, lambda cell: 0.7 if cell.method == "a" else 0.9)
    assert len({row.setting for row in rows}) == 1
    assert {row.method: row.standing for row in rows} == {"a": "worse", "toy-flat": "best"}
    assert not any(row.rivals for row in rows)


def test_counts_are_of_the_settings_that_a_method_entered(tmp_path: Path) -> None:
    whole = make_grid(("a", "b", "c"), channels=(4, 8, 16, 32), seeds=(0, 1, 2))
    cells = tuple(cell for cell in whole.cells if cell.method != "a" or cell.model["channels"] < 16)
    grid = replace(whole, cells=cells)
    skill = {"a": 0.9, "b": 0.7, "c": 0.5}
    record = collect(grid, simulate(grid, tmp_path, lambda cell: skill[cell.method]))
    assert headlines(record, make_rows(record))[1] == (
        "Best, or shown to be within a point of the best, in how many of the settings that they entered:"
        " a 2 of 2, b 2 of 4, c 0 of 4."
    )


def test_every_seed_is_in_the_csv(tmp_path: Path) -> None:
    grid = make_grid(("a", "b"), channels=(8,), seeds=(0, 3))
    record = collect(grid, simulate(grid, tmp_path, lambda cell: 0.8))
    rows = make_rows(record)
    lines = list(csv.DictReader(to_csv(results_table(record, rows, details=True)).splitlines()))
    for row, line in zip(rows, lines, strict=True):
        assert row.accuracy is not None
        for seed, accuracy in zip((0, 3), row.accuracy.mean(axis=1), strict=True):
            assert float(line[f"accuracy_seed_{seed}"]) == pytest.approx(accuracy, abs=1e-5)


def test_mean_runs_have_the_intervals_of_the_report(tmp_path: Path) -> None:
    grid = make_grid(("a", "b", "c"), channels=(4, 8, 16, 32), seeds=(0, 1))

    def skill(cell: CellConfig) -> float:
        return 0.06 if (cell.method, cell.model["channels"], cell.seed) == ("c", 32, 1) else 0.8

    experiment = simulate(grid, tmp_path, skill, seed_sd=0.02)
    rows = {(row.method, row.channels): row for row in make_rows(collect(grid, experiment))}
    facts = aggregate_facts(experiment.cells(), grid.axes, Appearance(grid))
    assert len(facts) == len(rows)
    shown = 5e-5  # they are rounded to four digits
    for one in facts:
        values = {point.name: point.value for point in one.final}
        row = rows[one.params["method"], int(one.params["model.channels"])]
        assert row.interval is not None
        assert values[TEST_ACCURACY] == pytest.approx(row.interval.mean, abs=shown)
        assert (values[TEST_ACCURACY_LOW], values[TEST_ACCURACY_HIGH]) == pytest.approx(
            (row.interval.low, row.interval.high), abs=shown
        )
