"""Episodes by number, as tensors: which images make them is `draw`'s business, their pixels `images`'."""

import hashlib
import json
from dataclasses import replace
from typing import NoReturn

import torch
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.episodes.draw import draw
from benchmark.episodes.images import gather
from benchmark.episodes.sequences import in_steps
from benchmark.errors import UserError
from methods.episode import Episode


def sample(
    images: ClassImages, shape: EpisodesConfig, stream: int, start: int, count: int, *, train: bool = False
) -> Episode:
    """Episodes number `start` .. `start + count - 1` of a stream; task sequences if the shape has several tasks."""
    indices = torch.arange(start, start + count, device=images.device)
    whole = gather(images, shape.whole, draw(images, shape.whole, stream, indices), identities=train)
    return in_steps(whole, shape)


def sample_all(images: ClassImages, shape: EpisodesConfig, stream: int, start: int, count: int) -> Episode:
    """The single tasks that `sample` gives, with the same queries, but all other images of their classes as support.

    Of classes of different sizes, as many images as the smallest has.
    """
    indices = torch.arange(start, start + count, device=images.device)
    known, queries, total = shape.shots + shape.unlabelled, shape.queries, images.smallest_class
    drawn = draw(images, shape.model_copy(update={"queries": total - known}), stream, indices)
    before, asked, after = drawn.rows[:, : shape.ways].split([known, queries, total - known - queries], dim=2)
    chosen = replace(
        drawn,
        classes=drawn.classes[:, : shape.ways],
        rows=torch.cat([before, after, asked], dim=2),
        rotations=drawn.rotations[:, : shape.ways],
    )
    everything = shape.model_copy(update={"shots": total - queries, "unlabelled": 0, "distractors": 0})
    return gather(images, everything, chosen)


def check_possible(images: ClassImages, shape: EpisodesConfig, split: str) -> None:
    """Refuse episodes the split cannot provide.

    Raises:
        UserError: more ways and distractors than classes, more images per class than the smallest class has,
            distractors without unlabelled images, or in a sequence.
    """
    whole = shape.whole
    for domain in images.domains:
        if whole.ways + shape.distractors > images.domain_classes(domain):
            _refuse_ways(shape, f"domain {domain.name!r} of the {split} split", images.domain_classes(domain))
    if whole.ways + shape.distractors > images.classes:
        _refuse_ways(shape, f"the {split} split", images.classes)
    if shape.distractors and shape.tasks > 1:
        raise UserError(
            f"episodes.distractors: {shape.distractors} is for single tasks; episodes.tasks is {shape.tasks}"
        )
    if shape.distractors and not shape.unlabelled:
        raise UserError(
            f"episodes.distractors: {shape.distractors} has no effect with episodes.unlabelled: 0;"
            " say how many unlabelled images each class has"
        )
    needed = whole.shots + whole.unlabelled + whole.queries
    if needed > images.smallest_class:
        small = [name for name, size in zip(images.names, images.first.diff().tolist(), strict=True) if size < needed]
        named = f"all {len(small)} have fewer than {needed}"
        if len(small) < len(images.names):
            more = f" and {len(small) - 5} more" if len(small) > 5 else ""
            named = (
                f"too few are in {', '.join(small[:5])}{more}. With pictures of your own, dataset.min_images: {needed}"
                " leaves such classes out"
            )
        raise UserError(
            f"episodes need {needed} images of each class ({whole.shots} shots + {whole.unlabelled} unlabelled"
            f" + {shape.queries} queries), but the smallest class of the {split} split has {images.smallest_class};"
            f" {named}"
        )


def _refuse_ways(shape: EpisodesConfig, where: str, classes: int) -> NoReturn:
    kind = "episodes" if shape.tasks == 1 else f"sequences of {shape.tasks} tasks"
    distractors = f" and {shape.distractors} distractors" if shape.distractors else ""
    raise UserError(f"{kind} of {shape.ways} ways{distractors} are impossible: {where} has {classes} classes")


def fingerprint(dataset_sha256: str, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> str:
    """SHA-256 of a frozen test set: the data's digest, the shape, and every image of every episode."""
    # Defaults are left out so that an option added later does not change the digests of old test sets.
    settings = json.dumps(shape.model_dump(exclude_defaults=True), sort_keys=True)
    digest = hashlib.sha256(f"{dataset_sha256}:{settings}".encode())
    for start in range(0, count, 100):
        drawn = draw(images, shape.whole, stream, torch.arange(start, min(start + 100, count)))
        parts: tuple[Tensor, ...] = (drawn.classes, drawn.rows, drawn.rotations)
        if images.domains:  # without, the digest is as before there were domains
            digest.update(json.dumps([domain.name for domain in images.domains]).encode())
            parts = (*parts, drawn.domains)
        for part in parts:
            digest.update(part.contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()
