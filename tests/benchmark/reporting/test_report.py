"""Reports from real run directories with simulated numbers."""

import base64
import csv
import json
import re
import shutil
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray
from rich.console import Console

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.errors import UserError
from benchmark.grid import Grid
from benchmark.reporting import Summary, print_table, rebuild_all, rebuild_report, write_report
from benchmark.reporting.findings import findings
from benchmark.reporting.page import resolved
from benchmark.reporting.record import Record, collect
from benchmark.reporting.rows import task_text
from benchmark.reporting.summary import summarize
from benchmark.reporting.tables.results import budget
from benchmark.reporting.tables.table import text
from benchmark.statistics import fit_prior, two_way_interval
from tests.benchmark.helpers import invoke
from tests.benchmark.reporting.simulated import fail, finish, make_grid, omniglot_sha256, simulate

SKILL = {"protonet": 0.80, "ht-all": 0.90}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Summary]:
    """A report of a grid in which one cell crashed and one was never started: its folder, the runs, the summary."""
    folder = tmp_path_factory.mktemp("report")
    grid = make_grid()
    experiment = simulate(grid, folder / "runs", lambda cell: SKILL[cell.method])
    fail(experiment, grid.cells[0], "ValueError: 3 < 4 & <script>alert(1)</script>")
    shutil.rmtree(experiment.cell(grid.cells[-1]).folder)
    looked_into = experiment.cell(grid.cells[-2]).folder / "inspect"
    looked_into.mkdir()
    (looked_into / "attention.svg").write_text("<svg/>")
    (looked_into / "attention.png").write_bytes(b"png")
    return folder / "results", folder / "runs", write_report(grid, experiment, folder / "results")


def test_a_report_is_rebuilt_byte_for_byte_without_the_runs(
    written: tuple[Path, Path, Summary], tmp_path: Path
) -> None:
    out, _, _ = written
    record = ("grid.yaml", "cells.json", "accuracies.npz")
    for name in record:
        shutil.copy(out / name, tmp_path / name)
    shutil.copytree(out / "inspect", tmp_path / "inspect")
    rebuild_report(tmp_path)
    before = {path.name: path.read_bytes() for path in out.rglob("*.*")}
    assert {path.name: path.read_bytes() for path in tmp_path.rglob("*.*")} == before
    assert before.keys() >= {"table.md", "table.csv", "table.tex", "report.html", "provenance.json"}
    for figure in ("accuracy-vs-channels", "accuracy-vs-size", "differences", "learning-curves"):
        assert before[f"{figure}.png"].startswith(b"\x89PNG")
        assert b"<svg" in before[f"{figure}.svg"]


