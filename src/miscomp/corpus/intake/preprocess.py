"""From a photograph's pixels to what a corpus keeps: crop, scale down, crop again (SCLIC 3.1, appendix 1).

All of it is arithmetic on sizes and Pillow's Lanczos filter on 8-bit sRGB values, as ImageMagick's `resize` does it.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import numpy as np
from PIL import Image

from miscomp.corpus.config import Images
from miscomp.errors import ImageError
from miscomp.formats import Source
from miscomp.images import Pixels

_THREE = frozenset(("RGB", "YCbCr", "LAB"))
_KINDS = {
    "P": "a palette",
    "PA": "a palette and alpha",
    "LA": "grey and alpha",
    "La": "grey and alpha",
    "RGBA": "RGB and alpha",
    "RGBa": "RGB and alpha",
    "RGBX": "RGB and a fourth channel",
    "CMYK": "CMYK",
}


class NotThreeChannels(ImageError):
    """A picture's file does not hold exactly three values for each pixel."""


def need_three_channels(source: Source, where: object) -> None:
    """Raise `NotThreeChannels` for grey, palette, CMYK, and anything with alpha, be it opaque or a transparent colour.

    What counts is how the file stores its pixels, not how they look: a grey scene stored as RGB has three channels.
    """
    image = source.image
    if image.mode not in _THREE:
        found = _KINDS.get(image.mode, "grey")
    elif "transparency" in image.info:
        found = "RGB with a transparent colour"
    else:
        return
    raise NotThreeChannels(where, f"is stored as {found}; three channels are needed: save it as plain RGB to use it")


def share_of(scales: Mapping[str, float], source: str) -> float:
    """The share that pictures of a source are scaled to, 1 for most; capitals do not matter."""
    by_name = {name.casefold(): share for name, share in scales.items()}
    return scales.get(source, by_name.get(source.casefold(), 1.0))


def scaled_size(width: int, height: int, *, max_side: int, share: float = 1.0) -> tuple[int, int]:
    """Width and height times one factor: the share, or less where a side would exceed `max_side`; never above 1.

    Halves are rounded up, and no side falls below 1.
    """
    # As decimals and fractions, so that 0.4 is four tenths and every machine rounds alike.
    factor = min(Fraction(1), Fraction(str(share)), Fraction(max_side, max(width, height)))
    scaled_width, scaled_height = (max(1, int(side * factor + Fraction(1, 2))) for side in (width, height))
    return scaled_width, scaled_height


def final_size(width: int, height: int, images: Images, *, share: float = 1.0) -> tuple[int, int]:
    """The size that `preprocess` gives; 0 x 0 where nothing would be left of a side."""
    multiple = images.multiple
    if min(width, height) < multiple:
        return 0, 0
    cropped = (width - width % multiple, height - height % multiple)
    width, height = scaled_size(*cropped, max_side=images.max_side, share=share)
    if min(width, height) < multiple:
        return 0, 0
    return width - width % multiple, height - height % multiple


def preprocess(pixels: Pixels, images: Images, *, share: float = 1.0) -> Pixels:
    """Crop to multiples, scale down, crop to multiples again; what fits already comes back as it is.

    Raises `ValueError` for a picture of which nothing would be left.
    """
    height, width = pixels.shape[:2]
    if 0 in final_size(width, height, images, share=share):
        raise ValueError(f"nothing is left of {width} x {height} pixels in multiples of {images.multiple}")
    cropped = centre_crop(pixels, images.multiple)
    before = (cropped.shape[1], cropped.shape[0])
    size = scaled_size(*before, max_side=images.max_side, share=share)
    if size == before:
        return cropped
    # No `reducing_gap`: it would shrink large pictures by a box filter first.
    scaled = Image.fromarray(cropped).resize(size, Image.Resampling.LANCZOS, reducing_gap=None)
    return centre_crop(np.asarray(scaled), images.multiple)


def centre_crop(pixels: Pixels, multiple: int) -> Pixels:
    """The largest centred part whose sides are multiples; of an odd rest, the smaller part goes at the top and left."""
    height, width = (side - side % multiple for side in pixels.shape[:2])
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    return pixels[top : top + height, left : left + width]
