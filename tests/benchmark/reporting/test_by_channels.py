"""Methods by channels, with published numbers beneath."""

import pytest

from benchmark.reporting.record import Record, collect
from benchmark.reporting.rows import Row, make_rows
from benchmark.reporting.tables.by_channels import channels_table
from benchmark.reporting.tables.table import Estimate, Table
from tests.benchmark.reporting.simulated import fail, make_grid, simulate


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Record:
    """Two tasks, two widths; one cell of ht-all failed, and all of maml++ at 8 channels and 5 shots."""
    grid = make_grid(("protonet", "ht-all", "maml++"), (4, 8), (1, 5), (0, 1))
    experiment = simulate(
        grid, tmp_path_factory.mktemp("channels"), lambda cell: 0.9 if cell.method == "ht-all" else 0.8
    )
    failing = [c for c in grid.cells if (c.model["channels"], c.episodes.shots) == (8, 5)]
    for config in [c for c in failing if c.method == "maml++"] + [c for c in failing if c.method == "ht-all"][:1]:
        fail(experiment, config)
    return collect(grid, experiment)


@pytest.fixture(scope="module")
def rows(record: Record) -> list[Row]:
    return make_rows(record)


def table_of(record: Record, rows: list[Row]) -> Table:
    table = channels_table(record, rows)
    assert table is not None
    return table


def test_every_row_of_the_results_has_its_cell(record: Record, rows: list[Row]) -> None:
    table = table_of(record, rows)
    assert [column.title for column in table.columns] == ["task", "method", "4 channels", "8 channels"]
    cells = {(line["task"], line["method"], c): line.get(c) for line in table.rows for c in ("4", "8")}
    for row in rows:
        value = cells[row.setting_text.rpartition(",")[0], row.method, str(row.channels)]
        if row.interval is None:
            assert value == "seeds 0, 1 crashed"
        else:
            assert isinstance(value, Estimate)
            assert (value.mean, value.half_width) == (row.interval.mean, row.interval.half_width)
            assert value.best == row.bold
            assert ("\N{DAGGER}" in value.mark) == (len(row.seeds) < 2)


def test_published_numbers_are_below_with_difference_verdict_version_and_protocol(
    record: Record, rows: list[Row]
) -> None:
    table = table_of(record, rows)
    lines = [line for line in table.rows if line["task"] == "Omniglot 20-way 5-shot"]
    names = [str(line["method"]) for line in lines]
    below = lines[names.index("ht-all") + 1 : names.index("maml++")]
    measured = lines[names.index("ht-all")]["4"]
    assert isinstance(measured, Estimate)
    # Table 4 of v3, and Table 1 of v1 and v3, which starts at 8 channels.
    assert [line.get("4") for line in below] == [f"82.0 (+{100 * measured.mean - 82:.1f}, outside)", None]
    assert [str(line["8"]).partition(" ")[0] for line in below] == ["94.6", "94.7"]
    notes = "\n".join(table.notes)
    assert "Table 4 (appendix I), v3; confidence: medium" in notes
    assert "Table 1, v1 and v3; confidence: high" in notes
    assert notes.count("four million steps") == 1


def test_a_failed_row_keeps_its_published_number(record: Record, rows: list[Row]) -> None:
    lines = [line for line in table_of(record, rows).rows if line["task"] == "Omniglot 20-way 5-shot"]
    at = [line["method"] for line in lines].index("maml++")
    assert lines[at]["8"] == "seeds 0, 1 crashed"
    assert lines[at + 1]["8"] == "83.2"


def test_one_task_needs_no_column_and_one_width_no_table(record: Record, rows: list[Row]) -> None:
    one_shot = [row for row in rows if row.cells[0].config.episodes.shots == 1]
    assert [column.key for column in table_of(record, one_shot).columns] == ["method", "4", "8"]
    assert channels_table(record, [row for row in rows if row.channels == 4]) is None
