"""Episodes as a pure function of (split, stream, index): no generator state, so the same index is the same task
whatever the batch size, device, worker or resume point.

Every class of the split gets a pseudo-random rank that depends only on (stream, episode index, class), and the
`ways` classes of lowest rank make the episode (the next ones are its distractors); images within a class are ranked in
the same way. A random ranking is a random draw without replacement, so support, unlabelled and query images are
disjoint by construction.

The hash is the finaliser of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
2014), in int64 arithmetic that wraps alike on every device.
"""

import hashlib
import json
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.config import EpisodesConfig
from benchmark.data.augmentation import RANDOM_NUMBERS
from benchmark.data.dataset import ClassImages
from benchmark.data.domains import PERMUTATIONS, shown
from benchmark.data.normalization import Normalization
from benchmark.errors import UserError
from benchmark.sequences import in_steps
from methods.episode import UNLABELLED, Episode

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as int64: 2**64 / golden ratio, splitmix64's increment
_MIX_1 = -4658895280553007687  # 0xBF58476D1CE4E5B9
_MIX_2 = -7723592293110705685  # 0x94D049BB133111EB
_INDEX_BITS = 21  # a rank's low bits hold the candidate's number: no ties, and up to two million candidates


@dataclass(frozen=True)
class Draw:
    """Which images make T episodes.

    Attributes:
        classes: (T, N) class numbers, `ClassImages.classes` of them. Here N counts distractors too, which come last.
        rows: (T, N, K) image rows in `ClassImages.images`; the K columns are shots, then unlabelled, then queries. Of
            distractors only the unlabelled columns are used.
        rotations: (T, N) quarter turns.
        episodes: (T,) a pseudo-random number per episode, from which the augmentation of its images is drawn.
    """

    classes: Tensor
    rows: Tensor
    rotations: Tensor
    episodes: Tensor


