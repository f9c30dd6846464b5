"""A user's own pictures, made to look like the images a run was trained on.

Omniglot and the glyphs are bright ink (1) on black (0). Scans and photos of writing are the other way round, and their
paper is rarely quite white, nor their ink quite black. So for runs on these datasets each picture's paper, the median
of its border, becomes 0, and what differs from it most becomes 1. Pictures for other runs stay as they are, but for the
normalisation of the run's dataset.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from benchmark.data.files.class_folders import class_folders
from benchmark.data.files.listing import Listing, look, merged
from benchmark.data.files.picture import read_image
from benchmark.errors import UserError
from benchmark.trained.run import TrainedRun
from methods.episode import UNLABELLED

Invert = Literal["auto", "yes", "no"]
"""Whether to swap bright and dark; `auto`: in runs on bright ink, pictures whose border is brighter than their mean."""

INK_DATASETS = ("omniglot", "glyphs")


@dataclass(frozen=True)
class Support:
    """What defines a task: images (S, C, H, W) as trained on, labels (S,) or `UNLABELLED`, the names of the N classes,
    and what was done to the pictures.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Queries:
    """Pictures to classify: images (Q, C, H, W) as trained on, their files, what was wrong with others, and done."""

    images: Tensor
    files: tuple[Path, ...]
    unreadable: tuple[str, ...]
    note: str


def read_support(run: TrainedRun, folder: Path, invert: Invert, unlabelled: Path | None = None) -> Support:
    """The pictures under `folder`, one folder per class, sorted by name; then those anywhere under `unlabelled`.

    Raises:
        UserError: no such folder, fewer than two classes, a number of classes that the run's method cannot do, a class
            without pictures, or an unreadable picture.
    """
    if not folder.is_dir():
        raise UserError(f"--support {folder} is not a folder; give one that has a folder of pictures per class")
    found = class_folders(folder)
    classes = found.classes
    if len(classes) < 2:
        raise UserError(
            f"--support {folder} has {len(classes)} class folders; at least 2 are needed, each with its pictures inside"
        )
    ways = run.setting.ways
    if run.method.fixed_ways and len(classes) != ways:
        raise UserError(
            f"--support {folder} has {len(classes)} class folders, but {run.folder} was trained for exactly {ways};"
            f" give {ways}, or use a run of another method or with episodes.ways: {len(classes)}"
        )
    if unlabelled is not None and not unlabelled.is_dir():
        raise UserError(f"--unlabelled {unlabelled} is not a folder; give one that holds pictures, without classes")
    files = list(found.files().values())
    beside = Listing(folder) if unlabelled is None else look(unlabelled)
    without = [] if unlabelled is None else beside.pictures()
    pixels = [_read(run, file) for members in files for file in members]
    labels = [label for label, members in enumerate(files) for _ in members]
    labels += [UNLABELLED] * len(without)
    images, note = _as_trained(run, [*pixels, *(_read(run, file) for file in without)], invert, "support")
    note += _worth_a_look(merged(folder, [found.whole, beside]))
    return Support(images, torch.tensor(labels), tuple(classes), note)


def read_queries(run: TrainedRun, folder: Path, invert: Invert) -> Queries:
    """The pictures anywhere under `folder`, sorted by path; those that cannot be read are named and left out.

    Raises:
        UserError: no such folder, or no readable picture in it.
    """
    if not folder.is_dir():
        raise UserError(f"--query {folder} is not a folder; give one that holds the pictures to classify")
    found = look(folder)
    files, pixels, unreadable = [], [], list(map(str, found.refused))
    for file in found.used:
        try:
            pixels.append(_read(run, file))
            files.append(file)
        except UserError as error:
            unreadable.append(str(error))
    if not pixels:
        found.pictures()
        raise UserError("\n".join(unreadable))
    images, note = _as_trained(run, pixels, invert, "query")
    return Queries(images, tuple(files), tuple(unreadable), note + _worth_a_look(found))


def bright_ink(images: Tensor, invert: Invert) -> tuple[Tensor, Tensor]:
    """Images (M, C, H, W) in [0, 1] with paper at 0 and ink at 1, and which of them (M,) were inverted."""
    edges = (images[..., 0, :], images[..., -1, :], images[..., :, 0], images[..., :, -1])
    paper = torch.cat(edges, dim=-1).flatten(1).median(1).values
    if invert == "auto":
        inverted = images.flatten(1).mean(1) < paper
    else:
        inverted = torch.full_like(paper, invert == "yes", dtype=torch.bool)
    sign = torch.where(inverted, -1.0, 1.0)[:, None, None, None]
    ink = ((images - paper[:, None, None, None]) * sign).clamp_min(0)
    return ink / ink.amax((1, 2, 3), keepdim=True).clamp_min(1e-6), inverted


def _worth_a_look(found: Listing) -> str:
    """For a note: what seems to be a picture and is not used, or is used and may not be meant."""
    if not found.suspicious:
        return ""
    more = f" and {len(found.suspicious) - 3} more" if len(found.suspicious) > 3 else ""
    return f"; worth a look: {', '.join(map(str, found.suspicious[:3]))}{more}"


def _read(run: TrainedRun, file: Path) -> Tensor:
    if run.config.dataset.domains:
        raise UserError(
            f"{run.folder} was trained with dataset.domains, which pictures of your own do not have;"
            " use a run without them"
        )
    channels, side, _ = run.setting.image_shape
    return read_image(file, side, colour=channels == 3)


def _as_trained(run: TrainedRun, pixels: Sequence[Tensor], invert: Invert, what: str) -> tuple[Tensor, str]:
    images = torch.stack(list(pixels)).float() / 255
    name, count = run.config.dataset.name, len(pixels)
    if name in INK_DATASETS:
        images, inverted = bright_ink(images, invert)
        done = f"{int(inverted.sum())} of {count} inverted, paper to 0 and ink to 1, as in {name}"
    elif invert == "yes":
        images, done = 1 - images, f"all {count} inverted"
    else:
        done = f"{count} as they are"
    normalization = run.config.dataset.normalization
    if normalization is not None:
        images, done = normalization(images), f"{done}, normalised"
    return images, f"{what} pictures: {done} (--invert {invert})"
