"""A mixture: a data set made of others, each a domain; every episode has the classes of one of them.

    dataset:
      name: mixture
      of: {omniglot: {split: lake}, glyphs: {}}
      weights: {glyphs: 2}         # trained on twice as often; 0: only tested

What is a domain. Each part is one, or, if its options say `domains`, each way to show its images is one of its own:
`omniglot (invert)`. Which one an episode has is a function of its stream and index (`benchmark.data.domain`).

Training asks for each part by its weight, and for the domains of a part alike. Validation and test ask for all domains
alike, so that the tests of two mixtures of the same parts are the same, whatever they were trained on: a mean over
them counts no data set more than another. A part of weight 0 is in neither training nor validation.

Images are made equal by one rule. Each is resized to `image_size` (28 unless it is given) with Pillow's LANCZOS filter
if it has another size, and made grey by Pillow's luminance (ITU-R BT.601) or, with `colour: true`, RGB by repeating
grey three times. Pixels of episodes are in [0, 1], whatever normalisation a part has by itself. Bright and dark stay as
they are in the parts: ink is bright in the drawn data sets.

Parts of one data set, such as two splits of Omniglot, are refused if a picture is in training of one and in testing of
the other (`benchmark.data.shared`).

Splits are those of the parts, and classes are named `omniglot/Greek/character01`. Licences and citations are those of
the parts. The content is told by the SHA-256 of each part's, with the side and colour of the images.
"""

import functools
import hashlib
import json
from collections.abc import Mapping
from math import lcm
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmark.data import load as load_part
from benchmark.data.configs import MixtureConfig
from benchmark.data.dataset import ClassImages, Dataset
from benchmark.data.domain import Domain
from benchmark.data.files.progress import progress
from benchmark.data.pixels.repeated import picture_hashes, repeated_across
from benchmark.data.shared import refuse

SPLITS = ("train", "validation", "test")


def load(config: MixtureConfig, root: Path) -> Dataset:
    """Load the parts and put them together.

    Raises:
        UserError: what is wrong with a part.
    """
    parts = {name: load_part(part, root) for name, part in config.of.items()}
    content = [[name, part.sha256] for name, part in parts.items()]
    sha256 = hashlib.sha256(json.dumps([content, config.image_size, config.colour]).encode()).hexdigest()
    splits = {split: _together(config, split, {n: p.splits[split] for n, p in parts.items()}) for split in SPLITS}
    if len({part.name for part in parts.values()}) < len(parts):
        _refuse_shared(sha256, splits)
    return Dataset(
        config.name,
        sha256,
        splits,
        files=tuple(file for part in parts.values() for file in part.files),
        remarks=tuple(f"{name}: {remark}" for name, part in parts.items() for remark in part.remarks),
        shared_pictures=sum(part.shared_pictures for part in parts.values()),
    )


def _refuse_shared(sha256: str, splits: Mapping[str, ClassImages]) -> None:
    """Refuse pictures that are in a split of one part and in another split of another part.

    Raises:
        UserError: naming the first of them.
    """

    def class_of(split: str, row: int) -> str:
        images = splits[split]
        return images.names[int(torch.searchsorted(images.first, row, right=True)) - 1]

    hashes = {split: picture_hashes(images.images.numpy(), f"{split} images") for split, images in splits.items()}
    crossing = [
        one
        for one in repeated_across(hashes)
        if class_of(one.first_split, one.first).split("/")[0] != class_of(one.other_split, one.other).split("/")[0]
    ]
    refuse(sha256, crossing, lambda split, row: f"one of {class_of(split, row)}")


def _together(config: MixtureConfig, split: str, parts: Mapping[str, ClassImages]) -> ClassImages:
    """One split of all parts that it asks for."""
    asked = [name for name in parts if split == "test" or config.weight(name)]
    images = [equal(parts[name].images, config.image_size, config.colour) for name in asked]
    sizes = [parts[name].first.diff() for name in asked]
    ends = np.cumsum([0, *(len(parts[name].names) for name in asked)])
    places = {name: range(int(ends[i]), int(ends[i + 1])) for i, name in enumerate(asked)}
    return ClassImages(
        torch.cat(images),
        torch.cat([torch.zeros(1, dtype=torch.int64), torch.cat(sizes).cumsum(0)]),
        tuple(f"{name}/{label}" for name in asked for label in parts[name].names),
        domains=_domains(config, split, parts, places),
    )


def _domains(
    config: MixtureConfig, split: str, parts: Mapping[str, ClassImages], places: Mapping[str, range]
) -> tuple[Domain, ...]:
    """Those of a split; in training, the views of a part share its weight."""
    counts = {name: sum(part == name for part, _ in config.views.values()) for name in places}
    common = functools.reduce(lcm, counts.values(), 1)
    return tuple(
        Domain(
            domain,
            places[part],
            parts[part].domains[0].rotations if parts[part].domains else parts[part].rotations,
            view,
            config.weight(part) * common // counts[part] if split == "train" else 1,
        )
        for domain, (part, view) in config.views.items()
        if part in places
    )


def equal(images: Tensor, size: int, colour: bool) -> Tensor:
    """Images (M, C, H, W) uint8 as (M, 3 or 1, size, size) uint8 by the rule of mixtures."""
    channels = 3 if colour else 1
    if images.shape[1:] == (channels, size, size):
        return images
    found = np.empty((len(images), size, size, channels), dtype=np.uint8)
    for place, one in enumerate(progress(images, "making images equal")):
        pixels = one.permute(1, 2, 0).numpy()
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        picture = picture.convert("RGB" if colour else "L")
        if picture.size != (size, size):
            picture = picture.resize((size, size), Image.Resampling.LANCZOS)
        found[place] = np.asarray(picture).reshape(size, size, channels)
    return torch.from_numpy(found).permute(0, 3, 1, 2).contiguous()
