"""Real run directories with simulated accuracies: real files, made-up numbers."""

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import ExperimentFolder
from benchmark.cells.identity import data_today, origin_today
from benchmark.cells.result import Data, Failure, Model, Provenance, Result, TestScore, Training
from benchmark.grid import Grid, axis_value

Skill = Callable[[CellConfig], float]


def make_grid(
    methods: Sequence[str] = ("protonet", "ht-all"),
    channels: Sequence[int] = (8, 16),
    shots: Sequence[int] = (1,),
    seeds: Sequence[int] = (0, 1, 2),
    *,
    episodes: int = 60,
    ways: int = 20,
) -> Grid:
    """An Omniglot grid over methods, channels, shots and seeds."""
    cells = tuple(
        CellConfig.model_validate(
            {
                "dataset": {"name": "omniglot"},
                "episodes": {"ways": ways, "shots": shot},
                "method": method,
                "model": {"channels": width},
                "train": {"steps": 1000, "validate_every": 100},
                "test": {"episodes": episodes},
                "seed": seed,
            }
        )
        for method in methods
        for width in channels
        for shot in shots
        for seed in seeds
    )
    values = {"method": methods, "model.channels": channels, "episodes.shots": shots, "seed": seeds}
    axes = {axis: tuple(v) for axis, v in values.items() if len(v) > 1}
    assert all(axis_value(cell, axis) in v for cell in cells for axis, v in axes.items())
    return Grid("simulated", cells, axes, Path("simulated.yaml"), "name: simulated\nmethod: protonet\n")


def simulate(grid: Grid, runs: Path, skill: Skill, *, seed_sd: float = 0.005) -> ExperimentFolder:
    """Finish every cell: accuracy `skill(cell)` on average, episodes that are equally hard for all methods."""
    experiment = ExperimentFolder(runs / grid.name)
    for config in grid.cells:
        finish(experiment, config, skill(config), seed_sd=seed_sd)
    return experiment


def finish(
    experiment: ExperimentFolder,
    config: CellConfig,
    mean: float,
    *,
    seed_sd: float = 0.005,
    episodes_sha256: str | None = None,
) -> NDArray[np.float32]:
    """Leave what a finished cell leaves, and return its test accuracies."""
    shape = config.test_episodes
    name = f"{config.dataset.model_dump_json()}{shape.model_dump_json()}{config.test.seed}"
    digest = hashlib.sha256(name.encode()).hexdigest()
    hardness = np.random.default_rng(int(digest[:8], 16)).normal(0, 0.02, config.test.episodes)
    rng = np.random.default_rng(int(config.key, 16))
    chance = np.clip(mean + rng.normal(0, seed_sd) + hardness, 0, 1)
    queries = shape.ways * shape.queries
    accuracy = (rng.binomial(queries, chance) / queries).astype(np.float32)
    store = experiment.cell(config)
    store.create(config)
    steps = range(100, 1001, 100)
    curve = [mean * (1 - 0.9 ** (step / 10)) + rng.normal(0, 0.002) for step in steps]
    lines = [json.dumps({"step": s, "train/loss": 1.0, "val/accuracy": v}) for s, v in zip(steps, curve, strict=True)]
    store.metrics_file.write_text("\n".join(lines) + "\n")
    channels = config.model["channels"]
    result = Result(
        key=config.key,
        config=config.model_dump(mode="json"),
        test=TestScore(
            accuracy=float(accuracy.mean(dtype="float64")),
            episodes=len(accuracy),
            sha256=episodes_sha256 or digest,
            seconds_per_task=2e-4 * config.model["channels"] * (1 + ("ht" in config.method)),
        ),
        training=Training(
            steps=1000,
            episodes=16000,
            seconds=1234.5,
            wall_seconds=1300.0,
            episodes_per_second=13.0,
            best_step=900,
            best_validation_accuracy=max(curve),
        ),
        model=Model(
            parameters=100_000 * (1 + ("ht" in config.method)),
            solver_parameters=36 * channels + 27 * channels**2 + 27 * (config.method == "protonet"),
            transductive="ht" in config.method,
        ),
        data=Data(name="omniglot", sha256=data_today(config.dataset) or "d" * 64),
        origin=origin_today(config),
        provenance=Provenance(
            commit="c" * 40,
            uncommitted_changes=False,
            versions={"python": "3.11.7", "torch": "2.14.0"},
            hardware={"processor": "A Processor", "cores": 2},
            device="cpu",
            started="2026-11-21T03:00:00+00:00",
            finished="2026-11-21T04:00:00+00:00",
        ),
    )
    store.write_result(result, accuracy)
    return accuracy


def fail(
    experiment: ExperimentFolder, config: CellConfig, reason: str = "RuntimeError: the third step is too much"
) -> None:
    """Leave what a crashed cell leaves."""
    store = experiment.cell(config)
    store.create(config)
    files = ("/opt/x/benchmark/training/trainer.py", "/opt/x/mine.py")
    traceback = "\n".join(["Traceback:", *(f'  File "{file}", line 3, in loss' for file in files), reason])
    failure = Failure(kind="crashed", reason=reason, traceback=traceback)
    store.write_result(Result(key=config.key, config=config.model_dump(mode="json"), failure=failure))
