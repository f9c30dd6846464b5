"""What the README shows works as shown."""

import re
import textwrap
from pathlib import Path
from typing import Any

import torch

from benchmark.grid import read_grid
from methods import registry
from methods.method import Setting
from tests.methods.helpers import random_episode

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(start: str) -> str:
    """The indented block of the README that begins with `start`."""
    found = re.search(rf"^    {re.escape(start)}.*?(?=^\S)", README, flags=re.MULTILINE | re.DOTALL)
    assert found is not None
    return textwrap.dedent(found.group())


def test_the_grid_resolves(tmp_path: Path) -> None:
    (tmp_path / "grid.yaml").write_text(block("name: omniglot-20way"))
    grid = read_grid(tmp_path / "grid.yaml")
    assert len(grid.cells) == 3 * 4 * 3
    rates = {cell.method: cell.train.learning_rate for cell in grid.cells}
    assert rates == {"protonet": 2e-3, "ht-logits": 1e-3, "ht-all": 1e-3}


def test_the_method_of_forty_lines_is_one(tmp_path: Path) -> None:
    source = block("from dataclasses import dataclass")
    assert len(source.splitlines()) <= 40
    (tmp_path / "pixel_mean.py").write_text(source)
    registry.load_plugin(tmp_path / "pixel_mean.py")
    method: Any = registry.get("pixel-mean").build({"features": 8}, Setting(3, 2, (1, 16, 16), 10))
    episode = random_episode(ways=3, shots=2, queries=4, tasks=2)
    logits = method(episode.to(dtype=torch.float32))
    assert logits.shape == (2, 12, 3)
    support, query = method.embed(episode.support_images.float())[1], method.embed(episode.query_images.float())[1, 0]
    for way in range(3):
        mean = support[episode.support_labels[1] == way].mean(0)
        assert torch.isclose(logits[1, 0, way], -(query - mean).square().sum(), rtol=1e-4)


def test_every_command_exists() -> None:
    from typer.main import get_command

    from benchmark.cli import app

    known = set(get_command(app).commands)  # type: ignore[attr-defined]
    named = set(re.findall(r"(?:^    |`)(?:\.venv/bin/)?htbench (\w+)", README, flags=re.MULTILINE))
    assert named and named <= known, named - known
