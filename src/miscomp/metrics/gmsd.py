"""Gradient magnitude similarity (Xue, Zhang, Mou and Bovik, IEEE TIP 2014) of 8-bit pixels.

As published: luminance of Rec. 601, halved by averaging 2 x 2 pixels, Prewitt gradients, c = 170 for values up to 255.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.metrics.psnr import check_pair

if TYPE_CHECKING:
    from miscomp.images import Pixels

GMS_C = np.float32(170)
SMOOTH = np.full(3, 1 / 3, dtype=np.float32)
STEP = np.array([-1, 0, 1], dtype=np.float32)

Plane = npt.NDArray[np.float32]


def gms_map(original: Pixels, reconstruction: Pixels) -> Plane:
    """Similarity in (0, 1] of the gradients, 1 where they are equally strong; (ceil(h / 2), ceil(w / 2)).

    Borders and odd sides are continued with their outermost pixels. Raises `SizeMismatch`.
    """
    check_pair(original, reconstruction)
    a, b = (_gradient(_halved(pixels)) for pixels in (original, reconstruction))
    return np.asarray((2 * a * b + GMS_C) / (a * a + b * b + GMS_C), dtype=np.float32)


def _halved(pixels: Pixels) -> Plane:
    grey = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), dtype=np.float32)
    padded = np.pad(grey, [(0, side % 2) for side in grey.shape], mode="edge")
    height, width = padded.shape
    means = padded.reshape(height // 2, 2, width // 2, 2).mean((1, 3))
    return np.asarray(means, dtype=np.float32)


def _gradient(grey: Plane) -> Plane:
    across = cv2.sepFilter2D(grey, cv2.CV_32F, STEP, SMOOTH, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(grey, cv2.CV_32F, SMOOTH, STEP, borderType=cv2.BORDER_REPLICATE)
    magnitude: Plane = np.hypot(across, down).reshape(grey.shape).astype(np.float32)
    return magnitude
