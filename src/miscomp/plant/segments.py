"""Small distinct things in a piece of a photograph.

A thing is a compact patch whose colour differs from what lies just outside on nearly every side, by more than its
wider surroundings vary, and whose colour is rare there: a leaf among leaves or a brick of a wall is none. Patches
are the connected parts above or below thresholds of several planes (extremal regions, as in Matas et al., "Robust
wide-baseline stereo from maximally stable extremal regions", BMVC 2002), found at half size; of those that are nearly
the same, the one with the strongest edge is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.images import Pixels
from miscomp.plant.distinct import stands_out
from miscomp.records import Box

Plane: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

SIDE, WIDE_SIDE = 256, 384
"""Longest side of the window that is searched, in pixels, in small and in larger pictures."""

LEAST_PICTURE = 48
"""Shortest side of a picture in which anything is looked for."""

LEAST_AREA, MOST_AREA = 60, 6000
"""Pixels of a thing."""

_KEPT = 10
_LEVELS = 5
_LEAST_CONTRAST = 9.0
_LEAST_DISTINCT = 1.4
_MOST_ALIKE = 0.16
_LEAST_SOLID = 0.72
_LEAST_STEP = 9.0
_LEAST_SCORE = 0.7
_SQUARE3 = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A piece of a picture, with its CIE Lab (L in [0, 100])."""

    x: int
    y: int
    pixels: Pixels
    lab: Plane

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[0], self.pixels.shape[1]


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """A distinct patch of a window."""

    box: Box
    """In the window's frame."""
    mask: Mask
    """As large as the window, without holes."""
    holes: Mask
    """As large as the window: what was open within the outline."""
    contrast: float
    """Difference in Lab to what lies just outside, on the second weakest of eight sides."""
    score: float

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.mask.sum())


def as_plane(values: npt.NDArray[np.generic] | cv2.typing.MatLike) -> Plane:
    """The same values as float32: OpenCV types its results loosely."""
    return np.asarray(values, np.float32)


