"""What the small network that classifies the images of one task looks like, see `methods.networks.conv4`."""

from dataclasses import dataclass

BLOCKS = 4
KERNEL_SIZE = 3


@dataclass(frozen=True)
class Architecture:
    """What a network looks like, apart from its width and its numbers; the default is Conv4.

    Attributes:
        blocks: number of convolutions.
        kernel_size: of each, in pixels.
        stride: of each.
        max_pool: each convolution pads with zeros, so that only its stride makes images smaller, and is followed by 2x2
            max-pooling; the last activations are flattened. Otherwise there is neither padding nor pooling, and the
            last activations are averaged over their pixels.
        negative_slope: of the activation below zero; 0 for ReLU.
    """

    blocks: int = BLOCKS
    kernel_size: int = KERNEL_SIZE
    stride: int = 1
    max_pool: bool = True
    negative_slope: float = 0.0

    @property
    def padding(self) -> int:
        """Zeros on each side of an image."""
        return self.kernel_size // 2 if self.max_pool else 0

    @property
    def smallest_side(self) -> int:
        """Of images from which something is left behind the last block."""
        side = 1
        for _ in range(self.blocks):
            side = (side * (2 if self.max_pool else 1) - 1) * self.stride + self.kernel_size - 2 * self.padding
        return side

    def side_behind(self, side: int) -> int:
        """Of an image behind one block, given its side in front."""
        convolved = (side + 2 * self.padding - self.kernel_size) // self.stride + 1
        return convolved // 2 if self.max_pool else convolved


CONV4 = Architecture()
