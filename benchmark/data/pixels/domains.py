"""Ways to show the images of a dataset, which make domains of it (`benchmark.data.domain`).

- `identity`, `invert` (bright and dark change places), `blur` (mean over 3x3 pixels), `edges` (twice the absolute
  difference to that mean): each gives an image of the same shape.
- `first-plane`, `second-plane`: twice as many channels, the image in the first or second half of them, and in the other
  half the image with its pixels shuffled, by one of 256 fixed permutations drawn for each image of each episode. Only
  the plane tells where to look: a network with the same kernels for all tasks must look at both.

`domains: planes` is short for the last two.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

View = Literal["identity", "invert", "blur", "edges", "first-plane", "second-plane"]
PLANES: tuple[View, ...] = ("first-plane", "second-plane")
PERMUTATIONS = 256
"""More than a small network could learn to undo, few enough to keep: sorting anew costs as much as a training step."""


def shown(images: "Tensor", view: View, choice: "Tensor") -> "Tensor":
    """Images (B, C, H, W) uint8 as a view has them, uint8; `choice` (B,) says which permutation shuffles each."""
    import torch
    import torch.nn.functional as F

    if view == "identity":
        return images
    if view == "invert":
        return 255 - images
    if view in PLANES:
        table = _permutations(images.shape[-2] * images.shape[-1]).to(images.device)
        order = table[choice][:, None].expand(-1, images.shape[1], -1)
        noise = images.flatten(2).gather(2, order).view_as(images)
        return torch.cat([images, noise] if view == "first-plane" else [noise, images], dim=1)
    blurred = F.avg_pool2d(F.pad(images.float(), [1] * 4, mode="replicate"), 3, stride=1)
    if view == "edges":
        blurred = (2 * (images.float() - blurred).abs()).clamp_(max=255)
    return blurred.round().to(torch.uint8)


def _permutations(pixels: int) -> "Tensor":
    """(PERMUTATIONS, pixels) int64, always the same."""
    import numpy as np
    import torch

    if pixels not in _tables:
        bits = np.random.PCG64(pixels).random_raw(PERMUTATIONS * pixels).reshape(PERMUTATIONS, pixels)
        _tables[pixels] = torch.from_numpy(bits.argsort(axis=1, kind="stable"))
    return _tables[pixels]


_tables: "dict[int, Tensor]" = {}
