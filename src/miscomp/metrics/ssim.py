"""SSIM and MS-SSIM of 8-bit pixels (Wang et al., IEEE TIP 2004; Wang, Simoncelli and Bovik, Asilomar 2003).

The usual constants: Gaussian window of 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, statistics only where the
whole window lies inside, one value per channel and their mean. Pictures go through in strips of rows that
overlap by a window, so that the result is that of the whole picture and memory stays small: for 24
megapixels MS-SSIM takes about 200 MB beside the pixels, most of it the half-size pictures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.metrics.psnr import check_pair

if TYPE_CHECKING:
    from miscomp.images import Pixels

WINDOW = 11
MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five scales, finest first."""

MS_MIN_SIDE = (WINDOW - 1) * 2 ** (len(MS_WEIGHTS) - 1) + 1
"""Fewest pixels a side for MS-SSIM: 161, so that a window fits at the coarsest scale."""

_SIGMA = 1.5
_C1 = np.float32((0.01 * 255) ** 2)
_C2 = np.float32((0.03 * 255) ** 2)
_STRIP_VALUES = 2**20

Plane = npt.NDArray[np.float32]
Means = npt.NDArray[np.float64]


def ssim(original: Pixels, reconstruction: Pixels) -> float:
    """Mean SSIM in [-1, 1], 1 for identical pixels.

    Below 11 pixels a side the window shrinks to the largest odd size that fits; at 1 pixel only the
    brightness is compared. Raises `SizeMismatch`.
    """
    check_pair(original, reconstruction)
    whole, _ = _means(original, reconstruction)
    return float(whole.mean())


def ssim_map(original: Pixels, reconstruction: Pixels) -> Plane:
    """SSIM around every pixel, (h, w), mean of the channels, 1 where the two are equal; mirrored at the borders.

    Raises `SizeMismatch`.
    """
    check_pair(original, reconstruction)
    height, width = original.shape[:2]
    edge = WINDOW // 2
    rows = max(3 * WINDOW, _STRIP_VALUES // (3 * width))
    out: Plane = np.empty((height, width), dtype=np.float32)
    sides = ((edge, edge), (edge, edge), (0, 0))
    padded = [np.pad(pixels, sides, mode="symmetric") for pixels in (original, reconstruction)]
    for top in range(0, height, rows):
        strip = slice(top, min(top + rows, height) + 2 * edge)
        whole, _ = _maps(padded[0][strip].astype(np.float32), padded[1][strip].astype(np.float32), WINDOW)
        out[top : top + rows] = whole.mean(2)
    return out


def ms_ssim(original: Pixels, reconstruction: Pixels) -> float | None:
    """Mean MS-SSIM in [0, 1], 1 for identical pixels; none for a side below `MS_MIN_SIDE`.

    Halving averages 2 x 2 pixels; at an odd side the outermost ones are averaged with zeros, as the
    implementations in use do. Raises `SizeMismatch`.
    """
    check_pair(original, reconstruction)
    if min(original.shape[:2]) < MS_MIN_SIDE:
        return None
    x: npt.NDArray[np.uint8] | Plane = original
    x_hat: npt.NDArray[np.uint8] | Plane = reconstruction
    product = np.ones(3)
    for scale, weight in enumerate(MS_WEIGHTS):
        last = scale == len(MS_WEIGHTS) - 1
        whole, contrast = _means(x, x_hat)
        product *= np.maximum(whole if last else contrast, 0) ** weight
        if not last:
            x, x_hat = _halve(x), _halve(x_hat)
    return float(product.mean())


def _means(x: npt.NDArray[np.uint8] | Plane, x_hat: npt.NDArray[np.uint8] | Plane) -> tuple[Means, Means]:
    """Mean over the picture of SSIM and of its contrast-structure term, one value per channel."""
    height, width = x.shape[:2]
    window = min(WINDOW, *(side - 1 + side % 2 for side in (height, width)))
    # At least three windows high, so that the overlap costs little.
    rows = max(3 * window, _STRIP_VALUES // (3 * width))
    whole, contrast = np.zeros(3), np.zeros(3)
    for top in range(0, height - window + 1, rows):
        strip = slice(top, min(top + rows, height - window + 1) + window - 1)
        one, two = _maps(x[strip].astype(np.float32), x_hat[strip].astype(np.float32), window)
        whole += one.sum((0, 1), dtype=np.float64)
        contrast += two.sum((0, 1), dtype=np.float64)
    count = (height - window + 1) * (width - window + 1)
    return whole / count, contrast / count


def _maps(x: Plane, x_hat: Plane, window: int) -> tuple[Plane, Plane]:
    """SSIM and its contrast-structure term where the window lies inside."""
    offsets = np.arange(window) - window // 2
    kernel = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    edge = window // 2
    inner = (slice(edge, x.shape[0] - edge), slice(edge, x.shape[1] - edge))

    def smooth(plane: Plane) -> Plane:
        filtered = cv2.sepFilter2D(plane, cv2.CV_32F, kernel, kernel)
        return np.asarray(filtered, dtype=np.float32).reshape(plane.shape)[inner]

    mu, mu_hat = smooth(x), smooth(x_hat)
    means: Plane = mu * mu_hat
    squares: Plane = mu * mu + mu_hat * mu_hat
    variances = smooth(x * x + x_hat * x_hat) - squares
    covariance = smooth(x * x_hat) - means
    contrast: Plane = (covariance + covariance + _C2) / (variances + _C2)
    brightness: Plane = (means + means + _C1) / (squares + _C1)
    return brightness * contrast, contrast


def _halve(x: npt.NDArray[np.uint8] | Plane) -> Plane:
    """Mean of 2 x 2 pixels; an odd side gets a zero in front first."""
    height, width = (-(-side // 2) for side in x.shape[:2])
    out = np.empty((height, width, 3), dtype=np.float32)
    top, left = x.shape[0] % 2, x.shape[1] % 2
    rows = max(1, _STRIP_VALUES // (12 * width))
    for start in range(0, height, rows):
        stop = min(start + rows, height)
        strip = np.zeros((2 * (stop - start), 2 * width, 3), dtype=np.float32)
        first = max(2 * start - top, 0)
        source = x[first : 2 * stop - top]
        strip[strip.shape[0] - source.shape[0] :, left:] = source
        out[start:stop] = strip.reshape(stop - start, 2, width, 2, 3).mean((1, 3))
    return out
