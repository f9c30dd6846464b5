"""Pictures that are in two splits stay with the record, and the table says it."""

import json
from pathlib import Path

from benchmark.cells.result import Data
from benchmark.reporting.record import Record, collect
from benchmark.reporting.summary import summarize
from tests.benchmark.reporting.simulated import make_grid, simulate


def test_shared_pictures_are_said_of_their_rows_and_no_others(tmp_path: Path) -> None:
    grid = make_grid(channels=(8,), seeds=(0, 1))
    experiment = simulate(grid, tmp_path, lambda _: 0.8)
    for config in grid.cells:
        if config.method == "ht-all" and config.seed == 1:
            file = experiment.cell(config).folder / "result.json"
            content = json.loads(file.read_text())
            assert "shared_pictures" not in content["data"]
            content["data"]["shared_pictures"] = 1234
            file.write_text(json.dumps(content))
    record = collect(grid, experiment)
    record.save(tmp_path / "results")
    loaded = Record.load(tmp_path / "results")
    assert loaded.cells == record.cells
    table = summarize(loaded).table
    notes = {row["method"]: row["note"] for row in table.rows}
    assert notes == {"protonet": "", "ht-all": "1,234 pictures are in two splits"}
    assert sum(note.startswith("pictures in two splits: ") for note in table.notes) == 1


def test_records_without_any_stay_what_they_were() -> None:
    assert Data(name="x", sha256="y").model_dump() == {"name": "x", "sha256": "y"}
    assert Data(name="x", sha256="y", shared_pictures=2).model_dump()["shared_pictures"] == 2
