"""Test episodes by domain: recorded beside their accuracies, checked like them, and a row for each."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cells.arrays import npy_bytes
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.execution import cell as execution
from benchmark.grid import Grid
from benchmark.reporting.adopt import adopt
from benchmark.reporting.record import DOMAINS, Record, collect
from benchmark.reporting.rows import make_rows
from benchmark.reporting.summary import summarize
from tests.benchmark.data.test_mixture import SMALL

OF = {"upper": {**SMALL, "seed": 1}, "lower": {**SMALL, "seed": 2}}


def make_grid(dataset: dict[str, Any] | None = None) -> Grid:
    cells = tuple(
        CellConfig.model_validate(
            {
                "dataset": dataset or {"name": "mixture", "of": OF},
                "episodes": {"ways": 3, "shots": 1, "queries": 2},
                "method": "protonet",
                "model": {"channels": 4},
                "train": {"steps": 2, "batch": 2, "validate_every": 1, "validation_episodes": 4},
                "test": {"episodes": 40, "ensemble": 2},
                "seed": seed,
            }
        )
        for seed in (0, 1)
    )
    return Grid("domains", cells, {"seed": (0, 1)}, Path("domains.yaml"), "name: domains\n")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> ExperimentFolder:
    experiment = ExperimentFolder(tmp_path_factory.mktemp("runs") / "domains")
    for config in make_grid().cells:
        experiment.cell(config).create(config)
        assert execution.run(experiment.cell(config), "cpu").state == "done"
    return experiment


def test_the_record_has_every_episodes_domain(experiment: ExperimentFolder) -> None:
    store = experiment.cell(make_grid().cells[0])
    result, accuracy, domains = store.result(), store.test_accuracy(), store.test_domains()
    assert result is not None and result.test is not None and domains is not None and result.ensemble is not None
    assert [one.name for one in result.test.domains] == ["lower", "upper"] == [d.name for d in result.ensemble.domains]
    for place, one in enumerate(result.test.domains):
        assert one.episodes == int((domains == place).sum()) > 10
        assert one.accuracy == pytest.approx(float(accuracy[domains == place].mean()))
    assert "test_domains.npy" in result.sha256


def test_a_row_for_each_domain_and_one_over_all(experiment: ExperimentFolder) -> None:
    record = collect(make_grid(), experiment)
    rows = [row for row in make_rows(record) if not row.ensemble]
    assert [row.domain for row in rows] == [None, "lower", "upper"]
    whole, *apart = (row.accuracy for row in rows)
    assert whole is not None
    places = record.domains[record.cells[0].key]
    for place, accuracy in enumerate(apart):
        assert accuracy is not None and np.array_equal(accuracy, whole[:, places == place])
    assert rows[1].setting_text == "mixture (lower, upper) 3-way 1-shot, lower tasks"
    assert len({row.setting for row in rows}) == len({row.task for row in rows}) == 3
    assert len({row.scores.episodes_sha256 for row in rows}) == 3
    table = summarize(record).table
    assert [row["domain"] for row in table.rows] == ["all", "lower", "upper", "all"]  # the last is the ensemble


def test_domains_survive_a_report_and_adoption(experiment: ExperimentFolder, tmp_path: Path) -> None:
    record = collect(make_grid(), experiment)
    record.save(tmp_path / "results")
    assert DOMAINS in record.files
    loaded = Record.load(tmp_path / "results")
    assert loaded.cells == record.cells
    assert all(np.array_equal(loaded.domains[key], record.domains[key]) for key in record.accuracy)
    assert len(adopt(loaded, ExperimentFolder(tmp_path / "elsewhere"))) == 2
    assert collect(make_grid(), ExperimentFolder(tmp_path / "elsewhere")).domains.keys() == record.domains.keys()


@pytest.mark.parametrize("change", ["another", "short", "without hash"])
def test_domains_that_are_not_the_records_are_found_out(
    experiment: ExperimentFolder, tmp_path: Path, change: str
) -> None:
    record = collect(make_grid(), experiment)
    cell = record.cells[0]
    domains = record.domains[cell.key].copy()
    domains[:5] = 1 - domains[:5]
    record.domains[cell.key] = domains[:-1] if change == "short" else domains
    if change == "without hash":  # as if somebody had edited the record, too
        assert cell.result is not None
        hashes = {name: digest for name, digest in cell.result.sha256.items() if name != "test_domains.npy"}
        edited = cell.model_copy(update={"result": cell.result.model_copy(update={"sha256": hashes})})
        record = replace(record, cells=(edited, *record.cells[1:]))
    record.save(tmp_path)
    loaded = Record.load(tmp_path)
    assert [one.state for one in loaded.cells] == ["damaged", "done"]
    assert "domains.npz" in loaded.cells[0].note


def test_a_cells_folder_with_other_domains_is_damaged(tmp_path: Path) -> None:
    grid, experiment = make_grid(), ExperimentFolder(tmp_path)
    store = experiment.cell(grid.cells[0])
    store.create(grid.cells[0])
    execution.run(store, "cpu")
    assert store.state() == "done"
    (store.folder / "test_domains.npy").write_bytes(npy_bytes(np.zeros(40), np.uint16))
    assert store.state() == "damaged" and "test_domains.npy" in store.damage()


def test_views_of_one_data_set_are_domains_too(tmp_path: Path) -> None:
    grid, experiment = make_grid({**SMALL, "domains": ["identity", "invert"]}), ExperimentFolder(tmp_path)
    for config in grid.cells:
        experiment.cell(config).create(config)
        execution.run(experiment.cell(config), "cpu")
    rows = make_rows(collect(grid, experiment))
    assert [row.domain for row in rows if not row.ensemble] == [None, "identity", "invert"]
