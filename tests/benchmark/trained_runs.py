"""Cells trained for a moment, in this process."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmark.cells.config import CellConfig
from benchmark.cells.folder import CellFolder
from benchmark.data.glyphs import draw
from benchmark.execution.cell import run
from benchmark.trained.run import TrainedRun
from methods import Setting, registry

GLYPHS = {"name": "glyphs", "train_classes": 60, "validation_classes": 10, "test_classes": 20, "images_per_class": 8}
UNSEEN = 9
"""Names a stream of glyphs that no split of the data set draws from."""


def configure(method: str, **changes: Any) -> CellConfig:
    """A cell of a second or two on small glyphs."""
    return CellConfig.model_validate(
        {
            "dataset": GLYPHS,
            "episodes": {"ways": 5, "shots": 1, "queries": 3},
            "method": method,
            "train": {"batch": 4, "steps": 4, "validate_every": 2, "validation_episodes": 10},
            "test": {"episodes": 20},
            **changes,
        }
    )


def train(folder: Path, method: str, **changes: Any) -> Path:
    """Run such a cell in `folder`."""
    store = CellFolder(folder)
    config = configure(method, **changes)
    store.create(config)
    assert run(store, "cpu").state == "done"
    return folder


def untrained(method: str, ways: int = 5, **options: Any) -> TrainedRun:
    """A run with its initial weights, as if it had been trained on glyphs."""
    setting = Setting(ways, 1, (1, 28, 28), 60)
    learner = registry.get(method).build(options, setting)
    return TrainedRun(Path("nowhere"), configure(method, model=options), setting, learner.eval(), None)


def photograph(path: Path, character: int, drawing: int, side: int, paper: str, ink: str) -> None:
    """A drawing of an unseen character, large and in colour, as somebody might have scanned it."""
    glyph = draw((0, UNSEEN, character), drawing + 1)[drawing]
    mask = Image.fromarray(glyph).resize((side, side), Image.Resampling.BICUBIC)
    inked, blank = (Image.new("RGB", (side, side), colour) for colour in (ink, paper))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.composite(inked, blank, mask).save(path)


def hand_made_folders(folder: Path, classes: int = 5, queries: int = 4) -> tuple[Path, Path]:
    """A support folder with one picture per class, and a query folder whose files are named by class."""
    for c in range(classes):
        photograph(folder / f"support/char{c}/sample.png", c, 0, 250, "khaki", "midnightblue")
        for q in range(queries):
            paper, ink = [("white", "black"), ("seagreen", "black"), ("orange", "white"), ("navy", "white")][q % 4]
            photograph(folder / f"query/page{q}/char{c}.png", c, q + 1, 120 + 50 * q, paper, ink)
    return folder / "support", folder / "query"


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Random images in [0, 1], float32."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32)
