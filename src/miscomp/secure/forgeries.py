"""Regions of a picture replaced by other content, as a forger would: a splice, an inpainting, a redrawn face.

All of them leave every pixel outside the mask as it was, so the mask is the truth about what is foreign. The same
arguments give the same pixels.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias, get_args

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from miscomp.errors import ImageError, MissingExtra
from miscomp.images import Pixels
from miscomp.metrics.psnr import check_pair

Mask: TypeAlias = npt.NDArray[np.bool_]
Plane: TypeAlias = npt.NDArray[np.float32]
RegionKind = Literal["ellipse", "rectangle", "blob"]
KINDS: tuple[RegionKind, ...] = get_args(RegionKind)

LEAST_SHARE, MOST_SHARE = 0.01, 0.5
TOLERANCE = 0.1
"""Most by which a region's share of the picture may differ from what was asked for, relative to that."""

_MOST_ELONGATED = 1.8
"""Longer side of a region by its shorter one, unless the picture leaves no room."""

_WAVES = (2, 3, 4, 5)
"""Full waves around a blob's outline."""

_SOLVED = 1000
"""Pixels that one biharmonic system has at most: on a fine grid the surface takes up every texture of the rim as a
slope, and swings far past its colours within a large hole."""

_MARGIN = 8
"""Pixels of the solved grid around a hole that the solution may see."""

_GRAIN_RING = 12
"""Width in pixels of the ring around a hole whose grain is measured."""

_MOST_GRAIN = 6.0
_STRETCH = 0.025
"""Displacement of a redrawn region, standard deviation, as a share of the root of its area."""

_GAINS, _SHIFT = (0.92, 1.08), 4.0
"""Range of a redrawn region's factors for red, green and blue, and the most that is added in levels."""


def region(height: int, width: int, *, share: float, seed: int, kind: RegionKind) -> Mask:
    """A connected mask (height, width) of about `share` of the picture (0.01 to 0.5), at a place drawn by `seed`.

    The share is met within a tenth of itself. Raises `ImageError` for a picture of too few pixels for that, and
    `ValueError` for another share or kind.
    """
    if not LEAST_SHARE <= share <= MOST_SHARE or kind not in KINDS or min(height, width) < 1:
        allowed = f"{height} x {width} pixels, share {share}, kind {kind!r}; allowed: {LEAST_SHARE}..{MOST_SHARE}"
        raise ValueError(f"no region of {allowed}, {', '.join(KINDS)}")
    rng = np.random.default_rng(seed)
    wanted = share * height * width
    elongation = math.exp(rng.uniform(-1, 1) * math.log(_MOST_ELONGATED))
    if kind == "rectangle":
        mask = _rectangle(height, width, wanted, elongation, rng)
    else:
        mask = _rounded(height, width, wanted, elongation, rng, waves=_WAVES if kind == "blob" else ())
    if abs(int(mask.sum()) - wanted) > TOLERANCE * wanted:
        raise ImageError("picture", f"{width} x {height} pixels hold no {kind} of {share:.1%}; use a larger picture")
    return mask


def _rectangle(height: int, width: int, wanted: float, elongation: float, rng: np.random.Generator) -> Mask:
    ideal = math.sqrt(wanted * elongation)

    def unlike(w: int) -> tuple[bool, float]:
        h = min(max(round(wanted / w), 1), height)
        return abs(w * h - wanted) > TOLERANCE / 2 * wanted, abs(math.log(w / ideal))

    w = min(range(1, width + 1), key=unlike)
    h = min(max(round(wanted / w), 1), height)
    x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
    mask = np.zeros((height, width), dtype=np.bool_)
    mask[y : y + h, x : x + w] = True
    return mask


