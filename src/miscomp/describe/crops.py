"""The same place of both pictures, cut out and scaled alike."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image

from miscomp.errors import SizeMismatch
from miscomp.images import Pixels, pixel_sha256
from miscomp.records import Box

LEAST_SIDE = 448
"""Shorter side of a crop that is enlarged, in pixels; many models reduce larger pictures to about this."""
MOST_SIDE = 1024
"""Longer side of every crop, in pixels."""
_LEAST_MARGIN = 16
_MARGIN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CropPair:
    """Both sides of a finding, with what surrounds it, at one scale."""

    original: Pixels
    reconstruction: Pixels
    window: Box
    """What was cut out, in the pictures' pixels."""
    place: Box
    """The finding's box within the window."""

    @property
    def digest(self) -> str:
        """First 16 hex digits of a SHA-256 over both crops: the pixels that a description is of."""
        text = f"{pixel_sha256(self.original)} {pixel_sha256(self.reconstruction)}"
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]


def crop_pair(original: Pixels, reconstruction: Pixels, box: Box) -> CropPair:
    """Cut out the box with half its longer side (at least 16 pixels) around it, clipped to the picture.

    Small crops are enlarged until the shorter side has 448 pixels, unless the longer one would pass 1024; large ones
    are reduced to 1024. Both sides are treated alike. Raises `SizeMismatch`, and `ValueError` for a box outside.
    """
    height, width = original.shape[:2]
    if reconstruction.shape != original.shape:
        raise SizeMismatch("reconstruction", f"is of shape {reconstruction.shape}, the original of {original.shape}")
    box.check_inside(width, height)
    window = box.grown(max(_LEAST_MARGIN, round(_MARGIN * max(box.w, box.h))), width, height)
    scale = min(max(1.0, LEAST_SIDE / min(window.w, window.h)), MOST_SIDE / max(window.w, window.h))
    return CropPair(
        original=_scaled(original, window, scale),
        reconstruction=_scaled(reconstruction, window, scale),
        window=window,
        place=Box(box.x - window.x, box.y - window.y, box.w, box.h),
    )


def _scaled(pixels: Pixels, window: Box, scale: float) -> Pixels:
    part = np.ascontiguousarray(pixels[window.y : window.bottom, window.x : window.right])
    if scale == 1:
        return part
    size = (max(1, round(window.w * scale)), max(1, round(window.h * scale)))
    return np.asarray(Image.fromarray(part).resize(size, Image.Resampling.BICUBIC))
