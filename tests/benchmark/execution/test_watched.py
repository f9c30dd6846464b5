"""A cell that tells how far it is: the telling is right, and changes nothing."""

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

from benchmark import data
from benchmark.cells.folder import CellFolder
from benchmark.cells.metrics import MetricsLine
from benchmark.cells.now import PROGRESS, Now, Teller, read_now
from benchmark.execution.display import RunDisplay
from benchmark.execution.engine import Event
from benchmark.execution.watched import WatchedTrainer, told_test
from benchmark.scoring import scoring
from benchmark.training.build import build
from benchmark.training.trainer import Trainer
from tests.benchmark.helpers import ROOT, write_grid
from tests.benchmark.trained_runs import configure


class Recorder(Teller):
    """Tells at every opportunity, and remembers."""

    def __init__(self, folder: Path) -> None:
        self.told: list[Now] = []
        super().__init__(folder)

    @property
    def due(self) -> bool:
        return True

    def tell(self, now: Now) -> None:
        self.told.append(now)
        super().tell(now)


class Nothing:
    """Keeps metrics, forgets the rest."""

    def __init__(self) -> None:
        self.lines: list[MetricsLine] = []

    def log(self, line: MetricsLine) -> None:
        self.lines.append(line)

    def keep_best(self, step: int, weights: dict[str, Any]) -> None: ...

    def keep_member(self, step: int, weights: dict[str, Any]) -> None: ...

    def keep_last(self, state: dict[str, Any]) -> None: ...


CONFIG = configure("protonet", train={"batch": 4, "steps": 6, "validate_every": 4, "validation_episodes": 20})


def trained(teller: Teller | None) -> tuple[Trainer, Nothing]:
    torch.manual_seed(0)
    dataset = data.load(CONFIG.dataset)
    images = dataset.splits["train"], dataset.splits["validation"]
    method = build(CONFIG, dataset)
    trainer = Trainer(CONFIG, method, *images) if teller is None else WatchedTrainer(CONFIG, method, *images, teller)
    kept = Nothing()
    trainer.run(kept)
    return trainer, kept


def test_a_watched_training_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    alone, watched = trained(None), trained(Recorder(tmp_path))
    for name, value in alone[0].method.state_dict().items():
        assert torch.equal(value, watched[0].method.state_dict()[name]), name
    for one, other in zip(alone[1].lines, watched[1].lines, strict=True):
        assert one.step == other.step
        assert one.values["train/loss"] == other.values["train/loss"] and one.accuracy == other.accuracy


def test_it_tells_steps_losses_and_validations(tmp_path: Path) -> None:
    teller = Recorder(tmp_path)
    _, kept = trained(teller)
    training = [now for now in teller.told if now.phase == "training"]
    assert [now.step for now in training] == [1, 2, 3, 4, 5, 6]
    losses = [now.loss for now in training if now.loss is not None]
    # Told at every step, the losses average to what is logged at the validations after steps 4 and 6.
    assert sum(losses[:4]) / 4 == pytest.approx(kept.lines[0].values["train/loss"], rel=1e-4)
    assert sum(losses[4:]) / 2 == pytest.approx(kept.lines[1].values["train/loss"], rel=1e-4)
    assert [now.accuracy for now in training] == [None] * 4 + [kept.lines[0].accuracy] * 2
    first = [now.scored for now in teller.told if now.phase == "validating" and now.step == 4]
    assert first[:3] == [0, 10, 20] and max(first) == 20
    assert all(now.steps == 6 and (now.episodes_per_second or 1) > 0 for now in teller.told if now.step)
    assert read_now(tmp_path) == teller.told[-1]


def test_a_test_is_counted_over_all_its_methods(tmp_path: Path) -> None:
    dataset = data.load(CONFIG.dataset)
    methods = [build(CONFIG, dataset) for _ in range(2)]
    teller = Recorder(tmp_path)
    with told_test(methods, Now(step=6, steps=6), 20, teller):
        for method in methods:
            scoring.accuracies(method, dataset.splits["validation"], CONFIG.test_episodes, 1, 20)
    assert [now.scored for now in teller.told if now.phase == "testing"] == [0, 10, 20, 30, 40]
    assert {now.to_score for now in teller.told if now.phase == "testing"} == {40}
    told = len(teller.told)
    scoring.accuracies(methods[0], dataset.splits["validation"], CONFIG.test_episodes, 1, 20)
    assert len(teller.told) == told


def test_telling_never_fails_and_nothing_odd_is_believed(tmp_path: Path) -> None:
    Teller(tmp_path / "nowhere").tell(Now())
    teller = Teller(tmp_path)
    teller.tell(Now(phase="training", step=12345, steps=99999, loss=0.5))
    teller.tell(Now(phase="training", step=1))  # shorter than what was there
    assert read_now(tmp_path) == Now(phase="training", step=1)
    assert not teller.due
    for content in (b"", b"{", b"\xff", b'{"phase": "dancing"}', b'{"loss": NaN}', b"[]"):
        (tmp_path / PROGRESS).write_bytes(content)
        assert read_now(tmp_path) is None
    assert read_now(tmp_path / "nowhere") is None


def test_a_log_has_a_line_for_every_running_cell_now_and_then(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path / "protonet-8ch-seed0-0123456789ab")
    cell.folder.mkdir()
    Teller(cell.folder).tell(Now(phase="training", step=1200, steps=5000, loss=0.5, seconds_left=300))
    for seconds, lines in ((0.0, 2), (3600.0, 0)):
        out = io.StringIO()
        display = RunDisplay(Console(file=out, width=200), [cell], log_seconds=seconds)
        list(display.follow([Event("started", cell), Event("tick"), Event("ended", cell, "killed")]))
        said = "running  protonet-8ch-seed0-0123456789ab  step 1,200/5,000  5 min left  loss 0.500"
        assert out.getvalue().count(said) == lines
        assert "[1/1]  not finished: killed" in out.getvalue()


def run_on_a_terminal(arguments: list[str], cwd: Path, columns: int) -> str:
    """What a command writes to a terminal of its own."""
    leader, follower = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(arguments, cwd=cwd, env=environment, stdout=follower, stderr=follower)
    os.close(follower)
    written = b""
    try:
        while chunk := os.read(leader, 65536):
            written += chunk
    except OSError:  # its other end was closed
        pass
    finally:
        os.close(leader)
    assert process.wait(60) == 0, written.decode()
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written.decode())


def test_on_a_terminal_bars_move_between_validations(tmp_path: Path) -> None:
    """Sixty slow steps without a validation between them."""
    train = {"batch": 2, "steps": 60, "validate_every": 60, "validation_episodes": 10}
    grid = write_grid(tmp_path, train=train, grid={"method": ["slow"]})
    command = [sys.executable, "-P", "-m", "benchmark", "run", str(grid), "--no-track"]
    shown = run_on_a_terminal(command, tmp_path, 100)
    steps = sorted({int(step) for step in re.findall(r"step +(\d+)/60", shown)})
    assert len(steps) > 1 and steps[0] < 60
    assert re.search(r"slow-8ch-seed0 +━.* \d+ s left +loss \d\.\d{3} +\S+ episodes/s", shown)
    assert max(len(line) for line in re.split(r"[\r\n]+", shown) if line.startswith("slow-8ch-seed0 ")) <= 100
    assert "1 of 1 cells done" in shown
