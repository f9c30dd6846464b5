"""Figures show the numbers of the table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from benchmark.cells.config import CellConfig
from benchmark.figure_style import looks
from benchmark.grid import Grid
from benchmark.reporting.figures.accuracy import (
    accuracy_vs_channels,
    accuracy_vs_size,
    accuracy_vs_time,
    accuracy_vs_unlabelled,
    differences,
    learning_curves,
)
from benchmark.reporting.figures.layers import generated_layers
from benchmark.reporting.record import collect
from benchmark.reporting.rows import Row, make_rows
from benchmark.statistics import compare
from tests.benchmark.reporting.simulated import make_grid, simulate


def rows_of(tmp_path: Path, channels: tuple[int, ...] = (8, 16), shots: tuple[int, ...] = (1,)) -> list[Row]:
    grid = make_grid(channels=channels, shots=shots)
    return make_rows(collect(grid, simulate(grid, tmp_path, lambda c: 0.8 + 0.1 * (c.method == "ht-all"))))


def test_accuracy_against_channels_shows_every_interval(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    figure = accuracy_vs_channels(rows)
    assert figure is not None
    (axes,) = figure.axes
    shown = {}
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        for segment in container.lines[2][0].get_segments():
            shown[round(float(np.mean(segment[:, 1])), 3)] = round(float(np.ptp(segment[:, 1])) / 2, 3)
    expected = {round(100 * r.interval.mean, 3): round(100 * r.interval.half_width, 3) for r in rows if r.interval}
    assert shown == pytest.approx(expected, abs=2e-3)


def test_one_wide_interval_does_not_hide_the_others(tmp_path: Path) -> None:
    narrow = rows_of(tmp_path)  # accuracies of 0.8 and 0.9
    assert narrow[0].interval is not None
    wide = [replace(narrow[0], interval=replace(narrow[0].interval, low=0.1, high=1.5)), *narrow[1:]]
    for rows, cut in ((narrow, False), (wide, True)):
        figure = accuracy_vs_channels([replace(row, published=()) for row in rows])
        assert figure is not None
        low, high = figure.axes[0].get_ylim()
        means = [100 * row.interval.mean for row in rows if row.interval]
        if cut:
            assert (low, high) == pytest.approx((min(means) - 15, 102))
        else:
            assert min(means) - 5 < low < min(means) < max(means) < high < max(means) + 5


def test_one_panel_per_task_and_per_setting(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, shots=(1, 5))
    by_task, by_setting = accuracy_vs_channels(rows), learning_curves(rows)
    assert by_task is not None and by_setting is not None
    assert [axes.get_title() for axes in by_task.axes] == ["Omniglot 20-way 1-shot", "Omniglot 20-way 5-shot"]
    assert len(by_setting.axes) == 4


def test_one_width_is_shown_too_and_sizes_alike_are_told_apart(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, channels=(8,))
    by_channels, by_size = accuracy_vs_channels(rows), accuracy_vs_size(rows)
    assert by_channels is not None and by_size is not None
    assert [label.get_text() for label in by_channels.axes[0].get_xticklabels()] == ["8"]
    assert by_size.axes[0].get_xscale() == "linear"  # a logarithmic axis would label 1.8 and 1.9 thousand alike
    assert accuracy_vs_size([row for row in rows if row.method == "protonet"]) is None


def test_the_forest_has_one_row_per_comparison(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    figure = differences(rows)
    assert figure is not None
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    headings = [text.get_text() for text in figure.axes[0].texts]
    assert names == ["\N{HORIZONTAL ELLIPSIS} protonet"] * 2
    assert len(headings) == 2
    assert all(": ht-all \N{MINUS SIGN}" in heading for heading in headings)


def test_looks_differ_without_colour() -> None:
    found = looks([f"m{i}" for i in range(9)])
    assert len({(look.marker, str(look.linestyle)) for look in found.values()}) == 9


def test_accuracy_against_unlabelled_has_one_line_per_depth(tmp_path: Path) -> None:
    cells = tuple(
        CellConfig.model_validate(
            {
                "dataset": {"name": "omniglot"},
                "episodes": {"ways": 5, "unlabelled": unlabelled},
                "method": "ht-logits",
                "model": {"channels": 8, "transformer_layers": layers},
                "train": {"steps": 1000},
                "test": {"episodes": 30},
            }
        )
        for unlabelled in (0, 2, 8)
        for layers in (1, 3)
    )
    axes = {"episodes.unlabelled": (0, 2, 8), "model.transformer_layers": (1, 3)}
    grid = Grid("semi", cells, axes, Path("semi.yaml"), "name: semi\n")
    rows = make_rows(collect(grid, simulate(grid, tmp_path, lambda c: 0.8 + 0.02 * c.episodes.unlabelled)))
    figure = accuracy_vs_unlabelled(rows)
    assert figure is not None
    (panel,) = figure.axes
    assert panel.get_title() == "Omniglot 5-way 1-shot"
    lines = {str(one.get_label()): one for one in panel.containers if isinstance(one, ErrorbarContainer)}
    assert set(lines) == {"ht-logits, transformer layers 1", "ht-logits, transformer layers 3"}
    for label, line in lines.items():
        x, y = line.lines[0].get_data()
        assert np.asarray(x).tolist() == [0, 2, 8]
        assert np.asarray(y).tolist() == [100 * row.interval.mean for row in rows if row.line == label and row.interval]
    assert accuracy_vs_unlabelled(rows_of(tmp_path / "without")) is None


def test_accuracy_against_time_is_at_the_measured_milliseconds(tmp_path: Path) -> None:
    rows = rows_of(tmp_path)
    figure = accuracy_vs_time(rows)
    assert figure is not None
    (axes,) = figure.axes
    for container in axes.containers:
        assert isinstance(container, ErrorbarContainer)
        members = [row for row in rows if row.line == container.get_label()]
        tests = [row.results[0].test for row in members]
        assert np.asarray(container.lines[0].get_xdata()) == pytest.approx(
            [1000 * t.seconds_per_task for t in tests if t and t.seconds_per_task]
        )
    assert sorted(text.get_text() for text in axes.texts) == sorted(str(row.channels) for row in rows)
    # Records from before it was measured have no such figure.
    older = [row_without_times(row) for row in rows]
    assert accuracy_vs_time(older) is None


def row_without_times(row: Row) -> Row:
    cells = []
    for cell in row.cells:
        assert cell.result is not None and cell.result.test is not None
        test = cell.result.test.model_copy(update={"seconds_per_task": None})
        cells.append(cell.model_copy(update={"result": cell.result.model_copy(update={"test": test})}))
    return replace(row, cells=tuple(cells))


def test_generated_layers_show_the_paired_gain_and_the_oracle(tmp_path: Path) -> None:
    grid = make_grid(("protonet", "ht-logits", "ht-all", "oracle"), (4, 8), (5,), (0, 1))
    skill = {"protonet": 0.7, "ht-logits": 0.8, "ht-all": 0.84, "oracle": 0.95}
    rows = make_rows(collect(grid, simulate(grid, tmp_path, lambda cell: skill[cell.method])))
    figure = generated_layers(rows)
    assert figure is not None
    above, below = figure.axes
    assert [one.get_label() for one in above.containers] == ["ht-logits", "ht-all", "oracle"]
    of = {(row.method, row.channels): row for row in rows}
    for container, channels in zip(below.containers, (4, 8), strict=True):
        assert isinstance(container, ErrorbarContainer)
        gain = compare(of["ht-all", channels].scores, of["ht-logits", channels].scores).interval
        assert np.asarray(container.lines[0].get_ydata()) == pytest.approx([100 * gain.mean])
        assert np.ptp(container.lines[2][0].get_segments()[0][:, 1]) == pytest.approx(200 * gain.half_width)
    # Table 4 of the paper: 82.0 - 77.9 and 94.6 - 94.4.
    crosses = [float(np.asarray(line.get_ydata())[0]) for line in below.get_lines() if line.get_marker() == "x"]
    assert crosses == pytest.approx([4.1, 0.2])
    # The oracle sees more than the others: it is neither the best nor compared.
    assert all(of["ht-all", channels].tied_with_best for channels in (4, 8))
    assert of["oracle", 4].comparison is None and not of["oracle", 4].tied_with_best
    assert generated_layers([row for row in rows if row.method != "ht-all"]) is None
