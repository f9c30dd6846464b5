"""A figure and a remark are each one entry in one list: whatever shows them asks the list."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.figure
import pytest
from matplotlib.figure import Figure as Picture

from benchmark.reporting import figures, rebuild_report, remarks, write_report
from benchmark.reporting.figures.figure import Figure
from benchmark.reporting.remarks.remark import Remark
from benchmark.reporting.rows import Row
from benchmark.reporting.tables import results
from tests.benchmark.reporting.simulated import make_grid, simulate


def counted(rows: Sequence[Row]) -> matplotlib.figure.Figure:
    picture = Picture()
    picture.subplots().barh(range(len(rows)), range(len(rows)))
    return picture


def test_one_entry_adds_a_figure_and_a_remark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = make_grid(channels=(8,))
    write_report(grid, simulate(grid, tmp_path / "runs", lambda _: 0.8), tmp_path / "out")
    page = tmp_path / "out" / "report.html"
    assert "How many rows" not in page.read_text()

    entry = Figure("row-count", "How many rows", "One bar for each row.", counted)
    monkeypatch.setattr(figures, "FIGURES", (*figures.FIGURES, entry))
    remark = Remark(lambda row: "of eight" if row.channels == 8 else "", "*Of eight*: the network has eight channels.")
    monkeypatch.setattr(results, "REMARKS", (*remarks.REMARKS, remark))
    rebuild_report(tmp_path / "out")

    assert (tmp_path / "out" / "row-count.svg").is_file()
    assert "How many rows" in page.read_text() and "One bar for each row." in page.read_text()
    table = (tmp_path / "out" / "table.md").read_text()
    assert "of eight" in table and "*Of eight*: the network has eight channels." in table
