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
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.data.pixels.augmentation import RANDOM_NUMBERS
from benchmark.data.pixels.domains import PERMUTATIONS

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
        domains: (T,) places in `ClassImages.domains`, 0 without any.
        episodes: (T,) a pseudo-random number per episode, from which the augmentation of its images is drawn.
    """

    classes: Tensor
    rows: Tensor
    rotations: Tensor
    domains: Tensor
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
    domain_T = _domains(images, episode_T)
    rank_TC = _hash(episode_T[:, None] + _salted(torch.arange(images.classes, device=device), 1))
    if images.domains:
        rank_TC = rank_TC.masked_fill(~_within(images, device)[domain_T], torch.iinfo(torch.int64).max)
    classes_TN = _lowest(rank_TC, shape.ways + shape.distractors)

    base_TN = classes_TN % n_names
    slot_TN = _hash(episode_T[:, None] + _salted(classes_TN, 2))
    size_TN = first[base_TN + 1] - first[base_TN]
    candidate_I = torch.arange(images.largest_class, device=device)
    rank_TNI = _hash(slot_TN[..., None] + _salted(candidate_I, 3))
    rank_TNI = rank_TNI.masked_fill(candidate_I >= size_TN[..., None], torch.iinfo(torch.int64).max)
    rows_TNK = first[base_TN][..., None] + _lowest(rank_TNI, per_class)

    rotations_TN = classes_TN // n_names  # of a rotated class; the others are not above n_names
    turned = [domain.rotations == "per-class" for domain in images.domains] or [images.rotations == "per-class"]
    if any(turned):
        turn_TN = _hash(slot_TN + _salted(torch.zeros((), dtype=torch.int64, device=device), 4)) & 3
        rotations_TN = torch.where(torch.tensor(turned, device=device)[domain_T][:, None], turn_TN, rotations_TN)
    return Draw(classes_TN, rows_TNK, rotations_TN, domain_T, episode_T)


def _domains(images: ClassImages, episode_T: Tensor) -> Tensor:
    """Which of `images.domains` each episode has, by weight. A task sequence has one domain throughout."""
    if not images.domains:
        return torch.zeros_like(episode_T)
    ends = torch.tensor([domain.weight for domain in images.domains], device=episode_T.device).cumsum(0)
    number_T = _shift_right(_hash(episode_T + _salted(torch.zeros_like(episode_T), 7)), 33) % ends[-1]
    return torch.searchsorted(ends, number_T, right=True)


def _within(images: ClassImages, device: torch.device) -> Tensor:
    """(D, classes) bool: which classes each domain draws from."""
    names, all_classes = len(images.names), torch.arange(images.classes, device=device)
    name, turn = all_classes % names, all_classes // names
    return torch.stack(
        [
            (name >= one.classes.start) & (name < one.classes.stop) & ((turn == 0) | (one.rotations == "classes"))
            for one in images.domains
        ]
    )


def augmentation_numbers(drawn: Draw) -> Tensor:
    """(T, N, K, RANDOM_NUMBERS) float32 in [0, 1): a function of stream, episode and image alone."""
    image_TNK = _hash(drawn.episodes[:, None, None] + _salted(drawn.rows, 5))
    number_TNKR = _hash(image_TNK[..., None] + _salted(torch.arange(RANDOM_NUMBERS, device=image_TNK.device), 6))
    # 20 bits: so far from 1 that a product with a small whole number is not rounded up to that number.
    return _shift_right(number_TNKR, 44).to(torch.float32) / 2**20


def order_shown(stream: int, indices: Tensor, count: int, groups: int = 1, after: int = 0) -> Tensor:
    """A permutation (T, count) of the places of the episodes numbered `indices` (T,), within each of equal `groups`.

    Like the draw it is a function of stream and index alone. Different places have different hashes: `after` says how
    many are ordered by another call, so that the queries' order tells nothing about that of other images.
    """
    place = torch.arange(after, after + count, device=indices.device)
    episode_T = _hash(indices * _GOLDEN + stream)
    rank_TGP = _hash(episode_T[:, None] + _salted(place, 0)).unflatten(1, (groups, count // groups))
    first_G = torch.arange(groups, device=indices.device) * (count // groups)
    return (rank_TGP.argsort(-1) + first_G[:, None]).flatten(1)


def permutations_of(drawn: Draw) -> Tensor:
    """(T, N, K) int64 below PERMUTATIONS: the permutation that shuffles each image in a view of planes."""
    return _hash(_hash(drawn.episodes[:, None, None] + _salted(drawn.rows, 5))) & (PERMUTATIONS - 1)


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
