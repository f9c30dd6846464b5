"""`train.batch: auto`: as many episodes per step as fit into memory."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.errors import UserError
from benchmark.training.batch_size import largest_batch
from tests.benchmark.helpers import ROOT

CPU = torch.device("cpu")
GIB = 2**30


@pytest.mark.parametrize("each", [0.0, 0.1, 0.24, 0.4, 0.9, 1.9])
def test_the_largest_batch_that_fits_is_found_without_trying_one_that_does_not(each: float) -> None:
    """A process of 2 GiB, and so much for each episode, within 4 GiB."""
    tried = [0]

    def peak(_: torch.device) -> int:
        return int((2 + each * max(tried)) * GIB)

    chosen = largest_batch(tried.append, 4.0, CPU, peak)
    assert chosen == max(batch for batch in (1, 2, 4, 8, 16) if 2 + each * batch <= 4)
    assert max(tried) == chosen


def test_an_episode_that_does_not_fit_is_refused() -> None:
    tried = [0]
    with pytest.raises(
        UserError, match=r"train.memory_gib: .* on one episode takes 5.0 GiB .* more than the 4 allowed"
    ):
        largest_batch(tried.append, 4.0, CPU, lambda _: (2 + 3 * max(tried)) * GIB)
    assert tried == [0, 1]


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory used")
def test_training_stays_within_its_memory(tmp_path: Path) -> None:
    """Judged by the operating system. At 16 episodes a step this training takes almost 3 GiB."""
    config = CellConfig.model_validate(
        {
            "dataset": {"name": "glyphs", "train_classes": 20, "validation_classes": 20, "test_classes": 20},
            "episodes": {"ways": 20, "shots": 5, "queries": 3},
            "method": "protonet",
            "model": {"channels": 64},
            "train": {"batch": "auto", "memory_gib": 1.25, "steps": 3, "validation_episodes": 2},
            "test": {"episodes": 2},
        }
    )
    store = CellFolder(tmp_path / "cell")
    store.create(config)
    code = "from benchmark.execution.cell import main; assert main() == 0; print(open('/proc/self/status').read())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(store.folder)]
    status = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    (most,) = re.findall(r"VmHWM:\s*(\d+) kB", status)
    result = store.result()
    assert result is not None and result.training is not None
    assert result.training.steps == 3
    batch = result.training.episodes // 3
    assert 2 <= batch <= 8
    assert int(most) * 1024 < 1.25 * GIB
