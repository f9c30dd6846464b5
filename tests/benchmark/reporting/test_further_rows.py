"""Rows of further tests: real files with simulated accuracies."""

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmark.cells.config import CellConfig, FurtherTest
from benchmark.cells.folder import BEST_CHECKPOINT, ExperimentFolder
from benchmark.cells.further import TestEntry, further_test
from benchmark.cells.further_standing import origin_of_test
from benchmark.cells.result import Data, TestRecord, TestScore
from benchmark.errors import UserError
from benchmark.grid import Grid
from benchmark.reporting import rebuild_report, write_report
from benchmark.reporting.adopt import adopt
from benchmark.reporting.record import Record, collect
from benchmark.reporting.row import settings
from benchmark.reporting.rows import Row, make_rows
from benchmark.reporting.tables.errors import errors_table, published_errors
from benchmark.reporting.tables.results import results_table
from tests.benchmark.reporting.simulated import make_grid, simulate

TEN = TestEntry(ways=10)
LAKE = TestEntry(dataset={"name": "lake-oneshot"})


def planned(*entries: TestEntry) -> Grid:
    grid = make_grid(channels=(8,), ways=20)
    cells = []
    for cell in grid.cells:
        config = cell.model_copy(update={"dataset": cell.dataset.model_copy(update={"split": "lake"})})
        cells.append(config.model_copy(update={"tests": tuple(further_test(entry, config) for entry in entries)}))
    return replace(grid, cells=tuple(cells))


def score(
    experiment: ExperimentFolder, config: CellConfig, test: FurtherTest, mean: float, step: int | None = None
) -> None:
    """Leave what a scored test leaves."""
    store, result = experiment.cell(config), experiment.cell(config).result()
    assert result is not None
    test = test.model_copy(update={"step": step})
    store.best_checkpoint.write_bytes(b"weights")
    result = result.model_copy(update={"sha256": {**result.sha256, BEST_CHECKPOINT: "a" * 64}})
    (store.folder / "result.json").write_text(result.model_dump_json())
    rng = np.random.default_rng([int(config.key, 16), int(test.key, 16)])
    queries = test.episodes.ways * 5
    accuracy = (rng.binomial(queries, mean, test.count) / queries).astype(np.float32)
    digest = hashlib.sha256(test.key.encode()).hexdigest()
    record = TestRecord(
        key=test.key,
        cell=config.key,
        test=test,
        weights="a" * 64,
        step=900,
        score=TestScore(accuracy=float(accuracy.mean(dtype="float64")), episodes=test.count, sha256=digest),
        solver_parameters=4321,
        data=Data(name=test.dataset.name, sha256="d" * 64),
        origin=origin_of_test(config, test),
    )
    store.tests.write(record, accuracy)


def finished(grid: Grid, runs: Path) -> ExperimentFolder:
    """Every cell and every planned test: ht-all is 10 points behind protonet."""
    experiment = simulate(grid, runs, lambda config: 0.9 - 0.1 * (config.method == "ht-all"))
    for config in grid.cells:
        for test in config.tests:
            score(experiment, config, test, 0.8 - 0.1 * (config.method == "ht-all"))
    return experiment


def of_test(rows: list[Row], name: str) -> list[Row]:
    return [row for row in rows if row.test == name]


def test_every_test_is_a_row_of_its_own_compared_on_its_own_episodes(tmp_path: Path) -> None:
    grid = planned(TEN)
    record = collect(grid, finished(grid, tmp_path))
    rows = make_rows(record)
    assert [(row.label, row.test) for row in rows] == [
        ("protonet", ""), ("ht-all", ""), ("protonet", "10-way"), ("ht-all", "10-way")]  # fmt: skip
    own, ten = of_test(rows, ""), of_test(rows, "10-way")
    assert ten[0].setting_text == "Omniglot 10-way 1-shot, 8 channels, trained at 20-way 1-shot"
    assert ten[0].interval is not None and ten[0].interval.mean == pytest.approx(0.8, abs=0.02)
    assert ten[1].comparison is not None and ten[1].comparison.b == "ht-all" and ten[1].standing == "worse"
    assert ten[1].comparison.interval.mean == pytest.approx(0.1, abs=0.03)
    assert len(settings(rows)) == 2 and ten[0].group != own[0].group
    assert own[1].published and not ten[1].published  # of networks trained for the task only
    assert [result.model and result.model.solver_parameters for result in ten[0].results] == [4321] * 3
    # The own rows are what they are without further tests.
    alone = make_rows(collect(replace(grid, cells=tuple(c.model_copy(update={"tests": ()}) for c in grid.cells)),
                              ExperimentFolder(tmp_path / "simulated")))[:2]  # fmt: skip
    assert [row.interval for row in alone] == [row.interval for row in own]


def test_missing_and_damaged_scores_are_told_in_their_row(tmp_path: Path) -> None:
    grid = planned(TEN)
    experiment = finished(grid, tmp_path)
    first, second, *_ = grid.cells
    experiment.cell(first).tests.forget(first.tests[0].key)
    path = experiment.cell(second).tests.folder / f"{second.tests[0].key}.npy"
    path.write_bytes(path.read_bytes()[:-1])
    record = collect(grid, experiment)
    own, _, ten, _ = make_rows(record)
    assert own.complete and own.problems == ()
    assert ten.seeds == (2,) and not ten.complete
    assert any("seed 0 missing" in one for one in ten.problems)
    assert any("seed 1 damaged: " in one and "not the file of its record" in one for one in ten.problems)