def _rounded(
    height: int, width: int, wanted: float, elongation: float, rng: np.random.Generator, *, waves: tuple[int, ...]
) -> Mask:
    """The pixels nearest to a centre, where distance depends on the direction: star-shaped, hence connected."""
    half = math.sqrt(wanted / math.pi)
    # No axis longer than the picture: the other grows instead.
    a = min(half * math.sqrt(elongation), width / 2)
    b = min(half * half / a, height / 2)
    a = min(half * half / b, width / 2)
    cx, cy = rng.uniform(a, max(width - a, a)), rng.uniform(b, max(height - b, b))
    dx = ((np.arange(width, dtype=np.float32) + 0.5 - cx) / a)[None, :]
    dy = ((np.arange(height, dtype=np.float32) + 0.5 - cy) / b)[:, None]
    distance = np.hypot(dx, dy)
    if waves:
        angle = np.arctan2(dy, dx)
        phases, weights = rng.uniform(0, 2 * math.pi, len(waves)), rng.normal(0, 0.28, len(waves))
        outline = sum(w / k * np.cos(k * angle + p) for k, p, w in zip(waves, phases, weights, strict=True))
        distance /= np.exp(np.clip(outline, -0.5, 0.5))
    count = max(round(wanted), 1)
    mask = np.zeros(height * width, dtype=np.bool_)
    mask[np.argpartition(distance, count - 1, axis=None)[:count]] = True
    return mask.reshape(height, width)


def splice(pixels: Pixels, donor: Pixels, mask: Mask, *, feather: float = 2.0) -> Pixels:
    """Show `donor` within the mask; over `feather` pixels inside its border the two are mixed (0: a hard edge).

    A donor that covers the picture is cropped about its middle at its own scale; a smaller one is enlarged until it
    just covers (bicubic).
    """
    _check(pixels, mask)
    return _composed(pixels, _covering(donor, pixels.shape[0], pixels.shape[1]).astype(np.float32), mask, feather)


def inpaint(pixels: Pixels, mask: Mask, *, seed: int = 0) -> Pixels:
    """Fill the masked pixels with a biharmonic surface from around them, and with grain as strong as around them.

    The surface is solved by scikit-image, for holes of more than 1000 pixels on a coarser grid of means over the
    known pixels, then enlarged (bicubic); along the rim it then passes into Telea's filling, which continues the
    texture. What was under the mask plays no part. Grain is Gaussian noise of at most 6 levels. Raises
    `MissingExtra` without scikit-image, and `ValueError` for a mask that leaves nothing known.
    """
    _check(pixels, mask)
    if mask.all():
        raise ValueError("the mask covers the whole picture; inpainting needs known pixels")
    if not mask.any():
        return pixels.copy()
    factor = math.ceil(math.sqrt(int(mask.sum()) / _SOLVED))
    rows, columns = (_span(np.asarray(mask.any(axis)), _MARGIN * factor, factor) for axis in (1, 0))
    seen, hole = np.ascontiguousarray(pixels[rows, columns]), mask[rows, columns]
    values = seen.astype(np.float32)
    grain = np.random.default_rng(seed).normal(0, 1, hole.shape).astype(np.float32)
    surface = _surface(values, hole, factor) + (_grain(values, hole) * grain)[..., None]
    continued = cv2.inpaint(seen, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA) if factor > 1 else seen
    filled = pixels.copy()
    filled[rows, columns] = _composed(np.asarray(continued, np.uint8), surface, hole, feather=2.0 * (factor - 1))
    return filled