def test_the_record_survives_saving(written: tuple[Path, Path, Summary], tmp_path: Path) -> None:
    out, _, summary = written
    loaded = Record.load(out)
    assert loaded.cells == summary.record.cells
    loaded.save(tmp_path)
    for name in ("grid.yaml", "cells.json", "accuracies.npz"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes()


def test_intervals_are_those_of_the_accuracies_on_disk(written: tuple[Path, Path, Summary]) -> None:
    out, runs, _ = written
    experiment = ExperimentFolder(runs / "simulated")
    with (out / "table.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    accuracy: dict[tuple[str, int], list[NDArray[np.floating]]] = {}
    for cell in experiment.cells():
        if cell.state() == "done":
            config = cell.config()
            accuracy.setdefault((config.method, config.model["channels"]), []).append(cell.test_accuracy())
    for row in rows:
        # Narrow and wide networks pool apart: of each width, the two methods.
        channels = int(row["model.channels"])
        pooled = [np.stack(of) for (_, width), of in accuracy.items() if width == channels]
        prior = fit_prior([float(of.mean(axis=1).var(ddof=1)) for of in pooled], [len(of) - 1 for of in pooled])
        assert prior is not None and prior.cells == 2
        expected = two_way_interval(np.stack(accuracy[row["method"], channels]), prior)
        assert float(row["accuracy"]) == pytest.approx(expected.mean, abs=1e-6)
        assert float(row["accuracy_half_width"]) == pytest.approx(expected.half_width, abs=1e-6)
        assert row["interval"] == "pooled seeds x episodes"


def test_failed_and_missing_cells_are_told(written: tuple[Path, Path, Summary]) -> None:
    out, _, summary = written
    table = (out / "table.md").read_text()
    assert "seed 0 crashed: ValueError: 3 < 4" in table
    assert "seed 2 missing" in table
    assert "incomplete: 10 of 12 cells done" in table
    assert text(summary.table.rows[0]["seeds"]) == "2/3"
    assert summary.sentences[0].startswith("Incomplete: 10 of 12")


def test_the_better_method_is_bold_and_named(written: tuple[Path, Path, Summary]) -> None:
    _, _, summary = written
    best = {row.setting_text: row.label for row in summary.rows if row.bold}
    assert best == {f"Omniglot 20-way 1-shot, {c} channels": "ht-all" for c in (8, 16)}
    assert "it beats protonet by" in summary.sentences[1]


def test_nothing_of_this_machine_is_kept(written: tuple[Path, Path, Summary]) -> None:
    out, _, _ = written
    assert "/opt/x" not in (out / "cells.json").read_text()
    for file in ("benchmark/training/trainer.py", "mine.py"):
        assert f'File \\"{file}\\"' in (out / "cells.json").read_text()


def test_provenance_names_everything_behind_the_numbers(written: tuple[Path, Path, Summary]) -> None:
    facts = json.loads((written[0] / "provenance.json").read_text())
    assert facts["commits"] == ["c" * 40]
    assert facts["hardware"] == [{"processor": "A Processor", "cores": 2, "device": "cpu"}]
    assert facts["datasets"] == [{"name": "omniglot", "sha256": omniglot_sha256()}]
    assert len(facts["test_episodes_sha256"]) == 1
    assert facts["training_hours"] == pytest.approx(10 * 1234.5 / 3600, abs=1e-3)


class _Page(HTMLParser):
    """Collects what a page loads, and checks that its tags nest."""

    VOID = frozenset({"meta", "input", "img", "br", "link", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.scripts = 0
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.loads += [value for key in ("src", "href") if (value := found.get(key))]
        self.ids += [value for key in ("id",) if (value := found.get(key))]
        self.scripts += tag == "script"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_runs_nothing_from_the_results(written: tuple[Path, Path, Summary]) -> None:
    html = (written[0] / "report.html").read_text()
    page = _Page()
    page.feed(html)
    assert not page.open
    assert page.scripts == 1
    assert all(load.startswith(("#", "data:image/svg+xml;base64,")) for load in page.loads)
    assert not [one for one in re.findall(r"url\(([^)]*)\)", html) if not (one[0] == "#" and one[1:] in page.ids)]
    assert not [one for one in re.findall(r'xlink:href="([^"]*)"', html) if not (one[0] == "#" and one[1:] in page.ids)]
    anchors = {load[1:] for load in page.loads if load.startswith("#")}
    assert anchors <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))
    assert "&lt;script&gt;alert(1)" in html


def test_the_page_says_which_method_to_pick_and_how_sure_that_is(written: tuple[Path, Path, Summary]) -> None:
    html = (written[0] / "report.html").read_text()
    choice = html[html.index('id="choice"') : html.index('id="by-channels"')]
    (at_8,) = [row for row in re.findall(r"<tr>.*?</tr>", choice, flags=re.DOTALL) if "8 channels" in row]
    assert "<strong>ht-all</strong>" in at_8
    assert ">sure<" in at_8
    assert re.search(r"it beats protonet by [\d.]+ points \([\d.]+ to [\d.]+, p ", at_8)


def test_the_page_holds_the_pictures_of_inspection_and_every_setting(written: tuple[Path, Path, Summary]) -> None:
    html = (written[0] / "report.html").read_text()
    pictures = html[html.index('id="pictures"') : html.index('id="unfinished"')]
    assert base64.b64encode(b"<svg/>").decode() in pictures
    settings = yaml.safe_load(resolved(written[2].record))
    assert settings["every cell"]["train.validation_episodes"] == 200  # a default
    assert settings["varies"] == {"method": ["protonet", "ht-all"], "model.channels": [8, 16], "seed": [0, 1, 2]}
    assert escape(resolved(written[2].record)) in html


def test_every_folder_is_rebuilt_by_one_command(written: tuple[Path, Path, Summary], tmp_path: Path) -> None:
    begun, not_begun = tmp_path / "results" / "begun", tmp_path / "results" / "not-begun"
    begun.mkdir(parents=True)
    for file in ("grid.yaml", "cells.json", "accuracies.npz"):
        shutil.copy(written[0] / file, begun / file)
    write_report(make_grid(seeds=(0,)), ExperimentFolder(tmp_path / "none"), not_begun)
    before = (not_begun / "report.html").read_bytes()
    (not_begun / "report.html").unlink()
    done = invoke("report", "--all", tmp_path / "results")
    assert done.exit_code == 0, done.output
    assert (begun / "table.md").read_bytes() == (written[0] / "table.md").read_bytes()
    assert (not_begun / "report.html").read_bytes() == before
    with pytest.raises(UserError, match="no folder that htbench report wrote"):
        list(rebuild_all(tmp_path))


def test_a_terminal_shows_the_table_and_the_findings(written: tuple[Path, Path, Summary]) -> None:
    console = Console(width=120, record=True, quiet=False, file=(written[0].parent / "terminal.txt").open("w"))
    print_table(written[2], console)
    console.file.close()
    text = console.export_text()
    assert "protonet: seed 0 crashed" in text
    assert all(f"{100 * row.interval.mean:.2f} ±" in text for row in written[2].rows if row.interval)


def test_one_seed_is_labelled(tmp_path: Path) -> None:
    grid = make_grid(seeds=(0,), channels=(8,))
    summary = summarize(collect(grid, simulate(grid, tmp_path, lambda cell: SKILL[cell.method])))
    intervals = [row.interval for row in summary.rows if row.interval]
    assert [interval.kind for interval in intervals] == ["episodes only"] * 2
    assert any(note.startswith("*: one seed") for note in summary.table.notes)
    assert all("*" in summary.table.cells(row)[1] for row in summary.table.rows)
    assert "with one seed methods are not compared" in summary.sentences[1]
    assert {row.standing for row in summary.rows} == {"one seed"} and not any(row.bold for row in summary.rows)
    assert [finding.sure for finding in findings(summary.rows)] == ["models"]


def test_of_many_beaten_methods_the_closest_are_named(tmp_path: Path) -> None:
    grid = make_grid(tuple("abcdefgh"), channels=(8,), seeds=(0, 1, 2))
    summary = summarize(
        collect(grid, simulate(grid, tmp_path, lambda cell: 0.9 - 0.05 * "abcdefgh".index(cell.method)))
    )
    gaps = {row.method: row.comparison.interval.mean for row in summary.rows if row.comparison and row.method != "a"}
    sentence = summary.sentences[1]
    assert re.findall(r"([a-h]) by [\d.]+ points \(", sentence) == list("bcdef")
    assert f"and 2 others by {100 * gaps['g']:.1f} points and more" in sentence


def test_methods_that_do_not_differ_are_all_bold(tmp_path: Path) -> None:
    grid = make_grid(("a", "b", "c"), channels=(8,), seeds=(0, 1, 2, 3), episodes=300)
    summary = summarize(
        collect(grid, simulate(grid, tmp_path, lambda cell: 0.6 if cell.method == "c" else 0.8, seed_sd=0.002))
    )
    assert {row.method for row in summary.rows if row.bold} == {"a", "b"}
    assert "b within a point of it" in summary.sentences[1] or "a within a point of it" in summary.sentences[1]


def test_seeds_tested_on_different_episodes_are_not_averaged(tmp_path: Path) -> None:
    grid = make_grid(channels=(8,))
    experiment = simulate(grid, tmp_path, lambda cell: SKILL[cell.method])
    finish(experiment, grid.cells[0], 0.8, episodes_sha256="0" * 64)
    rows = summarize(collect(grid, experiment)).rows
    assert rows[0].interval is None
    assert "different episodes" in rows[0].problems[0]
    assert rows[1].interval is not None


def test_methods_tested_on_different_episodes_are_not_compared(tmp_path: Path) -> None:
    grid = make_grid(channels=(8,))
    experiment = simulate(grid, tmp_path, lambda cell: SKILL[cell.method])
    for cell in grid.cells[:3]:
        finish(experiment, cell, 0.8, episodes_sha256="0" * 64)
    summary = summarize(collect(grid, experiment))
    assert all(row.interval is not None and row.comparison is None for row in summary.rows)
    assert not any(row.bold for row in summary.rows)
    assert "was not compared" in summary.sentences[1]


def test_a_grid_that_has_not_started_is_reported_as_such(tmp_path: Path) -> None:
    grid = make_grid(seeds=(0, 1), channels=(8,))
    summary = write_report(grid, ExperimentFolder(tmp_path / "none"), tmp_path / "out")
    assert [row["note"] for row in summary.table.rows] == ["seeds 0, 1 missing"] * 2
    assert not list((tmp_path / "out").glob("*.png"))
    assert "no results yet" in (tmp_path / "out" / "report.html").read_text()


def test_a_grid_of_one_cell(tmp_path: Path) -> None:
    grid = make_grid(("protonet",), channels=(8,), seeds=(0,))
    summary = summarize(collect(grid, simulate(grid, tmp_path, lambda _: 0.8)))
    assert len(summary.rows) == 1
    assert not summary.rows[0].bold


@pytest.mark.parametrize("name", ["cells.json", "accuracies.npz", "grid.yaml"])
def test_a_missing_or_damaged_record_is_the_users_to_mend(
    written: tuple[Path, Path, Summary], tmp_path: Path, name: str
) -> None:
    for source in ("cells.json", "accuracies.npz", "grid.yaml"):
        shutil.copy(written[0] / source, tmp_path / source)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=name):
        rebuild_report(tmp_path)
    if name != "grid.yaml":
        (tmp_path / name).write_text("{")
        with pytest.raises(UserError, match="damaged"):
            rebuild_report(tmp_path)


def test_a_task_is_named_with_its_unlabelled_images_and_distractors(tmp_path: Path) -> None:
    grid = make_grid(("protonet",), channels=(8,), seeds=(0,))
    episodes = {"ways": 5, "unlabelled": 4, "distractors": 3}
    config = CellConfig.model_validate(grid.cells[0].model_dump(exclude={"episodes"}) | {"episodes": episodes})
    for axes in ({}, {"episodes.distractors": (3,)}):
        (cell,) = collect(Grid("semi", (config,), axes, Path("x"), "name: semi\n"), ExperimentFolder(tmp_path)).cells
        assert task_text(cell) == "Omniglot 5-way 1-shot +4 unlabelled, 3 distractor classes"


@pytest.mark.parametrize(
    ("trainings", "expected"),
    [
        ([{"steps": 1000, "batch": 16}], "1,000 steps of 16 episodes"),
        ([{"minutes": 20, "batch": 1}], "20 min, steps of 1 episode"),
        ([{"minutes": 5, "batch": 8}, {"minutes": 5, "batch": 1}], "5 min, steps of 1 or 8 episodes"),
        (
            [*({"minutes": 2.5, "batch": size} for size in (8, 2, 4)), {"steps": 50, "batch": 2}],
            "2.5 min, steps of 2, 4 or 8 episodes; 50 steps of 2 episodes",
        ),
        ([{"steps": 10, "batch": "auto"}], "10 steps of as many episodes as fit into 8 GiB"),
    ],
)
def test_the_budget_names_every_size_of_a_step(
    tmp_path: Path, trainings: list[dict[str, object]], expected: str
) -> None:
    settings = make_grid(("protonet",), channels=(8,), seeds=(0,)).cells[0].model_dump(exclude={"train"})
    cells = tuple(CellConfig.model_validate(settings | {"train": train}) for train in trainings)
    assert budget(collect(Grid("sizes", cells, {}, Path("x"), "name: sizes\n"), ExperimentFolder(tmp_path))) == expected