def lab_of(pixels: Pixels) -> Plane:
    """CIE Lab of sRGB pixels (h, w, 3); L in [0, 100]."""
    return as_plane(cv2.cvtColor(pixels.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def window_of(pixels: Pixels, rng: np.random.Generator, *, side: int = SIDE) -> Window | None:
    """A random window of at most `side` x `side` pixels; none where the picture is too small for anything."""
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_PICTURE:
        return None
    h, w = min(side, height), min(side, width)
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    piece = np.ascontiguousarray(pixels[y : y + h, x : x + w])
    return Window(x, y, piece, lab_of(piece))


def search_window(pixels: Pixels, rng: np.random.Generator) -> Window | None:
    """The window in which a kind looks: larger in larger pictures, which leave more time."""
    return window_of(pixels, rng, side=SIDE if min(pixels.shape[:2]) <= SIDE else WIDE_SIDE)


def longest_side(pixels: Pixels) -> int:
    """Longest side that a change may have in this picture: a quarter of the picture, 48 to 128 pixels."""
    return int(np.clip(min(pixels.shape[:2]) // 4, 48, 128))


def things(window: Window, *, most_side: int = 96, most_area: int = MOST_AREA) -> list[Thing]:
    """The distinct things of a window, the most distinct first; of those that overlap only the best."""
    found = [thing for mask in _candidates(window, most_side, most_area) if (thing := _judge(window, mask)) is not None]
    found.sort(key=lambda one: -one.score)
    kept: list[Thing] = []
    for thing in found:
        if all(thing.box.intersection(one.box) < 0.3 * min(thing.box.area, one.box.area) for one in kept):
            kept.append(thing)
    return kept


def drawn(found: list[Thing], rng: np.random.Generator) -> Iterator[Thing]:
    """The things in random order, the more distinct ones rather earlier."""
    keys = [np.log(rng.random()) / one.score for one in found]
    for i in sorted(range(len(found)), key=lambda i: -keys[i]):
        yield found[i]


def _candidates(window: Window, most_side: int, most_area: int) -> Iterator[Mask]:
    """Masks of parts whose outline is an edge nearly all around, large ones with strong edges first."""
    half = (window.shape[1] // 2, window.shape[0] // 2)
    lab = as_plane(cv2.resize(window.lab, half, interpolation=cv2.INTER_AREA))
    steps = _steps(lab)
    rows: list[_Region] = []
    for i, plane in enumerate(_planes(lab)):
        low, high = (float(value) for value in np.quantile(plane[::2, ::2], (0.002, 0.998)))
        for level in np.linspace(low, high, _LEVELS + 2)[1:-1] if high - low > _LEAST_STEP else ():
            above = (plane > level).astype(np.uint8)
            # What is close to the prevailing colour is the surroundings, never the thing.
            for part in (above,) if i == 3 else (above, 1 - above):
                rows += _regions(part, steps, most_side, most_area)
    # A larger part with a fair edge is more often a whole thing than a speck with a sharp one.
    rows.sort(key=lambda row: -row.step * min(row.area, 150) ** 0.5)
    for one in _different(rows, _KEPT if max(window.shape) <= SIDE else 2 * _KEPT):
        refined = _refined(window, one)
        if refined is not None and int(refined.sum()) <= most_area:
            yield refined


def _regions(part: npt.NDArray[np.uint8], steps: Plane, most_side: int, most_area: int) -> list[_Region]:
    """The connected parts that fit and have an edge along three quarters of their outline."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=4)
    x, y, w, h, area = (stats[:, i] for i in range(5))
    shorter, longer = np.minimum(w, h), np.maximum(w, h)
    good = (4 * area >= LEAST_AREA) & (4 * area <= most_area) & (2 * longer <= most_side) & (shorter >= 3)
    good &= (longer <= 3.5 * shorter) & (area > 0.35 * w * h)
    good &= (x > 1) & (y > 1) & (x + w < part.shape[1] - 1) & (y + h < part.shape[0] - 1)
    good[0] = False
    rows = []
    for i in np.flatnonzero(good):
        box = Box(int(x[i]) - 1, int(y[i]) - 1, int(w[i]) + 2, int(h[i]) + 2)
        here = slices(box)
        mask = (labels[here] == i).astype(np.uint8)
        along = steps[here][mask != cv2.erode(mask, _SQUARE3)]
        quarter = len(along) // 4
        step = float(np.partition(along, quarter)[quarter])
        if step >= _LEAST_STEP:
            rows.append(_Region(step, int(area[i]), box, mask))
    return rows


class _Region(NamedTuple):
    """A connected part at half size."""

    step: float
    area: int
    box: Box
    mask: npt.NDArray[np.uint8]
    """As large as the box."""


def _steps(lab: Plane) -> Plane:
    """Lab difference across the strongest edge within a pixel of here, two pixels apart."""
    across, down = (cv2.Sobel(lab, cv2.CV_32F, i, 1 - i, scale=0.25) for i in (1, 0))
    return np.asarray(cv2.dilate(np.sqrt((across * across + down * down).sum(2)), _SQUARE3), np.float32)


def _planes(lab: Plane) -> list[Plane]:
    """Lightness, the two colour axes, and the distance from the colour that prevails around."""
    height, width = lab.shape[:2]
    small = cv2.resize(lab, (max(width // 2, 8), max(height // 2, 8)), interpolation=cv2.INTER_AREA)
    middle = np.clip(small * (2, 1, 1) + (0, 128, 128), 0, 255).astype(np.uint8)
    prevailing = (cv2.medianBlur(middle, 17).astype(np.float32) - (0, 128, 128)) / (2, 1, 1)
    wide = cv2.resize(prevailing.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    apart = as_plane(np.sqrt(np.square(lab - wide).sum(2)))
    return [as_plane(cv2.medianBlur(np.ascontiguousarray(plane), 3)) for plane in (*cv2.split(lab), apart)]


def _mean_near(values: Plane, weight: Plane) -> Plane:
    """Mean over a small neighbourhood of what has weight."""
    total = cv2.blur(values * weight[..., None], (5, 5))
    return as_plane(total / np.maximum(cv2.blur(weight, (5, 5)), 1e-3)[..., None])


def _different(rows: list[_Region], most: int) -> list[_Region]:
    """The first regions that are not nearly the same as one before."""
    kept: list[_Region] = []
    for row in rows:
        same = (one for one in kept if 0.6 < row.area / one.area < 1.6 and row.box.iou(one.box) > 0.5)
        if next(same, None) is None:
            kept.append(row)
        if len(kept) == most:
            break
    return kept


def _refined(window: Window, region: _Region) -> Mask | None:
    """A region's mask at full size; near its outline each pixel goes where its colour is more at home."""
    height, width = window.shape
    box = region.box
    twice = Box(2 * box.x, 2 * box.y, 2 * box.w, 2 * box.h)
    around = twice.grown(8, width, height)
    here = slices(around)
    sure = np.zeros((around.h, around.w), np.uint8)
    left, top = twice.x - around.x, twice.y - around.y
    sure[top : top + twice.h, left : left + twice.w] = region.mask.repeat(2, 0).repeat(2, 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    core, reach = cv2.erode(sure, kernel), cv2.dilate(sure, kernel)
    lab = window.lab[here]
    own, other = (_mean_near(lab, part.astype(np.float32)) for part in (sure, 1 - reach))
    nearer = np.square(lab - own).sum(2) < np.square(lab - other).sum(2)
    binary = np.where((reach > 0) & (core == 0), nearer, core > 0).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(cv2.medianBlur(binary, 3), connectivity=4)
    if count < 2:
        return None
    found = np.zeros((height, width), np.bool_)
    found[here] = labels == 1 + int(stats[1:, 4].argmax())
    return found


def tight_box(mask: Mask) -> Box:
    """The box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left = int(rows[0]), int(columns[0])
    return Box(left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top)


def slices(box: Box) -> tuple[slice, slice]:
    """Rows and columns of a box, for indexing."""
    return slice(box.y, box.bottom), slice(box.x, box.right)


def _judge(window: Window, raw: Mask) -> Thing | None:
    """The thing that a patch is, or none where it is not distinct."""
    height, width = window.shape
    around = tight_box(raw).grown(int(np.clip(0.9 * raw.sum() ** 0.5, 9, 32)) + 3, width, height)
    here = slices(around)
    inside = raw[here].astype(np.uint8)
    outlines, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=len)
    full = np.zeros_like(inside)
    cv2.drawContours(full, [outline], -1, 1, cv2.FILLED)
    area = int(full.sum())
    solid = area / max(cv2.contourArea(cv2.convexHull(outline)) + 0.5 * len(outline), 1)
    if solid < _LEAST_SOLID or not LEAST_AREA <= area <= MOST_AREA:
        return None
    contrast, spread, alike = stands_out(window.lab[here], full)
    distinct = contrast / (spread + 3)
    if contrast < _LEAST_CONTRAST or distinct < _LEAST_DISTINCT or alike > _MOST_ALIKE:
        return None
    mask, holes = np.zeros((height, width), np.bool_), np.zeros((height, width), np.bool_)
    mask[here], holes[here] = full > 0, (full > 0) & (inside == 0)
    score = min(distinct, 6) * min(solid, 1) * min(1.0, (area / 400) ** 0.5) * (1 - 2 * alike)
    if score < _LEAST_SCORE:
        return None
    return Thing(tight_box(mask), mask, holes, contrast, float(score))
