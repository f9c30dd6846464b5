"""One picture file, as a square of pixels."""

import re
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from benchmark.data.pixels.depth import eight_bits, raw_mode
from benchmark.errors import UserError

LARGEST_PICTURE = 100_000_000
"""Pixels of a picture that is still read; decoding takes 3 bytes each. Photographs have up to 60 million."""
_LIMIT = f"and at most {LARGEST_PICTURE // 10**6} million are read"


def read_image(path: Path, image_size: int, colour: bool) -> Tensor:
    """(C, image_size, image_size) uint8, C = 3 with colour, else 1: resized by the shorter side, middle cut out.

    Raises:
        UserError: the file is missing, is not an image, has more than `LARGEST_PICTURE` pixels, or numbers as pixels
            that `benchmark.data.pixels.depth` does not know how to scale.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of large pictures, where the limit is ours, and of odd metadata
            with Image.open(path) as file:
                _check_size(file)
                raw = raw_mode(file)
                image = eight_bits(ImageOps.exif_transpose(file), raw)
                if image.has_transparency_data:
                    image = image.convert("RGBA")
                    image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
                image = image.convert("RGB" if colour else "L")
                square = ImageOps.fit(image, (image_size, image_size), Image.Resampling.LANCZOS)
    except Image.DecompressionBombError as error:  # of even larger pictures, before their size can be asked for
        count = re.search(r"\d+", str(error))
        found = f"it has {int(count[0]):,} pixels" if count else str(error)
        raise UserError(f"{path} cannot be read as an image ({found}, {_LIMIT}); make it smaller") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image ({error}); repair or remove it") from error
    pixels = torch.from_numpy(np.array(square))
    return pixels.permute(2, 0, 1).contiguous() if colour else pixels[None]


def _check_size(image: Image.Image) -> None:
    width, height = image.size
    if width * height > LARGEST_PICTURE:
        raise ValueError(f"it has {width} x {height} pixels, {_LIMIT}")
