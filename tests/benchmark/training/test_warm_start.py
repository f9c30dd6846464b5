"""Pre-training the shared extractor within a run, and starting from that of another run."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark import data
from benchmark.cells import checkpoint
from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.errors import UserError
from benchmark.execution.cell import run
from benchmark.grid import read_grid
from benchmark.training.build import build
from benchmark.training.trainer import Trainer
from benchmark.training.warm_start import restore_shared
from methods import Episode, Loss
from methods.protonet.model import ProtoNet
from tests.benchmark.trained_runs import configure

MODEL = {"channels": 4, "transformer_layers": 1, "shared_features": 6}


def store_for(runs: Path, experiment: str, config: CellConfig) -> CellFolder:
    store = CellFolder(runs / experiment / f"{config.method}-{config.key}")
    store.create(config)
    return store


def starting_from(key: str, method: str = "ht-all", **model: Any) -> CellConfig:
    train = {"batch": 4, "steps": 2, "validate_every": 2, "validation_episodes": 10, "shared_from": key}
    return configure(method, model={**MODEL, **model} if method.startswith("ht") else {}, train=train)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder of runs with a finished one, and its key."""
    runs = tmp_path_factory.mktemp("runs")
    config = configure("ht-logits", model={**MODEL, "pretrain": 0.5})
    assert run(store_for(runs, "first", config), "cpu").state == "done"
    return runs, config.key


def test_only_the_extractor_and_its_classifier_move_while_pretraining() -> None:
    train = {"batch": 4, "steps": 6, "validate_every": 6, "optimizer": "adamw", "weight_decay": 0.1}
    config = configure("ht-all", model={**MODEL, "pretrain": 0.5}, train=train)
    dataset = data.load(config.dataset)
    trainer = Trainer(config, build(config, dataset), dataset.splits["train"], dataset.splits["validation"])

    def moved(step: int) -> set[str]:
        before = copy.deepcopy(trainer.method.state_dict())
        while trainer.progress.step < step:
            trainer.train_step()
        return {name for name, weight in trainer.method.state_dict().items() if not torch.equal(weight, before[name])}

    everything = {name for name, _ in trainer.method.named_parameters()}
    shared = {name for name in everything if name.startswith("shared.")}
    classifier = {"class_head.weight", "class_head.bias"}
    assert moved(3) == shared | classifier
    assert moved(6) == everything - classifier


def test_a_budget_in_minutes_is_counted_over_all_stages_of_training() -> None:
    seen: list[float] = []

    class Spy(ProtoNet):
        def loss(self, episode: Episode, progress: float) -> Loss:
            seen.append(progress)
            return super().loss(episode, progress)

    config = configure("protonet", train={"minutes": 0.02})
    dataset = data.load(config.dataset)
    method = build(config, dataset)
    method.__class__ = Spy
    trainer = Trainer(config, method, dataset.splits["train"], dataset.splits["validation"])
    trainer.calibrate(share=1.0)
    _, *timed = seen
    assert abs(sum(progress < 0.2 for progress in timed) / len(timed) - 0.2) < 2 / len(timed) ** 0.5
    assert max(timed) > 0.7


def test_a_run_starts_with_the_extractor_of_another(finished: tuple[Path, str]) -> None:
    runs, key = finished
    config = starting_from(key)
    store = store_for(runs, "second", config)
    method = build(config, data.load(config.dataset))
    restored = restore_shared(method, config, store)
    (source,) = runs.glob(f"first/*-{key}")
    saved = checkpoint.load(source / "best.pt")["method"]
    mine = {name: weight for name, weight in method.state_dict().items() if name.startswith("shared.")}
    assert mine
    for name, weight in mine.items():
        assert torch.equal(weight, saved[name])
    result = run(store, "cpu")
    assert result.training is not None
    assert result.training.shared_from == restored
    assert restored is not None and restored.run == key and len(restored.sha256) == 64
    after = checkpoint.load(store.best_checkpoint)["method"]
    assert not torch.equal(after["shared.convolutions.0.kernel"], saved["shared.convolutions.0.kernel"])  # it learns on


def test_where_training_starts_from_is_part_of_the_key(finished: tuple[Path, str]) -> None:
    _, key = finished
    plain = starting_from(key).model_copy(
        update={"train": starting_from(key).train.model_copy(update={"shared_from": None})}
    )
    assert len({starting_from(key).key, starting_from("0" * 12).key, plain.key}) == 3


@pytest.mark.parametrize(("config", "message"), [
    (lambda key: starting_from("0" * 12), "no finished run 000000000000 in .*; run its grid first"),
    (lambda key: starting_from(key, shared_features=7), r"another shape: .* is \(6, 1, 3, 3\), and here \(7, "),
    (lambda key: starting_from(key, method="protonet"), "protonet has no .*only ht, .*'when: {method: ht}'"),
])  # fmt: skip
def test_what_cannot_be_restored_is_bad_input(finished: tuple[Path, str], config: Any, message: str) -> None:
    runs, key = finished
    wrong = config(key)
    store = store_for(runs, "wrong", wrong)
    with pytest.raises(UserError, match=message):
        restore_shared(build(wrong, data.load(wrong.dataset)), wrong, store)
    result = run(store, "cpu")
    assert result.failure is not None and result.failure.kind == "bad input"


def test_a_key_is_given_in_the_grid(tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    text = "name: g\ndataset: {name: glyphs}\nmethod: ht-all\ntrain:\n  steps: 2\n  shared_from: {}\n"
    grid.write_text(text.replace("{}", "3f2a9c00de12"))
    (cell,) = read_grid(grid).cells
    assert cell.train.shared_from == "3f2a9c00de12"
    grid.write_text(text.replace("{}", "runs/first/ht-all"))
    with pytest.raises(UserError, match=r"grid\.yaml:6: train\.shared_from: give the key of a run, the 12 hex digits"):
        read_grid(grid)
