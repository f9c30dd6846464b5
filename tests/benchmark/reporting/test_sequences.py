"""Reports of task sequences: figures show the matrices, and all of it can be rebuilt."""

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.result import Continual
from benchmark.grid import Grid
from benchmark.reporting import Summary, rebuild_report, write_report
from benchmark.reporting.figures.sequences import average, first_task, matrices
from benchmark.scoring.forgetting import average_accuracy, backward_transfer, forgetting
from benchmark.statistics import primary_interval
from tests.benchmark.reporting.simulated import finish

METHODS = ("ht-continual", "protonet-continual")
SCENARIOS = ("class-incremental", "task-incremental", "mini-batch")
TRAINED, FOLLOWED, EPISODES = 3, 4, 20


def make_grid(scenarios: Sequence[str] = SCENARIOS) -> Grid:
    cells = tuple(
        CellConfig.model_validate(
            {
                "dataset": {"name": "omniglot"},
                "episodes": {"ways": 5, "shots": 1, "tasks": TRAINED, "scenario": scenario},
                "method": method,
                "model": {"channels": 8},
                "train": {"steps": 1000, "validate_every": 100},
                "test": {"episodes": EPISODES, "tasks": FOLLOWED},
                "seed": seed,
            }
        )
        for scenario in scenarios
        for method in METHODS
        for seed in (0, 1)
    )
    axes = {"episodes.scenario": tuple(scenarios), "method": METHODS, "seed": (0, 1)}
    return Grid("simulated", cells, axes, Path("simulated.yaml"), "name: simulated\nmethod: ht-continual\n")


def simulate(grid: Grid, runs: Path) -> ExperimentFolder:
    """Cells as they finish, with matrices of random accuracies."""
    experiment = ExperimentFolder(runs / grid.name)
    for config in grid.cells:
        finish(experiment, config, 0.8)
        draw = np.random.default_rng(int(config.key, 16))
        tasks = 1 if config.episodes.scenario == "mini-batch" else FOLLOWED
        known = np.tril(np.ones((FOLLOWED, FOLLOWED), bool))[:, :tasks] | (tasks == 1)
        values = np.where(known, draw.integers(10, 26, (EPISODES, FOLLOWED, tasks)) / 25, np.nan).astype(np.float32)
        store, mean = experiment.cell(config), values.mean(axis=0, dtype="float64")
        result = store.result()
        assert result is not None
        measures = [tuple(of(mean).tolist()) for of in (average_accuracy, forgetting, backward_transfer)]
        record = Continual(
            average_accuracy=measures[0],
            forgetting=measures[1],
            backward_transfer=measures[2],
            carried=(100, 200, 300, 400),
            sha256="e" * 64,
        )
        store.write_result(result.model_copy(update={"continual": record}), test_matrices=values)
    return experiment


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ExperimentFolder, Summary]:
    folder = tmp_path_factory.mktemp("continual")
    experiment = simulate(make_grid(), folder / "runs")
    return folder / "results", experiment, write_report(make_grid(), experiment, folder / "results")


def test_rebuilt_byte_for_byte_from_the_record(written: tuple[Path, ExperimentFolder, Summary], tmp_path: Path) -> None:
    out, _, _ = written
    for name in ("grid.yaml", "cells.json", "accuracies.npz", "matrices.npz"):
        shutil.copy(out / name, tmp_path / name)
    rebuild_report(tmp_path)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    for figure in ("continual-first-task", "continual-average", "continual-matrices"):
        assert before[f"{figure}.png"].startswith(b"\x89PNG")
        assert b"<svg" in before[f"{figure}.svg"]


def test_lines_are_the_intervals_of_the_matrices_on_disk(written: tuple[Path, ExperimentFolder, Summary]) -> None:
    _, experiment, summary = written
    figures = (
        (average, lambda r: np.nanmean(r, axis=-1), SCENARIOS),
        (first_task, lambda r: r[..., 0], SCENARIOS[:2]),
    )
    for draw, measure, scenarios in figures:
        figure = draw(summary.rows)
        assert figure is not None and len(figure.axes) == len(scenarios)
        for axes, scenario in zip(figure.axes, scenarios, strict=True):
            assert scenario in axes.get_title().replace("\n", " ")
            assert [line.get_xdata() for line in axes.get_lines() if line.get_linestyle() == ":"] == [[3, 3]]
            for container, method in zip(axes.containers, METHODS, strict=True):
                assert isinstance(container, ErrorbarContainer)
                cells = [
                    cell.test_matrices().astype(float)
                    for cell in experiment.cells()
                    if (cell.config().method, cell.config().episodes.scenario) == (method, scenario)
                ]
                by_step = np.moveaxis(measure(np.stack(cells)), -1, 0)
                intervals = [primary_interval(values) for values in by_step]
                assert container.lines[0].get_ydata() == pytest.approx([100 * one.mean for one in intervals])
                spans = [np.ptp(segment[:, 1]) for segment in container.lines[2][0].get_segments()]
                assert spans == pytest.approx([200 * one.half_width for one in intervals])


def test_the_heat_map_shows_what_is_known(written: tuple[Path, ExperimentFolder, Summary]) -> None:
    _, _, summary = written
    figure = matrices(summary.rows)
    assert figure is not None
    panels = [axes for axes in figure.axes if axes.get_title()]
    shown = [row for row in summary.rows if "mini-batch" not in row.setting_text]
    assert len(panels) == len(shown) == 4
    for axes, row in zip(panels, shown, strict=True):
        assert row.matrices is not None
        mean = 100 * row.matrices.mean(axis=(0, 1))
        told = {text.get_position(): text.get_text() for text in axes.texts}
        expected = {(i + 1, t + 1): f"{mean[t, i]:.0f}" for t in range(4) for i in range(t + 1)}
        assert told == expected


def test_the_table_tells_what_was_kept(written: tuple[Path, ExperimentFolder, Summary]) -> None:
    out, experiment, _ = written
    with (out / "table.csv").open() as file:
        row = next(csv.DictReader(file))
    cells = [c for c in experiment.cells() if c.config().method == "ht-continual"]
    cells = [c for c in cells if c.config().episodes.scenario == "class-incremental"]
    means = [c.test_matrices().mean(0) for c in cells]
    assert float(row["forgetting"]) == pytest.approx(100 * np.mean([forgetting(m)[2] for m in means]), abs=1e-3)
    assert float(row["backward_transfer"]) == pytest.approx(
        100 * np.mean([backward_transfer(m)[2] for m in means]), abs=1e-3
    )
    assert row["carried"] == "300"
    assert "5-way 1-shot, 3 tasks, class-incremental" in (out / "table.md").read_text()
    assert "mini-batch" in (out / "table.md").read_text()


def test_single_tasks_have_none_of_it() -> None:
    assert average([]) is None and first_task([]) is None and matrices([]) is None
