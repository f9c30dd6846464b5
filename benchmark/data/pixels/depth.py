"""Pictures of more than 8 bits, made 8 bits by one rule for all pictures.

Pillow clips them, so that floats from 0 to 1 become black and 16-bit numbers white. A scale that depends on a picture's
own brightest pixel would make pictures differ that are the same scene, so the rule looks at the kind of numbers alone:

- whole numbers of 16 bits, or of 32 bits as far as 65535: divided by 256, rounded down;
- of 12 bits, where the file says so (TIFF): divided by 16, rounded down;
- floats: from 0 to 1, times 255, rounded.

Anything else is refused. So are 16- and 32-bit numbers none of which exceeds 4095: they are from a camera or scanner
with 12 bits or fewer, or meant to be 8 bits, and would come out (nearly) black.
"""

import numpy as np
from PIL import Image

LARGEST_DARK = 4095
"""Numbers of 16 bits that are all at most this have fewer bits in truth."""


def raw_mode(image: Image.Image) -> str:
    """How an opened picture's pixels lie in its file, as Pillow calls it ("I;12", "RGB;16B"); "" once it is loaded."""
    tile = getattr(image, "tile", None)
    arguments = tile[0][3] if tile else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def eight_bits(image: Image.Image, raw: str) -> Image.Image:
    """The picture, in 8 bits if it had more.

    Args:
        image: loaded. Of several channels with 16 bits each, Pillow has read the upper halves.
        raw: the `raw_mode` it had.

    Raises:
        ValueError: numbers out of the range that the rule knows.
    """
    if not image.mode.startswith(("I", "F")):
        if ";16" in raw and 0 < max(high for _, high in _extrema(image)) <= LARGEST_DARK >> 8:
            raise ValueError(f"none of its 16-bit numbers exceeds {LARGEST_DARK}; {_DARK}")
        return image
    values = np.asarray(image)
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    if image.mode == "F":
        if not (low >= 0 and high <= 1):  # not a number fails too
            raise ValueError(f"its pixels are floats from {low:g} to {high:g}, and only 0 to 1 is read")
        return Image.fromarray(np.rint(values * 255.0).astype(np.uint8))
    if image.mode == "I" and (low < 0 or high > 65535 or 0 < high <= 255):
        raise ValueError(
            f"its pixels are 32-bit numbers from {low} to {high}, and 32 bits are read as 16-bit ones, 256 to 65535;"
            " save it with 8 or 16 bits"
        )
    if raw.startswith("I;12"):
        return Image.fromarray((values >> 4).astype(np.uint8))
    if 0 < high <= LARGEST_DARK:
        raise ValueError(f"none of its {'32' if image.mode == 'I' else '16'}-bit numbers exceeds {high}; {_DARK}")
    return Image.fromarray((values >> 8).astype(np.uint8))


_DARK = (
    "16 bits are read as up to 65535, so it would be nearly black. Scale it to 16 bits (12-bit numbers times 16), or"
    " save it with 8"
)


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    """Of each channel that is not transparency."""
    channels = image.getbands()
    pixels = np.asarray(image).reshape(-1, len(channels))
    lowest, highest = pixels.min(0), pixels.max(0)
    return [(int(lowest[i]), int(highest[i])) for i, name in enumerate(channels) if name != "A"]
