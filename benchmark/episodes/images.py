"""From a draw to tensors: the pixels of the chosen images."""

import torch
from torch import Tensor

from benchmark.cells.config import EpisodesConfig
from benchmark.data.dataset import ClassImages
from benchmark.data.pixels.domains import shown
from benchmark.data.pixels.normalization import Normalization
from benchmark.episodes.draw import Draw, augmentation_numbers, permutations_of
from methods.episode import UNLABELLED, Episode


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
        numbers = augmentation_numbers(drawn).to(device)
        pixels = images.augmentation(pixels.flatten(0, 2), numbers.flatten(0, 2)).view_as(pixels)
    if any(domain.view != "identity" for domain in images.domains):
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


def _in_domains(pixels: Tensor, images: ClassImages, drawn: Draw) -> Tensor:
    """Pixels (T, N, K, C, H, W) as the domain of each episode shows them."""
    permutations = permutations_of(drawn).to(pixels.device)
    return torch.stack(
        [
            shown(one.flatten(0, 1), images.domains[domain].view, rows.flatten()).unflatten(0, one.shape[:2])
            for one, domain, rows in zip(pixels, drawn.domains.tolist(), permutations, strict=True)
        ]
    )


def _prepared(pixels: Tensor, normalization: Normalization | None) -> Tensor:
    """uint8 to float32 in [0, 1], or normalised."""
    unit = pixels.to(torch.float32).div_(255)
    return unit if normalization is None else normalization(unit)
