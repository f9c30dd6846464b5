"""Results as frames, against the files they come from."""

import json
from pathlib import Path

import numpy as np
import pytest

import benchmark
from tests.benchmark.helpers import write_grid

ROOT = Path(__file__).parents[3]


def test_a_frame_has_a_row_for_every_cell_of_a_committed_report() -> None:
    folder = ROOT / "results" / "omniglot-semi"
    cells = json.loads((folder / "cells.json").read_text())["cells"]
    results = benchmark.load_results(folder)
    frame = results.to_frame()
    assert list(frame.key) == [cell["key"] for cell in cells]
    for row, cell in zip(frame.to_dict("records"), cells, strict=True):
        assert row["accuracy"] == cell["result"]["test"]["accuracy"] and row["state"] == cell["state"]
        assert row["method"] == cell["config"]["method"] and row["seed"] == cell["config"]["seed"]
    with np.load(folder / "accuracies.npz") as arrays:
        long = results.to_frame(episodes=True)
        assert len(long) == sum(len(array) for array in arrays.values())
        for key, group in long.groupby("key"):
            assert np.array_equal(group.accuracy.to_numpy(), arrays[str(key)])
            assert list(group.episode) == list(range(len(group)))


def test_what_fails_and_what_is_missing_are_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_grid(tmp_path, grid={"method": ["linear-mean", "crashes"], "train.learning_rate": [1e-3, 1e-2]})
    with pytest.raises(benchmark.UserError, match="no cell has"):
        benchmark.run(path, runs=tmp_path / "runs", only=["method=protonet"])
    only = ["train.learning_rate=0.01"]
    results = benchmark.run(path, runs=tmp_path / "runs", only=only, workers=2, device="cpu", progress=False)
    assert capsys.readouterr().out == ""
    frame = results.to_frame().set_index(["method", "train.learning_rate"])
    assert frame.state.to_dict() == {
        ("linear-mean", 0.001): "missing",
        ("linear-mean", 0.01): "done",
        ("crashes", 0.001): "missing",
        ("crashes", 0.01): "failed",
    }
    assert "the third step is too much" in frame.note["crashes", 0.01]
    long = results.to_frame(episodes=True)
    assert len(long) == 30 and set(long["train.learning_rate"]) == {0.01}
    assert long.accuracy.mean() == pytest.approx(frame.accuracy["linear-mean", 0.01], abs=1e-6)
    assert list(benchmark.load_results(path, tmp_path / "elsewhere").to_frame(episodes=True).columns) == list(long)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(benchmark.UserError, match="nowhere"):
        benchmark.load_results(tmp_path / "nowhere.yaml")
    with pytest.raises(benchmark.UserError, match=r"cells\.json is missing"):
        benchmark.load_results(tmp_path)