def stream(name: str, seed: int) -> int:
    """A 64-bit stream number for a named use, such as ("train", 0): different names share no episodes by design."""
    digest = hashlib.sha256(f"{name}:{seed}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def draw(images: ClassImages, shape: EpisodesConfig, stream: int, indices: Tensor) -> Draw:
    """Choose the images of the episodes numbered `indices` (T,) int64, on the device of `indices`."""
    device = indices.device
    n_names = len(images.names)
    per_class = shape.shots + shape.unlabelled + shape.queries
    first = images.first.to(device)

    episode_T = _hash(indices * _GOLDEN + stream)
    classes_TN = _lowest(
        _hash(episode_T[:, None] + _salted(torch.arange(images.classes, device=device), 1)),
        shape.ways + shape.distractors,
    )

    base_TN = classes_TN % n_names
    slot_TN = _hash(episode_T[:, None] + _salted(classes_TN, 2))
    size_TN = first[base_TN + 1] - first[base_TN]
    candidate_I = torch.arange(images.largest_class, device=device)
    rank_TNI = _hash(slot_TN[..., None] + _salted(candidate_I, 3))
    rank_TNI = rank_TNI.masked_fill(candidate_I >= size_TN[..., None], torch.iinfo(torch.int64).max)
    rows_TNK = first[base_TN][..., None] + _lowest(rank_TNI, per_class)

    if images.rotations == "classes":
        rotations_TN = classes_TN // n_names
    elif images.rotations == "per-class":
        rotations_TN = _hash(slot_TN + _salted(torch.zeros((), dtype=torch.int64, device=device), 4)) & 3
    else:
        rotations_TN = torch.zeros_like(classes_TN)
    return Draw(classes_TN, rows_TNK, rotations_TN, episode_T)


def gather(images: ClassImages, shape: EpisodesConfig, drawn: Draw, *, identities: bool = False) -> Episode:
    """Turn a draw into tensors; `identities` also hands over the class numbers (training only).

    Support images come class by class in slot order, labelled ones first, distractors last. Methods must not depend on
    that order.
    """
    tasks, slots, per_class = drawn.rows.shape
    ways = slots - shape.distractors
    device = images.device
    turned_rows = drawn.rows + drawn.rotations[..., None] * images.images.shape[0]
    pixels = images.turned[turned_rows.to(images.images.device)].to(device)
    if images.augmentation is not None:
        numbers = _augmentation_numbers(drawn).to(device)
        pixels = images.augmentation(pixels.flatten(0, 2), numbers.flatten(0, 2)).view_as(pixels)
    if images.domains:
        pixels = _in_domains(pixels, images, drawn)
    labels = torch.arange(ways, device=device)[:, None].expand(tasks, ways, per_class)

    shots_px, unlabelled_px, query_px = pixels.split([shape.shots, shape.unlabelled, shape.queries], dim=2)
    hidden_px = unlabelled_px.flatten(1, 2)
    shot_labels = labels[..., : shape.shots].flatten(1, 2)
    return Episode(
        support_images=_prepared(torch.cat([shots_px[:, :ways].flatten(1, 2), hidden_px], dim=1), images.normalization),
        support_labels=torch.cat([shot_labels, shot_labels.new_full(hidden_px.shape[:2], UNLABELLED)], dim=1),
        query_images=_prepared(query_px[:, :ways].flatten(1, 2), images.normalization),
        query_labels=labels[..., per_class - shape.queries :].flatten(1, 2),
        ways=ways,
        classes=drawn.classes[:, :ways].to(device) if identities else None,
    )


def domains_of(images: ClassImages, drawn: Draw) -> Tensor:
    """Which of `images.domains` each episode has, (T,) int64: a function of stream and index, never shown to a method.

    A task sequence has one domain throughout.
    """
    return _shift_right(_hash(drawn.episodes + _salted(torch.zeros_like(drawn.episodes), 7)), 33) % len(images.domains)


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
    if whole.ways + shape.distractors > images.classes:
        kind = "episodes" if shape.tasks == 1 else f"sequences of {shape.tasks} tasks"
        distractors = f" and {shape.distractors} distractors" if shape.distractors else ""
        raise UserError(
            f"{kind} of {shape.ways} ways{distractors} are impossible: the {split} split has {images.classes} classes"
        )
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
        raise UserError(
            f"episodes need {needed} images of each class ({whole.shots} shots + {whole.unlabelled} unlabelled"
            f" + {shape.queries} queries), but the smallest class of the {split} split has {images.smallest_class}"
        )


def fingerprint(dataset_sha256: str, images: ClassImages, shape: EpisodesConfig, stream: int, count: int) -> str:
    """SHA-256 of a frozen test set: the data's digest, the shape, and every image of every episode."""
    # Defaults are left out so that an option added later does not change the digests of old test sets.
    settings = json.dumps(shape.model_dump(exclude_defaults=True), sort_keys=True)
    digest = hashlib.sha256(f"{dataset_sha256}:{settings}".encode())
    for start in range(0, count, 100):
        drawn = draw(images, shape.whole, stream, torch.arange(start, min(start + 100, count)))
        parts: tuple[Tensor, ...] = (drawn.classes, drawn.rows, drawn.rotations)
        if images.domains:  # without, the digest is as before there were domains
            digest.update(json.dumps(images.domains).encode())
            parts = (*parts, domains_of(images, drawn))
        for part in parts:
            digest.update(part.contiguous().numpy().astype("<i8").tobytes())
    return digest.hexdigest()


def _salted(x: Tensor, salt: int) -> Tensor:
    """Keep the hashes of classes, slots, images and rotations apart."""
    return (x * 8 + salt) * _GOLDEN


def _hash(x: Tensor) -> Tensor:
    """splitmix64's finaliser, element by element on int64."""
    x = (x ^ _shift_right(x, 30)) * _MIX_1
    x = (x ^ _shift_right(x, 27)) * _MIX_2
    return x ^ _shift_right(x, 31)


def _shift_right(x: Tensor, bits: int) -> Tensor:
    """Logical shift: int64's own shift copies the sign bit."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _lowest(ranks: Tensor, count: int) -> Tensor:
    """Positions of the `count` lowest ranks along the last axis, lowest first."""
    positions = torch.arange(ranks.shape[-1], device=ranks.device)
    unique = (ranks & -(1 << _INDEX_BITS)) | positions
    return unique.topk(count, dim=-1, largest=False, sorted=True).values & ((1 << _INDEX_BITS) - 1)


def _augmentation_numbers(drawn: Draw) -> Tensor:
    """(T, N, K, RANDOM_NUMBERS) float32 in [0, 1): a function of stream, episode and image alone."""
    image_TNK = _hash(drawn.episodes[:, None, None] + _salted(drawn.rows, 5))
    number_TNKR = _hash(image_TNK[..., None] + _salted(torch.arange(RANDOM_NUMBERS, device=image_TNK.device), 6))
    # 20 bits: so far from 1 that a product with a small whole number is not rounded up to that number.
    return _shift_right(number_TNKR, 44).to(torch.float32) / 2**20


def _in_domains(pixels: Tensor, images: ClassImages, drawn: Draw) -> Tensor:
    """Pixels (T, N, K, C, H, W) as the domain of each episode shows them."""
    choice = (_hash(_hash(drawn.episodes[:, None, None] + _salted(drawn.rows, 5))) & (PERMUTATIONS - 1)).to(
        pixels.device
    )
    found = domains_of(images, drawn).tolist()
    return torch.stack(
        [
            shown(one.flatten(0, 1), images.domains[domain], rows.flatten()).unflatten(0, one.shape[:2])
            for one, domain, rows in zip(pixels, found, choice, strict=True)
        ]
    )


def _prepared(pixels: Tensor, normalization: Normalization | None) -> Tensor:
    """uint8 to float32 in [0, 1], or normalised."""
    unit = pixels.to(torch.float32).div_(255)
    return unit if normalization is None else normalization(unit)
