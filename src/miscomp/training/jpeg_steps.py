"""JPEG's lossy steps as libjpeg takes them, on tensors, with the rounding of coefficients left to the caller.

Colours become YCbCr (ITU-R BT.601, full range), chroma is averaged over 2 x 2 pixels, blocks of 8 x 8 are
transformed, divided by the scaled tables, rounded, and all of it undone; chroma is enlarged with the weights 3/4
and 1/4. Entropy coding loses nothing and is left out, and so are the roundings of samples to 8 bits in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from miscomp.tensors import pad_replicate

# ITU-T T.81, tables K.1 and K.2, row by row.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
_BLOCK = 8
_RED, _BLUE = 0.299, 0.114
"""Weights of luma; green has what is left of 1."""


def jpeg_steps(x: Tensor, quality: Tensor, *, rounding: Callable[[Tensor], Tensor]) -> Tensor:
    """Pictures (b, 3, h, w) in [0, 1] of any size after JPEG at each one's quality (b) in [1, 100].

    `rounding` is applied to the coefficients in units of their steps. Qualities are rounded to whole numbers.
    """
    height, width = x.shape[2:]
    luma_table, chroma_table = quantisation_tables(quality)
    y, chroma = _to_ycc(x * 255)
    luma = _blocks_there_and_back(pad_replicate(y, _BLOCK), luma_table, rounding)[..., :height, :width]
    # As libjpeg pads: columns before chroma is averaged, rows beyond the first after it.
    wide = F.pad(chroma, (0, -width % (2 * _BLOCK), 0, height % 2), mode="replicate")
    small = _blocks_there_and_back(pad_replicate(F.avg_pool2d(wide, 2), _BLOCK), chroma_table, rounding)
    small = small[..., : (height + 1) // 2, : (width + 1) // 2]
    large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
    return _to_rgb(luma, large[..., :height, :width]).clamp(0, 255) / 255


def quantisation_tables(quality: Tensor) -> tuple[Tensor, Tensor]:
    """Steps of luma and of chroma, each (b, 8, 8), whole numbers in [1, 255], as libjpeg scales the standard ones."""
    level = quality.round()[:, None, None]
    scale = torch.where(level < 50, (5000 / level).floor(), 200 - 2 * level)
    tables = (torch.tensor(table, dtype=torch.float32, device=quality.device) for table in (_LUMA, _CHROMA))
    luma, chroma = (((table * scale + 50) / 100).floor().clamp(1, 255) for table in tables)
    return luma, chroma


def _to_ycc(x: Tensor) -> tuple[Tensor, Tensor]:
    """Levels in [0, 255] to luma (b, 1, h, w) and chroma (b, 2, h, w), both around 0."""
    red, green, blue = x.split(1, dim=1)
    y = _RED * red + (1 - _RED - _BLUE) * green + _BLUE * blue
    chroma = torch.cat(((blue - y) / (2 - 2 * _BLUE), (red - y) / (2 - 2 * _RED)), dim=1)
    return y - 128, chroma


def _to_rgb(y: Tensor, chroma: Tensor) -> Tensor:
    """The inverse of `_to_ycc`."""
    y = y + 128
    blue, red = (part * (2 - 2 * weight) + y for part, weight in zip(chroma.split(1, 1), (_BLUE, _RED), strict=True))
    green = (y - _RED * red - _BLUE * blue) / (1 - _RED - _BLUE)
    return torch.cat((red, green, blue), dim=1)


def _blocks_there_and_back(planes: Tensor, table: Tensor, rounding: Callable[[Tensor], Tensor]) -> Tensor:
    """Planes (b, c, h, w) around 0, sides multiples of 8, after transform, rounding in steps (b, 8, 8), and back."""
    basis = _basis(planes.device)
    count, channels, height, width = planes.shape
    blocks = planes.reshape(count, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).transpose(3, 4)
    steps = table[:, None, None, None]
    coefficients = rounding(basis @ blocks @ basis.T / steps) * steps
    back = (basis.T @ coefficients @ basis).transpose(3, 4).reshape(planes.shape)
    # A decoder's samples have 8 bits.
    return back.clamp(-128, 127)


def _basis(device: torch.device) -> Tensor:
    """The orthonormal cosine transform of 8 samples, a row per frequency."""
    place = torch.arange(_BLOCK, dtype=torch.float64, device=device)
    rows = torch.cos((2 * place + 1) * place[:, None] * math.pi / (2 * _BLOCK)) * math.sqrt(2 / _BLOCK)
    rows[0] /= math.sqrt(2)
    return rows.float()
