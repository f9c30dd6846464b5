"""Small pictures for tests: noise, so that no two are alike and none is of one colour."""

import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def noise(path: Path, seed: int | None = None, size: int = 12) -> Path:
    """A grey picture of noise that depends on the seed, else on the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(zlib.crc32(str(path).encode()) if seed is None else seed)
    Image.fromarray(generator.integers(0, 256, (size, size), dtype=np.uint8)).save(path)
    return path


def noise_classes(folder: Path, classes: int, images: int = 3, start: int = 0) -> Path:
    """Folders `c00`, `c01` ... with pictures `0.png`, `1.png` ..., the same whatever the folder is."""
    for number in range(classes):
        for image in range(images):
            noise(folder / f"c{number:02}" / f"{image}.png", seed=start + 100 * number + image)
    return folder
