"""Accuracy matrices: their measures, and how they are filled."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark import data
from benchmark.cells.config import CellConfig, TestConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.episodes.draw import stream
from benchmark.errors import UserError
from benchmark.execution.cell import run
from benchmark.grid import read_grid
from benchmark.scoring.forgetting import average_accuracy, backward_transfer, forgetting
from benchmark.scoring.scoring import accuracies, accuracy_matrices
from benchmark.training.build import build, construct
from methods.method import Setting
from methods.sequences import ContinualMethod
from tests.benchmark.helpers import write_grid

SMALL = {"channels": 4, "transformer_layers": 1, "embedding": 4, "shared_layers": 0}
NAN = np.nan
R = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.8, 0.5, 0.6]])


def test_measures_by_hand() -> None:
    assert average_accuracy(R) == pytest.approx([0.9, 0.75, 1.9 / 3])
    assert forgetting(R) == pytest.approx([0, 0.2, (0.1 + 0.3) / 2])
    assert backward_transfer(R) == pytest.approx([0, -0.2, (-0.1 - 0.3) / 2])
    one_task_in_parts = np.array([[0.5], [0.8], [0.7]])
    assert forgetting(one_task_in_parts) == pytest.approx([0, 0, 0.1])
    assert backward_transfer(one_task_in_parts) == pytest.approx([0, 0.3, 0.2])


def test_measures_of_many_matrices_are_those_of_each() -> None:
    for measure in (average_accuracy, forgetting, backward_transfer):
        assert np.allclose(measure(np.stack([R, R**2])), [measure(R), measure(R**2)])


def cell(method: str, scenario: str = "class-incremental", **episodes: Any) -> CellConfig:
    return CellConfig.model_validate(
        {
            "dataset": {"name": "glyphs", "train_classes": 20, "validation_classes": 12, "test_classes": 12},
            "episodes": {"ways": 3, "shots": 2, "queries": 4, "tasks": 3, "scenario": scenario, **episodes},
            "method": method,
            "model": SMALL if method.startswith("ht") else {},
            "train": {"steps": 1},
        }
    )


@pytest.mark.parametrize("scenario", ["class-incremental", "task-incremental", "mini-batch"])
@pytest.mark.parametrize("name", ["protonet-continual", "ht-continual"])
def test_the_last_row_of_a_matrix_is_the_accuracy_of_the_sequence(name: str, scenario: str) -> None:
    config = cell(name, scenario)
    dataset = data.load(config.dataset)
    method, test = build(config, dataset), dataset.splits["test"]
    assert isinstance(method, ContinualMethod)
    matrices = accuracy_matrices(method, test, config.test_episodes, stream("test", 0), 12)
    assert matrices.shape == (12, 3, 1 if scenario == "mini-batch" else 3)
    known = np.tril(np.ones((3, 3), bool))[:, : matrices.shape[2]] | (scenario == "mini-batch")
    assert (np.isfinite(matrices) == known).all()
    scores = accuracies(method, test, config.test_episodes, stream("test", 0), 12)
    np.testing.assert_allclose(matrices[:, -1].mean(-1), scores, rtol=1e-6)
    for steps in (1, 2):  # followed up to some step, or drawn to end there
        if scenario != "mini-batch":
            shape = config.test_episodes.model_copy(update={"tasks": steps})
            shorter = accuracies(method, test, shape, stream("test", 0), 12)
            np.testing.assert_allclose(matrices[:, steps - 1, :steps].mean(-1), shorter, rtol=1e-6)


def test_a_constant_embedding_forgets_exactly_nothing() -> None:
    config = cell("protonet-continual", "task-incremental", tasks=4)
    dataset = data.load(config.dataset)
    method = build(config, dataset)
    assert isinstance(method, ContinualMethod)
    matrices = accuracy_matrices(method, dataset.splits["test"], config.test_episodes, stream("test", 0), 20)
    assert forgetting(matrices).max() == 0 == np.abs(backward_transfer(matrices)).max()


def test_a_learner_of_single_tasks_is_refused() -> None:
    for tasks, followed in ((2, None), (1, 2)):
        config = cell("protonet", tasks=tasks).model_copy(update={"test": TestConfig(tasks=followed)})
        with pytest.raises(UserError, match=r"protonet does not learn task sequences .* use a continual method"):
            construct(config, Setting(3, 2, (1, 28, 28), 20))


def test_from_a_grid_to_the_record(tmp_path: Path) -> None:
    path = write_grid(
        tmp_path,
        episodes={"ways": 2, "shots": 1, "queries": 2, "tasks": 3},
        test={"episodes": 20, "tasks": 4},
        model=SMALL,
        train={"batch": 2, "steps": 4, "validate_every": 2, "validation_episodes": 4},
        grid={
            "method": ["ht-continual", "protonet-continual"],
            "episodes.scenario": ["mini-batch", "task-incremental"],
        },
    )
    cells = read_grid(path).cells
    assert len(cells) == 4
    for config in cells:
        store = ExperimentFolder(tmp_path / "runs").cell(config)
        store.create(config)
        assert run(store, "cpu").failure is None
        result, matrices = store.result(), store.test_matrices()
        parts = config.episodes.scenario == "mini-batch"
        assert matrices.shape == (20, 4, 1 if parts else 4)
        assert result is not None and result.continual is not None and result.test is not None
        mean = matrices.mean(0)
        assert result.continual.average_accuracy == pytest.approx(average_accuracy(mean).tolist(), abs=1e-6)
        assert result.continual.forgetting == pytest.approx(forgetting(mean).tolist(), abs=1e-6)
        assert result.continual.backward_transfer == pytest.approx(backward_transfer(mean).tolist(), abs=1e-6)
        assert result.continual.sha256 != result.test.sha256
        if not parts:  # primary: the mean over tasks at the length of training
            assert store.test_accuracy() == pytest.approx(matrices[:, 2, :3].mean(-1), abs=1e-6)
        if config.method == "protonet-continual":
            assert result.continual.carried == tuple(8 * (1 if parts else step) for step in (1, 2, 3, 4))
