"""Peak signal-to-noise ratio, the only one in the project: one value per image, pooling is the caller's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from miscomp.errors import SizeMismatch

if TYPE_CHECKING:
    from torch import Tensor

    from miscomp.images import Pixels

_STRIP_VALUES = 2**20
"""Values compared at once; keeps the memory small and the sum of squares exact."""


def psnr(x: Tensor, x_hat: Tensor) -> Tensor:
    """PSNR in dB, shape (b), for images (b, 3, h, w) in [0, 1]; identical images give inf."""
    if x.shape != x_hat.shape or x.ndim != 4:
        raise ValueError(
            f"two tensors of one shape (b, 3, h, w) are needed, got {tuple(x.shape)}, {tuple(x_hat.shape)}"
        )
    mse: Tensor = (x - x_hat).square().mean(dim=(1, 2, 3))
    return -10 * mse.log10()


def psnr_pixels(original: Pixels, reconstruction: Pixels) -> float:
    """PSNR in dB of 8-bit pixels (h, w, 3), from an exact sum of squares; identical pixels give inf.

    Raises `SizeMismatch` naming both sizes.
    """
    check_pair(original, reconstruction)
    rows = max(1, _STRIP_VALUES // (original.shape[1] * 3))
    total = 0
    for top in range(0, original.shape[0], rows):
        difference = original[top : top + rows].astype(np.int32) - reconstruction[top : top + rows]
        total += int(np.square(difference, out=difference).sum(dtype=np.int64))
    return math.inf if total == 0 else 10 * math.log10(255**2 * original.size / total)


def check_pair(original: Pixels, reconstruction: Pixels) -> None:
    """Raise `SizeMismatch` for pixels of two sizes, and `ValueError` for what are no 8-bit RGB pixels."""
    for pixels in (original, reconstruction):
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
            raise ValueError(f"pixels must be uint8 of shape (height, width, 3), got {pixels.dtype} {pixels.shape}")
    if original.shape != reconstruction.shape:
        (height, width), (other_height, other_width) = original.shape[:2], reconstruction.shape[:2]
        raise SizeMismatch(
            "pair",
            f"the original has {width} x {height} pixels, the reconstruction {other_width} x {other_height}; "
            "they must be equal, nothing is resized",
        )
