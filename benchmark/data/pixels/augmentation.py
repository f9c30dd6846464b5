"""Augmentation of training images on the device they are on: random crop, colour jitter, horizontal flip.

The augmentation of RFS (Tian et al. 2020, after MetaOptNet, Lee et al. 2019): crops of the image's size from the image
with a black border (8 pixels of 84, 4 of 32), brightness, contrast and saturation times 0.6 to 1.4, a flip every other
time. The HyperTransformer's is of the same kind: flip, hue +-0.2, brightness +-0.3, contrast 0.8 to 1.2, crops of 60 to
100 % of the side. One difference: torchvision changes the three colour properties in random order, here the order is
always brightness, contrast, saturation.

What happens to an image is a function of the image and of `RANDOM_NUMBERS` numbers in [0, 1).
`benchmark.episodes.sampling` derives them from stream, episode and image, so they do not depend on batch size or
device.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

RANDOM_NUMBERS = 6
"""Per image: flip, vertical and horizontal place of the crop, brightness, contrast, saturation."""

GREY = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the luminance, as in torchvision (ITU-R BT.601)."""


@dataclass(frozen=True)
class Augmentation:
    """How far: `padding` pixels of border around the image, colour factors in 1 - `jitter` .. 1 + `jitter`."""

    padding: int
    jitter: float = 0.4

    def __call__(self, images: Tensor, numbers: Tensor) -> Tensor:
        """Images (B, 3, H, W) uint8, each changed as its `numbers` (B, RANDOM_NUMBERS) in [0, 1) say; uint8 again."""
        flip, down, right, *colours = numbers.unbind(1)
        places = 2 * self.padding + 1
        cropped = self._crop(images, (down * places).long(), (right * places).long(), flip < 0.5)
        factors = [1 - self.jitter + 2 * self.jitter * number for number in colours]
        return (jittered(cropped.float() / 255, *factors) * 255).round().to(torch.uint8)

    def _crop(self, images: Tensor, down: Tensor, right: Tensor, mirrored: Tensor) -> Tensor:
        """Cut at `down` and `right` (B,) from the padded image, and mirror where asked."""
        height, width = images.shape[-2:]
        padded = F.pad(images, [self.padding] * 4)
        windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, 3, places, places, H, W), nothing copied
        cropped = windows[torch.arange(len(images), device=images.device), :, down, right]
        return torch.where(mirrored[:, None, None, None], cropped.flip(-1), cropped)


def jittered(images: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Images (B, 3, H, W) in [0, 1] with each property times its factor (B,), in this order, clamped after each.

    Contrast is about the image's mean luminance, saturation about each pixel's own.
    """
    images = (images * brightness[:, None, None, None]).clamp_(0, 1)
    # In double precision, so that the order of the sum, which may depend on the batch, is lost in rounding.
    mean = _luminance(images).mean((1, 2, 3), keepdim=True, dtype=torch.float64).to(images.dtype)
    images = _blend(images, mean, contrast)
    return _blend(images, _luminance(images), saturation)


def _blend(images: Tensor, other: Tensor, factor: Tensor) -> Tensor:
    return torch.lerp(other, images, factor[:, None, None, None]).clamp_(0, 1)


def _luminance(images: Tensor) -> Tensor:
    """(B, 1, H, W)."""
    red, green, blue = images.split(1, dim=1)
    return red * GREY[0] + green * GREY[1] + blue * GREY[2]
