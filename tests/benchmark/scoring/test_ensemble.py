"""The best checkpoints of a training, tested as one method in a row of their own."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark import data
from benchmark.cells import checkpoint
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.cells.metrics import VALIDATION_ACCURACY
from benchmark.cells.result import EnsembleScore
from benchmark.episodes.draw import stream
from benchmark.episodes.sampling import sample
from benchmark.execution.cell import FolderKeeper, run
from benchmark.reporting import rebuild_report, write_report
from benchmark.reporting.rows import make_rows
from benchmark.scoring.ensemble import Ensemble
from benchmark.training.build import build
from methods import registry
from tests.benchmark.helpers import SCRATCH_METHODS
from tests.benchmark.reporting.simulated import make_grid, simulate
from tests.benchmark.trained_runs import configure

registry.load_plugin(SCRATCH_METHODS)


def cell(size: int, method: str = "linear-mean") -> CellConfig:
    """Five validations, whose accuracies differ."""
    train = {"batch": 4, "steps": 10, "validate_every": 2, "validation_episodes": 10, "learning_rate": 0.05}
    model = {"dropout": 0.3} if method == "linear-mean" else {"inner_steps": 2, "channels": 4}
    return configure(method, model=model, train=train, test={"episodes": 8, "ensemble": size})


def finished(folder: Path, config: CellConfig) -> CellFolder:
    store = CellFolder(folder)
    store.create(config)
    result = run(store, "cpu")
    assert result.state == "done", result.failure
    return store


def ask(config: CellConfig, size: int | None) -> CellConfig:
    return config.model_copy(update={"test": config.test.model_copy(update={"ensemble": size})})


def members(store: CellFolder) -> list[str]:
    return sorted(path.name for path in store.folder.glob("member-*.pt"))


def test_an_ensemble_of_one_is_the_single_model(tmp_path: Path) -> None:
    store = finished(tmp_path, cell(1))
    assert np.array_equal(store.ensemble_accuracy(), store.test_accuracy())
    result = store.result()
    assert result is not None and result.test and result.ensemble and result.training
    assert result.ensemble.steps == (result.training.best_step,)
    assert (result.ensemble.accuracy, result.ensemble.sha256) == (result.test.accuracy, result.test.sha256)
    assert members(store) == [f"member-{result.training.best_step}.pt"]


@pytest.mark.parametrize("method", ["linear-mean", "maml++"])
def test_an_ensemble_averages_the_logits_of_the_best_checkpoints(tmp_path: Path, method: str) -> None:
    """Against a loop over episodes and checkpoints in float64."""
    config = cell(3, method)
    store = finished(tmp_path, config)
    result = store.result()
    assert result is not None and result.ensemble is not None and result.ensemble.seconds_per_task
    ranked = sorted((-line.values[VALIDATION_ACCURACY], line.step) for line in store.metrics())
    assert result.ensemble.steps == tuple(step for _, step in ranked[:3])
    assert members(store) == sorted(f"member-{step}.pt" for step in result.ensemble.steps)

    dataset = data.load(config.dataset)
    learners = [build(config, dataset).double().eval() for _ in result.ensemble.steps]
    for learner, step in zip(learners, result.ensemble.steps, strict=True):
        learner.load_state_dict(checkpoint.load(store.member_checkpoint(step))["method"])
    accuracy: list[float] = []
    for index in range(config.test.episodes):
        one = sample(dataset.splits["test"], config.test_episodes, stream("test", config.test.seed), index, 1)
        one = one.to(dtype=torch.float64)
        total = sum(learner(one).detach() for learner in learners)
        assert isinstance(total, torch.Tensor)
        assert torch.allclose(Ensemble(learners)(one), total / 3, rtol=1e-12, atol=1e-12)
        accuracy.append(float((total.argmax(-1) == one.query_labels).double().mean()))
    assert store.ensemble_accuracy() == pytest.approx(np.array(accuracy), abs=1e-6)


@pytest.mark.parametrize("method", ["ht-all", "rfs"])
def test_every_method_can_be_an_ensemble(tmp_path: Path, method: str) -> None:
    config = configure(method, test={"episodes": 4, "ensemble": 2})
    result = finished(tmp_path, config).result()
    assert result is not None and result.ensemble is not None and len(result.ensemble.steps) == 2


@pytest.mark.parametrize("saves", [1, 4])
def test_interrupted_before_a_checkpoint_and_continued_gives_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saves: int
) -> None:
    """Killed when a member is already written, but not the state that names it."""
    whole, broken = finished(tmp_path / "whole", cell(2)), CellFolder(tmp_path / "broken")
    broken.create(cell(2))
    saved: list[int] = []

    def keep_last(keeper: FolderKeeper, state: dict[str, Any], real: Any = FolderKeeper.keep_last) -> None:
        if len(saved) == saves:
            raise KeyboardInterrupt
        saved.append(state["progress"]["step"])
        real(keeper, state)

    with monkeypatch.context() as patched:
        patched.setattr(FolderKeeper, "keep_last", keep_last)
        with pytest.raises(KeyboardInterrupt):
            run(broken, "cpu")
    assert len(members(broken)) <= 3
    assert run(broken, "cpu").state == "done"
    assert members(broken) == members(whole)
    assert np.array_equal(broken.ensemble_accuracy(), whole.ensemble_accuracy())


def test_a_grid_without_ensembles_keeps_its_cells(tmp_path: Path) -> None:
    plain = configure("linear-mean")
    assert plain.key == ask(plain, None).key != ask(plain, 5).key
    assert members(finished(tmp_path, plain)) == []


def test_ensembles_are_rows_of_their_own(tmp_path: Path) -> None:
    grid = make_grid(("protonet", "maml++"), channels=(8,))
    cells = (*grid.cells[:3], *(ask(config, 5) for config in grid.cells[3:]))
    grid = replace(grid, cells=cells)
    experiment = simulate(grid, tmp_path / "runs", lambda config: 0.9)
    for config in cells[3:]:
        store = experiment.cell(config)
        result = store.result()
        assert result is not None and result.test is not None
        better = np.minimum(store.test_accuracy() + 0.01, 1)
        mean = float(better.mean(dtype="float64"))
        score = EnsembleScore(**result.test.model_dump() | {"accuracy": mean}, steps=(100, 200, 300, 400, 500))
        store.write_result(result.model_copy(update={"ensemble": score}), None, None, better)
    summary = write_report(grid, experiment, tmp_path / "out")
    rows = {row.label: row for row in summary.rows}
    assert list(rows) == ["protonet", "maml++", "maml++ · ensemble of 5"]
    assert rows["maml++"].setting == rows["protonet"].setting != rows["maml++ · ensemble of 5"].setting
    single, together = rows["maml++"].interval, rows["maml++ · ensemble of 5"].interval
    assert single and together and 0.005 < together.mean - single.mean <= 0.0101
    networks = [values["task_network"] for values in summary.table.rows]
    assert isinstance(networks[1], int) and networks[2] == 5 * networks[1]
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert "ensembles.npz" in before
    rebuild_report(tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
    assert [row.label for row in make_rows(summary.record)] == list(rows)
