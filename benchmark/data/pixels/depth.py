"""Pictures of more than 8 bits, made 8 bits by one rule for all pictures.

Pillow clips them, so that floats from 0 to 1 become black and 16-bit numbers white. A scale that depends on a picture's
own brightest pixel would make pictures differ that are the same scene, so the rule looks at the kind of numbers alone:

- whole numbers of 16 bits, or of 32 bits as far as 65535: divided by 256, rounded down;
- floats: from 0 to 1, times 255, rounded.

Anything else is refused, as are 32-bit numbers that do not exceed 255 (they would all become black; they are probably
meant to be 8 bits).
"""

import numpy as np
from PIL import Image


def eight_bits(image: Image.Image) -> Image.Image:
    """The picture, in 8 bits if it had more and one channel (Pillow reads others as 8 bits by their upper halves).

    Raises:
        ValueError: numbers out of the range that the rule knows.
    """
    if not image.mode.startswith(("I", "F")):
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
    return Image.fromarray((values >> 8).astype(np.uint8))