def test_a_test_by_hand_gets_a_row_that_says_which_weights(tmp_path: Path) -> None:
    grid = planned()
    experiment = finished(grid, tmp_path)
    config = grid.cells[0]
    score(experiment, config, further_test(TEN, config), 0.7)
    score(experiment, config, further_test(TestEntry(), config), 0.6, step=300)
    rows = make_rows(collect(grid, experiment))
    (ten,) = of_test(rows, "10-way")
    (early,) = of_test(rows, "own after 300 steps")
    assert (ten.method, ten.seeds, len(ten.cells)) == ("protonet", (0,), 3)
    assert any("seeds 1, 2 missing" in one for one in ten.problems)
    assert "after 300 steps" in early.setting_text and early.setting not in {row.setting for row in of_test(rows, "")}
    assert rows[0].interval is not None and rows[0].interval.mean == pytest.approx(0.9, abs=0.02)


def test_trainings_at_several_ways_meet_on_one_test(tmp_path: Path) -> None:
    """The cell's own 10-way test and the further one of a 5-way training are one setting."""
    base = make_grid(("protonet",), (8,), ways=5)
    five = [cell.model_copy(update={"tests": (further_test(TEN, cell),)}) for cell in base.cells]
    ten = make_grid(("protonet",), (8,), ways=10).cells
    grid = replace(base, cells=(*five, *ten), axes={"episodes.ways": (5, 10), "seed": (0, 1, 2)})
    experiment = simulate(grid, tmp_path, lambda config: 0.9)
    for config in five:
        score(experiment, config, config.tests[0], 0.8)
    rows = make_rows(collect(grid, experiment))
    further = rows[-1]
    assert further.label == "protonet · trained with ways 5"
    assert further.axes["episodes.ways"] == 10
    assert [row.label for row in rows if row.setting == further.setting] == ["protonet", further.label]


def test_the_table_names_the_test_only_where_there_are_several(tmp_path: Path) -> None:
    grid = planned(TEN)
    record = collect(grid, finished(grid, tmp_path))
    table = results_table(record, make_rows(record))
    assert [row["test"] for row in table.rows] == ["own", "own", "10-way", "10-way"]
    assert any(note.startswith("test: own is the task") for note in table.notes)
    alone = collect(replace(grid, cells=tuple(c.model_copy(update={"tests": ()}) for c in grid.cells)),
                    ExperimentFolder(tmp_path / "other"))  # fmt: skip
    assert "test" not in {column.key for column in results_table(alone, make_rows(alone), details=True).columns}


def test_a_record_keeps_them_and_checks_them(tmp_path: Path) -> None:
    grid = planned(TEN)
    record = collect(grid, finished(grid, tmp_path / "runs"))
    record.save(tmp_path / "out")
    again = Record.load(tmp_path / "out")
    assert again.further.keys() == record.further.keys() and len(again.further) == 6
    assert all(np.array_equal(again.further[key], record.further[key]) for key in record.further)
    assert [row.interval for row in make_rows(again)] == [row.interval for row in make_rows(record)]
    # One edited array damages that one score.
    with np.load(tmp_path / "out" / "tests.npz") as arrays:
        edited = dict(arrays)
    edited[next(iter(edited))] = np.ones(60, dtype=np.float32)
    np.savez_compressed(tmp_path / "out" / "tests.npz", **edited)
    states = [one.state for cell in Record.load(tmp_path / "out").cells for one in cell.tests]
    assert sorted(states) == ["damaged", *["done"] * 5]
    # On another machine they come along.
    other = ExperimentFolder(tmp_path / "elsewhere")
    assert len(adopt(record, other)) == 6
    assert sorted(collect(grid, other).further) == sorted(record.further)


def test_a_report_is_not_replaced_by_one_that_lacks_scores(tmp_path: Path) -> None:
    grid = planned(TEN)
    experiment = finished(grid, tmp_path / "runs")
    collect(grid, experiment).save(tmp_path / "out")
    experiment.cell(grid.cells[0]).tests.forget(grid.cells[0].tests[0].key)
    with pytest.raises(UserError, match=r"1 scores of further tests that are not at hand here, such as test 10-way of"):
        write_report(grid, experiment, tmp_path / "out")


def test_records_without_further_tests_stay_as_they_were(tmp_path: Path) -> None:
    grid = planned()
    collect(grid, finished(grid, tmp_path / "runs")).save(tmp_path / "out")
    cells = json.loads((tmp_path / "out" / "cells.json").read_text())["cells"]
    assert all("tests" not in cell and "tests" not in cell["config"] for cell in cells)
    assert not (tmp_path / "out" / "tests.npz").exists()


def test_errors_of_lakes_runs_stand_among_the_published_ones(tmp_path: Path) -> None:
    grid = planned(LAKE)
    experiment = finished(grid, tmp_path / "runs")
    summary = write_report(grid, experiment, tmp_path / "out")
    table = summary.errors
    assert table is not None
    ours = of_test(summary.rows, "lake-oneshot")
    errors = {f"{row.label}, 8 channels": 1 - row.interval.mean for row in ours if row.interval}
    with (tmp_path / "out" / "table-lake-oneshot.csv").open() as file:
        read = {line["learner"]: float(line["error"]) for line in csv.DictReader(file)}
    published = {one["learner"]: one["error"] / 100 for one in published_errors()["values"]}
    assert read == pytest.approx(published | errors, abs=1e-6) and len(errors) == 2
    assert list(read.values()) == sorted(read.values())
    assert ours[0].interval is not None and ours[0].interval.episodes == 20
    page = (tmp_path / "out" / "report.html").read_text()
    assert "Lake&#39;s one-shot runs" in page and "recursive cortical network" in page
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    rebuild_report(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == before
    assert errors_table(of_test(summary.rows, "")) is None
