"""Pictures of attention and of generated weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmark import figure_style
from methods.episode import UNLABELLED, Episode

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Image = NDArray[np.float32]


def draw_attention(
    attention: Mapping[str, Mapping[str, Tensor]], episode: Episode, of: str, tokens: str, folder: Path
) -> None:
    """One row of panels per generated layer, one column per attention of its transformer: weight tokens against support
    images, which are shown below; mean over heads.

    Args:
        attention: as `attention_to_support` returns it, for one task.
        episode: that task.
        of: what it is called, as in "test episode 3".
        tokens: what a convolution's weight tokens are.
        folder: where to write.
    """
    from matplotlib.figure import Figure

    columns = list(next(iter(attention.values())))
    means = {layer: [weights[0].mean(0).numpy() for weights in found.values()] for layer, found in attention.items()}
    highest = max(float(matrix.max()) for row in means.values() for matrix in row)
    support = episode.support_labels.shape[1]
    width = min(8.0, max(2.2, 0.24 * support))
    strip = _planes(episode.support_images) * width / support
    heights = [max(0.9, 0.12 * len(row[0])) for row in means.values()]
    with figure_style.drawing():
        figure = Figure(
            figsize=(width * len(columns) + 1.4, sum(heights) + strip + 0.35 * len(heights) + 0.9), layout="constrained"
        )
        grid = figure.subplots(
            len(heights) + 1, len(columns), squeeze=False, gridspec_kw={"height_ratios": [*heights, strip]}
        )
        for row, (layer, matrices) in enumerate(means.items()):
            for axes, matrix in zip(grid[row], matrices, strict=True):
                shown = axes.imshow(matrix, cmap="viridis", vmin=0, vmax=highest, aspect="auto", interpolation="none")
                _bare(axes)
            grid[row, 0].set_ylabel(f"{layer}\n{len(matrices[0])} {'classes' if layer == 'linear' else tokens}")
        for axes, name in zip(grid[0], columns, strict=True):
            axes.set_title(name)
        labels = ["?" if label == UNLABELLED else str(label) for label in episode.support_labels[0].tolist()]
        for axes in grid[-1]:
            _show_image(axes, _side_by_side(episode.support_images[0]))
            side = episode.support_images.shape[-1]
            if support <= 40:
                axes.set_xticks([side * (i + 0.5) - 0.5 for i in range(support)], labels)
            axes.set_xlabel("support images by label")
        figure.colorbar(shown, ax=grid[:-1].ravel().tolist(), label="attention", aspect=40, pad=0.01)
        figure.suptitle(f"What the weight tokens attend to (mean over heads), {of}", fontsize=9)
        figure_style.save(figure, folder, "attention")


def draw_weights(weights: Mapping[str, Tensor], episodes: Episode, titles: Sequence[str], folder: Path) -> None:
    """Generated kernels and linear weights, one column per task, below the first image of each class.

    A kernel is drawn as a table of 3x3 tiles, inputs down and outputs across. A row of panels has one colour scale.

    Args:
        weights: the generated tensors of T tasks by name; only "kernel" and "weight" are drawn.
        episodes: the T tasks.
        titles: of the T columns.
        folder: where to write.
    """
    from matplotlib.figure import Figure

    images = {name: [_tiles(one) for one in w] for name, w in weights.items() if name.endswith(("kernel", "weight"))}
    width = 2.4
    strip = _planes(episodes.support_images) * width / episodes.ways
    heights = [min(2.4, max(0.5, width * row[0].shape[0] / row[0].shape[1])) for row in images.values()]
    with figure_style.drawing():
        figure = Figure(
            figsize=(width * episodes.tasks + 1.2, sum(heights) + strip + 0.25 * len(heights) + 0.5),
            layout="constrained",
        )
        grid = figure.subplots(
            len(images) + 1, episodes.tasks, squeeze=False, gridspec_kw={"height_ratios": [strip, *heights]}
        )
        for task, axes in enumerate(grid[0]):
            labels = episodes.support_labels[task].tolist()
            firsts = [labels.index(label) for label in range(episodes.ways)]
            _show_image(axes, _side_by_side(episodes.support_images[task, firsts]))
            axes.set_title(titles[task])
        for (name, row), panels in zip(images.items(), grid[1:], strict=True):
            largest = max(float(np.nanmax(np.abs(one))) for one in row)
            for axes, one in zip(panels, row, strict=True):
                shown = axes.imshow(
                    one, cmap="RdBu_r", vmin=-largest, vmax=largest, aspect="auto", interpolation="none"
                )
                _bare(axes)
            panels[0].set_ylabel(name)
            figure.colorbar(shown, ax=panels.tolist(), aspect=20, pad=0.01)
        kernels = [name for name in images if name.endswith("kernel")]
        legend = ["a kernel: a tile per output (across) and input (down)"] if kernels else []
        legend += ["linear weights: features across, classes down"] if len(images) > len(kernels) else []
        figure.supxlabel("; ".join(legend), fontsize=8)
        figure_style.save(figure, folder, "weights")


def draw_variation(shares: Mapping[str, float], episodes: int, folder: Path) -> None:
    """One bar per generated tensor: the share of its variance that is between tasks."""
    from matplotlib.figure import Figure

    with figure_style.drawing():
        figure = Figure(figsize=(1.4 * figure_style.COLUMN, 0.8 + 0.25 * len(shares)), layout="constrained")
        axes = figure.subplots()
        bars = axes.barh(list(shares), list(shares.values()), color="#0072B2", height=0.65)
        axes.bar_label(bars, fmt="{:.2g}", padding=3, fontsize=8)
        axes.invert_yaxis()
        axes.set_xlim(0, 1.12)
        axes.grid(axis="y", visible=False)
        axes.set_xlabel(f"share of variance between tasks, {episodes} test episodes\n(0: the support set is ignored)")
        figure_style.save(figure, folder, "variation")


def _tiles(weights: Tensor) -> Image:
    """A kernel (Cout, Cin, k, k) as a table of tiles with NaN between them; a matrix as it is."""
    if weights.dim() == 2:
        return weights.numpy()
    k = weights.shape[-1]
    tiles = torch.nn.functional.pad(weights, (0, 1, 0, 1), value=torch.nan)
    outputs, inputs = tiles.shape[:2]
    table = tiles.permute(1, 2, 0, 3).reshape(inputs * (k + 1), outputs * (k + 1))
    return table[:-1, :-1].numpy()


def _side_by_side(images: Tensor) -> Image:
    """Images (B, C, H, W) as one strip (P*H, B*W) or, in colour, (P*H, B*W, 3), of P planes below each other."""
    planes = images.split(images.shape[1] // _planes(images), dim=1)
    strip = torch.cat(list(torch.cat(planes, dim=-2)), dim=-1).permute(1, 2, 0).squeeze(-1)
    return strip.numpy()


def _planes(images: Tensor) -> int:
    """How many pictures, grey or in colour, the channels of an image (..., C, H, W) hold; see `domains: planes`."""
    channels = images.shape[-3]
    return channels // (1 if channels % 3 else 3)


def _show_image(axes: "Axes", strip: Image) -> None:
    axes.imshow(strip, cmap="gray", vmin=0, vmax=1, aspect="auto")
    _bare(axes)


def _bare(axes: "Axes") -> None:
    """No ticks, grid or frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
