"""Tuning the methods of a small grid, mostly in this process."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from benchmark import data
from benchmark.cells.folder import CellFolder, ExperimentFolder
from benchmark.data.configs import DatasetConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.errors import UserError
from benchmark.execution import cell as cell_process
from benchmark.grid import Grid, read_grid
from benchmark.grid.source import dump, load
from benchmark.reporting.record import collect
from benchmark.reporting.summary import summarize
from benchmark.tuning import trials
from benchmark.tuning.search import Search
from benchmark.tuning.tuned_grid import write_tuned_grid
from tests.benchmark.helpers import htbench, main_here, write_grid
from tests.benchmark.tuning.in_this_process import InThisProcess

pytest.importorskip("optuna", reason="pip install 'htbench[tune]'")


@pytest.fixture
def grid(tmp_path: Path) -> Grid:
    """Two methods, one of which fails at every rate; overrides that are there already."""
    return read_grid(
        write_grid(
            tmp_path,
            grid={"method": ["linear-mean", "diverges"], "channels": [4, 8], "seed": [3, 4]},
            overrides=[{"when": {"method": "linear-mean"}, "train": {"learning_rate": 0.02}}],
            tune={"trials": 5, "steps": 4},
        )
    )


def tuned(grid: Grid, runs: Path, engine: InThisProcess, monkeypatch: pytest.MonkeyPatch) -> list[Search]:
    monkeypatch.setattr(trials, "execute", engine)
    searches = trials.searches_of(grid, grid.tune)
    trials.Tuning(grid, searches, ExperimentFolder(runs), lambda search, trial: None).run(workers=1, device="cpu")
    return searches


def outcomes(searches: list[Search]) -> list[list[tuple[object, ...]]]:
    return [[(t.point, t.accuracy, t.failure) for t in search.trials] for search in searches]


def test_interrupted_and_continued_gives_the_same_without_repeating_anything(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tuned(grid, tmp_path / "whole", InThisProcess(newest_first=True), monkeypatch)
    first = InThisProcess(cells=6)
    broken = tuned(grid, tmp_path / "broken", first, monkeypatch)
    assert not all(search.complete for search in broken)
    second = InThisProcess()
    continued = tuned(grid, tmp_path / "broken", second, monkeypatch)
    assert all(search.complete for search in continued)
    assert outcomes(continued) == outcomes(whole)
    assert len(first.done) == 6 and not set(first.done) & set(second.done)
    assert [len(search.trials) for search in whole] == [5, 5]

    good, bad = whole
    assert good.best is not None and good.best.accuracy == max(trial.accuracy or 0 for trial in good.trials)
    assert good.trials[0].point == {"train.learning_rate": 0.02, "model.dropout": 0.0}
    assert {(t.config.seed, t.config.model["channels"], t.config.train.steps) for t in good.trials} == {(3, 4, 4)}
    assert bad.best is None and all("not finite" in trial.failure for trial in bad.trials)


def test_the_chosen_settings_make_a_grid_that_runs_and_says_so(
    grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    searches = tuned(grid, tmp_path / "runs", InThisProcess(), monkeypatch)
    path = write_tuned_grid(grid, searches, grid.tune)
    assert path == grid.source.with_name("grid-tuned.yaml")
    chosen = read_grid(path)
    assert chosen.name == "small-tuned" and len(chosen.cells) == len(grid.cells)
    best = searches[0].best
    assert best is not None
    for before, after in zip(grid.cells, chosen.cells, strict=True):
        if after.method == "linear-mean":
            assert after.train.learning_rate == best.point["train.learning_rate"]
            assert after.model.get("dropout", 0.0) == best.point["model.dropout"]
            assert after.train.steps == before.train.steps  # the trials' budget is not the grid's
        else:  # every trial failed
            assert after == before
    text = path.read_text()
    assert f"# linear-mean: validation accuracy {best.accuracy:.2%} in trial {best.number + 1}" in text
    assert "searched train.learning_rate 0.0001 to 0.03 (logarithmic); model.dropout 0.0, 0.2" in text
    assert "# diverges: all 5 trials failed" in text
    summary = summarize(collect(chosen, ExperimentFolder(tmp_path / "nothing")))
    [note] = [note for note in summary.table.notes if note.startswith("tuned: ")]
    assert note.startswith("tuned: 5 trials of 4 steps for each method, on validation episodes only")
    assert f"learning_rate {best.point['train.learning_rate']}" in note


class Sealed(Mapping[str, ClassImages]):
    """Splits of which the test split must not be touched."""

    def __init__(self, splits: Mapping[str, ClassImages]) -> None:
        self.splits = splits

    def __getitem__(self, name: str) -> ClassImages:
        assert name != "test", "the test split was touched"
        return self.splits[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)


def test_a_trial_never_touches_the_test_split(grid: Grid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = data.load

    def sealed(config: DatasetConfig, root: Path | None = None) -> Dataset:
        dataset = real(config, root)
        return replace(dataset, splits=Sealed(dataset.splits))

    monkeypatch.setattr(data, "load", sealed)
    trial = Search(grid.cells[0], grid.axes, grid.tune).propose()[0].config
    store = CellFolder(tmp_path / "trial")
    store.create(trial)
    result = cell_process.run(store, "cpu")
    assert result.state == "done" and result.training is not None and result.training.best_validation_accuracy > 0
    assert result.test is None and not list(store.folder.glob("*.npy"))

    ordinary = CellFolder(tmp_path / "ordinary")
    ordinary.create(grid.cells[0])
    failure = cell_process.run(ordinary, "cpu").failure
    assert failure is not None and "the test split was touched" in failure.reason


def test_the_command(tmp_path: Path) -> None:
    """In a process of its own, as a user has it; the second time nothing is left to run."""
    grid = write_grid(tmp_path, grid={"method": ["linear-mean", "diverges"]}, tune={"trials": 3, "minutes": 9})
    command = ("tune", grid, "--trials", 1, "--minutes", 0.002, "--workers", 2, "--no-track", "--json")
    done = htbench(*command, cwd=tmp_path)
    assert done.returncode == 1, done.stderr  # a method of which every trial failed
    found = json.loads(done.stdout)
    assert [(m["method"], len(m["trials"])) for m in found["methods"]] == [("linear-mean", 1), ("diverges", 1)]
    assert found["methods"][0]["validation_accuracy"] == found["methods"][0]["trials"][0]["validation_accuracy"]
    assert all("diverged" in trial["failure"] for trial in found["methods"][1]["trials"])
    assert read_grid(Path(found["grid"])).name == "small-tuned"
    records = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs" / "small-tuning").glob("*/result.json")}
    assert len(records) == 2
    assert json.loads(main_here(*command, cwd=tmp_path).stdout) == found
    assert {path: path.stat().st_mtime_ns for path in records} == records


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"tune": {"trials": 0}}, "tune.trials should be at least 1, found 0"),
        ({"tune": {"trails": 3}}, "unknown key 'trails' in tune; did you mean 'trials'?"),
        ({"tune": {"steps": 3, "minutes": 3}}, "tune: give at most one of 'steps' and 'minutes'"),
        ({"tune": [3]}, "tune should be a section of 'key: value' lines, found a list"),
        ({"tuned": ["by hand"]}, "tuned should be text that the report shows, found a list"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, section: dict[str, object], message: str) -> None:
    path = write_grid(tmp_path, **section)
    with pytest.raises(UserError) as error:
        read_grid(path)
    place, _, told = str(error.value).partition(": ")
    assert told.startswith(message)
    line = path.read_text().splitlines()[int(place.rpartition(":")[2]) - 1]
    assert line.strip().startswith(next(iter(section))) or "tune" in section


def test_yaml_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Text that YAML 1.2, or 1.1, takes for a number, a truth value or nothing stays text."""
    texts = ["1e-3", "on", "10:30", "0o7", "~", "null", "true", "2026-01-01", "", "a: b", "- x", "ä ·", "1_000", ".5"]
    content = {"texts": texts, "numbers": [1e-05, 0.00591, 3, 1e22, True, None], "deep": [{"when": {"a": [1, 2]}}]}
    (tmp_path / "x.yaml").write_text(dump(content))
    assert load(tmp_path / "x.yaml")[0] == content