def redraw(pixels: Pixels, mask: Mask, original: Pixels, *, seed: int, feather: float = 3.0) -> Pixels:
    """Show `original` within the mask, smoothly distorted and in slightly other colours.

    It stands for a face exchanged by a generative program: content of the same kind at the same place, which no codec
    made. `original` is the uncoded picture, of the same size.
    """
    _check(pixels, mask)
    check_pair(original, pixels)
    rng = np.random.default_rng(seed)
    height, width = mask.shape
    reach = _STRETCH * math.sqrt(float(mask.sum()))
    cells = [max(round(side / max(8 * reach, 1)), 2) for side in (height, width)]
    shifts = [_enlarged(rng.normal(0, reach, cells).astype(np.float32), height, width) for _ in range(2)]
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    warped = cv2.remap(
        original.astype(np.float32), xs + shifts[0], ys + shifts[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )
    gain, shift = rng.uniform(*_GAINS, 3).astype(np.float32), rng.uniform(-_SHIFT, _SHIFT, 3).astype(np.float32)
    return _composed(pixels, np.asarray(warped, np.float32).reshape(original.shape) * gain + shift, mask, feather)


def _check(pixels: Pixels, mask: Mask) -> None:
    check_pair(pixels, pixels)
    if mask.dtype != np.bool_ or mask.shape != pixels.shape[:2]:
        raise ValueError(f"a mask of booleans {pixels.shape[:2]} is needed, got {mask.dtype} {mask.shape}")


def _composed(under: Pixels, over: Plane, mask: Mask, feather: float) -> Pixels:
    """`over` within the mask, less and less towards its border; the picture's own border is none."""
    if feather < 0:
        raise ValueError(f"feather must be >= 0 pixels, got {feather}")
    depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    opacity = np.clip(np.asarray(depth, np.float32) / (feather + 1), 0, 1)[..., None]
    mixed = np.clip(np.rint(under + opacity * (np.clip(over, 0, 255) - under)), 0, 255).astype(np.uint8)
    return np.where(mask[..., None], mixed, under)


def _covering(donor: Pixels, height: int, width: int) -> Pixels:
    check_pair(donor, donor)
    scale = max(height / donor.shape[0], width / donor.shape[1], 1.0)
    if scale > 1:
        size = (max(round(donor.shape[1] * scale), width), max(round(donor.shape[0] * scale), height))
        donor = np.asarray(Image.fromarray(np.ascontiguousarray(donor)).resize(size, Image.Resampling.BICUBIC))
    top, left = (donor.shape[0] - height) // 2, (donor.shape[1] - width) // 2
    return donor[top : top + height, left : left + width]


def _span(occupied: npt.NDArray[np.bool_], margin: int, step: int) -> slice:
    """From the first to the last, and a margin; a multiple of `step` long where there is room."""
    found = np.flatnonzero(occupied)
    low, high = max(int(found[0]) - margin, 0), min(int(found[-1]) + 1 + margin, len(occupied))
    return slice(low, min(high + -(high - low) % step, len(occupied)))


def _surface(values: Plane, hole: Mask, factor: int) -> Plane:
    """The biharmonic surface over the hole; outside it, something near `values`."""
    try:
        from skimage.restoration import inpaint_biharmonic
    except ImportError:
        raise MissingExtra("scikit-image", "demo", "inpainting a region") from None
    height, width = hole.shape
    padding = [(0, -height % factor), (0, -width % factor)]
    known = np.pad(~hole, padding).astype(np.float32)
    padded = np.pad(values, [*padding, (0, 0)]) * known[..., None]
    tall, wide = known.shape[0] // factor, known.shape[1] // factor
    weight = known.reshape(tall, factor, wide, factor).sum((1, 3))
    means = padded.reshape(tall, factor, wide, factor, 3).sum((1, 3)) / np.maximum(weight, 1)[..., None]
    solved = inpaint_biharmonic(means.astype(np.float64) / 255, weight == 0, channel_axis=-1) * 255
    surface = _enlarged(solved.astype(np.float32), tall * factor, wide * factor)
    return surface[:height, :width]


def _enlarged(values: Plane, height: int, width: int) -> Plane:
    """Bicubic, values at the middles of the pixels."""
    if values.shape[:2] == (height, width):
        return values
    enlarged = cv2.resize(values, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(enlarged, np.float32).reshape(height, width, *values.shape[2:])


def _grain(values: Plane, hole: Mask) -> float:
    """Standard deviation in levels of what is finest in the ring around the hole.

    Taken over 5 x 5 pixels at a time, and of all these the lower quartile, because edges are no grain.
    """
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * _GRAIN_RING + 1, 2 * _GRAIN_RING + 1))
    ring = (np.asarray(cv2.dilate(hole.astype(np.uint8), kernel)) > 0) & ~hole
    grey = values.mean(2)
    fine = np.abs(grey - np.asarray(cv2.GaussianBlur(grey, (0, 0), 1.0)))
    # 1.48 times the median absolute deviation is the standard deviation of a Gaussian.
    local = 1.48 * np.asarray(cv2.medianBlur(fine.astype(np.float32), 5))
    return min(float(np.quantile(local[ring], 0.25)), _MOST_GRAIN) if ring.any() else 0.0
