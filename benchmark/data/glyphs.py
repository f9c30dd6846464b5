"""Glyphs: handwriting in an invented alphabet, drawn by this file. Needs no download and no licence.

What for. The default of the quick grids and of the tests: a data set with the shape of Omniglot (grey 28 x 28, few
drawings of many characters) that exists on any machine in seconds. Its numbers tell whether code learns and which
method is ahead on an easy task; they are in no paper and compare with no paper.

A character is two to four pen strokes: straight lines, arcs, hooks and S-curves (cubic Bezier curves) between points of
a 3 x 4 grid, a later stroke often starting on an earlier one. A drawing of it moves every control point, slants, turns,
scales and shifts the whole, and takes a pen of another width. How strongly is chosen so that raw pixels do not solve
it: the nearest support image on pixels gives 48 % accuracy in 5-way 1-shot test episodes (chance 20 %, Omniglot 45 %).

Images are (1, 28, 28) uint8, bright ink (up to 255, soft edges) on black.

Splits. Each split has its own stream of characters, so the test characters stay the same when a grid asks for more
training classes, and no character is in two splits. Drawing d of a character is the same whatever `images_per_class`
is. `seed` invents another alphabet.

Reproducible. The random numbers are raw PCG64 output, whose stream numpy guarantees for all versions (its
distributions may change), and the drawing is elementwise float64 arithmetic, rounded to whole grey levels. A test holds
the SHA-256 of the images.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark.data.configs import GlyphsConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.files.progress import progress
from benchmark.data.splits import split_dataset

Array = NDArray[np.float64]

SIZE = 28
POINTS = 48
"""Sampled points per stroke, less than a pixel apart, so that stamping a round pen at each leaves no beads."""
MARGIN = 6
"""Pixels drawn around the image and cut off, so that a stroke may leave it."""
SCALE = 11.5
"""Pixels per unit of the plane in which characters live, -1 to 1."""


def load(config: GlyphsConfig, root: Path) -> Dataset:
    """Draw all characters; `root` is not needed."""
    sizes = {"train": config.train_classes, "validation": config.validation_classes, "test": config.test_classes}
    keys = [(config.seed, stream, number) for stream, size in enumerate(sizes.values()) for number in range(size)]
    names = tuple(f"{split}-{number}" for split, size in sizes.items() for number in range(size))
    images = np.stack([draw(key, config.images_per_class) for key in progress(keys, "drawing glyphs")])
    first = torch.arange(len(keys) + 1) * config.images_per_class
    pool = ClassImages(torch.from_numpy(images.reshape(-1, 1, SIZE, SIZE)), first, names)
    ends = np.cumsum([0, *sizes.values()])
    splits = {split: range(ends[i], ends[i + 1]) for i, split in enumerate(sizes)}
    return split_dataset(config.name, pool, splits, config.rotations)


def draw(key: tuple[int, ...], drawings: int) -> NDArray[np.uint8]:
    """(drawings, 28, 28) uint8: drawings of the character that `key` names."""
    strokes = _character(key)
    noise = 2 * np.stack([_uniform(strokes.size + 8, (*key, 1 + drawing)) for drawing in range(drawings)]) - 1
    x, y = np.moveaxis(strokes + 0.13 * noise[:, 8:].reshape(drawings, *strokes.shape), -1, 0)
    slant, turn, size, wide, tall, right, down, pen = noise[:, :8].T[..., None, None]  # each (drawings, 1, 1)
    control = [
        (1 + 0.12 * size + 0.12 * wide) * x + 0.25 * slant * y + 0.18 * right,
        (1 + 0.12 * size + 0.12 * tall) * y + 0.15 * turn * x + 0.18 * down,
    ]
    points = _curve(np.stack(control, axis=-1)).reshape(drawings, -1, 2)
    return _stamp(points * SCALE + (SIZE - 1) / 2, radius=0.7 + 0.25 * pen[:, :, 0])


def _uniform(count: int, key: tuple[int, ...]) -> Array:
    """Random numbers in [0, 1), with 53 bits, as a function of the key alone."""
    bits = np.random.PCG64(np.random.SeedSequence(key)).random_raw(count) >> np.uint64(11)
    return bits.astype(np.float64) * 2.0**-53


def _character(key: tuple[int, ...]) -> Array:
    """(strokes, 4, 2) control points of a character, centred; each side of its box is at most 1.7 long."""
    random = iter(_uniform(256, (*key, 0)).tolist())
    strokes: list[Array] = []
    for _ in range(2 + int(next(random) * 3)):
        candidates = [_stroke(strokes, random) for _ in range(3 if strokes else 1)]
        # The one farthest from what is written: strokes on top of each other are a blob, not a character.
        strokes.append(max(candidates, key=lambda stroke: _apart(stroke, strokes)))
    character = np.stack(strokes)
    path = _curve(character).reshape(-1, 2)
    low, high = path.min(axis=0), path.max(axis=0)
    size = 1.2 + 0.5 * np.array([next(random), next(random)])
    scaled: Array = (character - (low + high) / 2) * (size / np.maximum(high - low, 0.5))
    return scaled


def _apart(stroke: Array, strokes: list[Array]) -> float:
    """Mean distance of a stroke's points to the nearest point of the others."""
    if not strokes:
        return 0.0
    others = _curve(np.stack(strokes)).reshape(-1, 2)
    squares: Array = ((_curve(stroke)[:, None] - others) ** 2).sum(axis=-1)
    return float(np.sqrt(squares.min(axis=1)).mean())


