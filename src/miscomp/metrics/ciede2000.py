"""The colour difference CIEDE2000 (CIE 142-2001), with all its parametric factors 1.

Written from Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula", Color Research and Application 2005; the
numbers in comments are their equations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from miscomp.images import Pixels

Plane = npt.NDArray[np.float32]
Values = npt.NDArray[np.floating]

_LEVELS = np.arange(256) / 255
_LINEAR: Plane = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(np.float32)
# IEC 61966-2-1: linear sRGB to XYZ; each row divided by the white of D65, so that white is 1, 1, 1.
_TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
_RELATIVE: Plane = (_TO_XYZ / np.array([[0.95047], [1.0], [1.08883]])).astype(np.float32)
_25_7 = 25.0**7


def lab(pixels: Pixels) -> Plane:
    """CIELAB under D65 of sRGB pixels (h, w, 3): L* in 0 to 100, a* and b*."""
    relative = np.asarray(cv2.transform(_LINEAR[pixels], _RELATIVE), dtype=np.float32)
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative * np.float32((29 / 6) ** 2 / 3) + 4 / 29)
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def ciede2000(one: Values, other: Values) -> Values:
    """Difference of CIELAB colours (..., 3), at least 0; about 1 is just visible side by side."""
    (lightness, chroma, hue), (lightness_2, chroma_2, hue_2) = _primed(one, other)
    both = (chroma > 0) & (chroma_2 > 0)
    turn = hue_2 - hue
    turn = np.where(both, turn - 360 * np.round(turn / 360), 0)  # (10)
    hue_step = 2 * np.sqrt(chroma * chroma_2) * np.sin(np.radians(turn / 2))  # (11)
    mean_l, mean_c = (lightness + lightness_2) / 2, (chroma + chroma_2) / 2  # (12), (13)
    far = both & (np.abs(hue_2 - hue) > 180)
    mean_h = np.where(both, (hue + hue_2) / 2 + 180 * far, hue + hue_2) % 360  # (14)
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )  # (15)
    turned = 30 * np.exp(-(((mean_h - 275) / 25) ** 2))  # (16)
    power = mean_c**7
    rotation = 2 * np.sqrt(power / (power + _25_7))  # (17)
    dark = (mean_l - 50) ** 2
    of_l = (lightness_2 - lightness) / (1 + 0.015 * dark / np.sqrt(20 + dark))  # (18)
    of_c = (chroma_2 - chroma) / (1 + 0.045 * mean_c)  # (19)
    of_h = hue_step / (1 + 0.015 * mean_c * t)  # (20)
    cross = -np.sin(np.radians(2 * turned)) * rotation * of_c * of_h  # (21)
    difference: Values = np.sqrt(np.maximum(of_l**2 + of_c**2 + of_h**2 + cross, 0))  # (22)
    return difference


def _primed(one: Values, other: Values) -> list[tuple[Values, Values, Values]]:
    """Lightness, chroma and hue (degrees in [0, 360)) of both, after the chroma of greys is raised."""
    means = (np.hypot(one[..., 1], one[..., 2]) + np.hypot(other[..., 1], other[..., 2])) / 2  # (2), (3)
    raised = 1.5 - 0.5 * np.sqrt(means**7 / (means**7 + _25_7))  # 1 + G of (4)
    found = []
    for colour in (one, other):
        a = raised * colour[..., 1]  # (5)
        hue = np.degrees(np.arctan2(colour[..., 2], a)) % 360  # (7)
        found.append((colour[..., 0], np.hypot(a, colour[..., 2]), hue))  # (6)
    return found
