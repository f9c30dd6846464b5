"""Means and standard deviations of datasets, by which their pixels are normalised. Light: no torch here."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from torch import Tensor


class Normalization(NamedTuple):
    """Mean and standard deviation of each channel of pixels in [0, 1]."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: "Tensor") -> "Tensor":
        """Images (..., C, H, W) in [0, 1] with mean 0 and standard deviation 1 over the dataset."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in self)
        return (images - mean) / std

    def inverse(self, images: "Tensor") -> "Tensor":
        """Normalised images (..., C, H, W) back in [0, 1], to be looked at."""
        mean, std = (images.new_tensor(values)[:, None, None] for values in self)
        return images * std + mean


# The numbers of RFS (Tian et al. 2020, https://github.com/WangYueFt/rfs), which MetaOptNet uses too.
IMAGENET_84 = Normalization((120.40 / 255, 115.60 / 255, 104.54 / 255), (70.68 / 255, 68.28 / 255, 72.55 / 255))
CIFAR_100 = Normalization((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761))