def _anchor(random: Iterator[float]) -> Array:
    """A point of the 3 x 4 grid, not quite hit."""
    column, row = int(next(random) * 3), int(next(random) * 4)
    return np.array([(column - 1) * 0.6 + 0.2 * (next(random) - 0.5), (row - 1.5) * 0.55 + 0.2 * (next(random) - 0.5)])


def _on(stroke: Array, random: Iterator[float]) -> Array:
    """The start, the middle or the end of a stroke."""
    point: Array = _curve(stroke)[(0, POINTS // 2, POINTS - 1)[int(next(random) * 3)]]
    return point


def _stroke(strokes: list[Array], random: Iterator[float]) -> Array:
    """(4, 2) control points of a line, an arc, a hook or an S-curve; it often starts on an earlier stroke."""
    touching = next(random) < 0.6
    start = _on(strokes[int(next(random) * len(strokes))], random) if strokes and touching else _anchor(random)
    end = max((_anchor(random) for _ in range(2)), key=lambda point: float(np.abs(point - start).max()))
    along = end - start
    across = np.array([-along[1], along[0]])
    bend = (0.35 + 0.6 * next(random)) * (1 if next(random) < 0.5 else -1)
    shapes = ((0.0, 0.0), (0.0, 0.0), (bend, bend), (bend, bend), (0.0, 1.4 * bend), (1.3 * bend, -1.3 * bend))
    first, second = shapes[int(next(random) * len(shapes))]
    return np.stack([start, start + along / 3 + first * across, end - along / 3 + second * across, end])


def _curve(control: Array) -> Array:
    """(..., 4, 2) control points -> (..., POINTS, 2) points of the cubic Bezier curves."""
    t = np.linspace(0, 1, POINTS)[:, None]
    a, b, c, d = (control[..., i, None, :] for i in range(4))
    curve: Array = (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t**2 * c + t**3 * d
    return curve


def _stamp(points: Array, radius: Array) -> NDArray[np.uint8]:
    """Draw with a round pen of soft edge: a pixel is as bright as its distance to the nearest point allows.

    Args:
        points: (D, P, 2) x and y in pixels.
        radius: (D, 1) of the pen, at most 1.5 pixels.

    Returns:
        (D, 28, 28).
    """
    side = SIZE + 2 * MARGIN
    points = np.clip(points + MARGIN, 2, side - 3)
    near = np.arange(-2, 3)  # every pixel within the radius plus half a pixel
    pixels = np.rint(points)[..., None] + near  # (D, P, 2, 5)
    apart = (pixels - points[..., None]) ** 2
    distance = np.sqrt(apart[:, :, 1, :, None] + apart[:, :, 0, None, :])  # (D, P, 5 rows, 5 columns)
    ink = np.rint(255 * np.clip(radius[..., None, None] + 0.5 - distance, 0, 1)).astype(np.uint8)
    pixel = pixels.astype(np.int64)
    drawing = np.arange(len(points))[:, None, None, None]
    canvas = np.zeros((len(points), side, side), dtype=np.uint8)
    where = (drawing * side + pixel[:, :, 1, :, None]) * side + pixel[:, :, 0, None, :]
    np.maximum.at(canvas.reshape(-1), where.reshape(-1), ink.reshape(-1))
    return np.ascontiguousarray(canvas[:, MARGIN:-MARGIN, MARGIN:-MARGIN])
