"""Places of stochastic texture (grass, foliage, gravel, water) in a piece of a photograph, nothing distinct in them."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from miscomp.plant.segments import Thing, Window, as_plane
from miscomp.records import Box

_CELL = 4
_MOST_DRIFT = 5.0
_LEAST_BUSY = 1.2
_FAR, _FARTHEST = 9, 26
_MOST_LIKE_ITSELF = 0.24
_HIGHEST_PEAK = 5.0


def textured_places(window: Window, w: int, h: int, *, avoid: Sequence[Thing]) -> list[Box]:
    """Boxes of `w` x `h` pixels in the window's frame that hold one even texture and touch nothing distinct.

    Even: the means of cells differ little over the box and a margin, in Lab and beside what their number explains,
    and no part is much busier than the rest. On a grid, in reading order; `is_stochastic` is not asked.
    """
    height, width = window.shape
    size = (width // _CELL, height // _CELL)
    lab = cv2.resize(window.lab, size, interpolation=cv2.INTER_AREA)
    grey = np.ascontiguousarray(window.lab[..., 0])
    detail = np.abs(grey - cv2.blur(grey, (5, 5)))
    busy = cv2.blur(cv2.resize(detail, size, interpolation=cv2.INTER_AREA), (3, 3))
    smooth = cv2.blur(lab, (3, 3))
    margin = 2
    columns, rows = -(-w // _CELL) + 2 * margin, -(-h // _CELL) + 2 * margin
    if columns >= size[0] or rows >= size[1]:
        return []
    mean, square = (cv2.boxFilter(v, cv2.CV_32F, (columns, rows), anchor=(0, 0)) for v in (smooth, smooth * smooth))
    drift = np.sqrt(np.maximum(square - mean * mean, 0).sum(2))
    kernel = np.ones((rows, columns), np.uint8)
    most, least = cv2.dilate(busy, kernel, anchor=(0, 0)), cv2.erode(busy, kernel, anchor=(0, 0))
    level = cv2.boxFilter(busy, cv2.CV_32F, (columns, rows), anchor=(0, 0))
    good = (drift < np.minimum(_MOST_DRIFT, 1.2 + 0.9 * level)) & (most < 2.2 * level) & (least > 0.3 * level)
    good &= level > _LEAST_BUSY
    grid = np.argwhere(good[: size[1] - rows : 2, : size[0] - columns : 2])
    boxes = [Box(_CELL * (2 * int(x) + margin), _CELL * (2 * int(y) + margin), w, h) for y, x in grid]
    return [box for box in boxes if not any(one.box.intersection(box) for one in avoid)]


def is_stochastic(window: Window, box: Box) -> bool:
    """Whether a place has neither long straight lines, nor a repeating pattern, nor one plain dot.

    Lines and patterns look like themselves some way off: the autocorrelation of what is finer than 16 pixels is
    low from 9 to 26 pixels in grass, and high in siding, tiles and windows.
    """
    around = box.grown(14, window.shape[1], window.shape[0])
    lab = window.lab[around.y : around.bottom, around.x : around.right]
    details = as_plane(lab - cv2.GaussianBlur(lab, (0, 0), 6))
    spreads = details.std((0, 1))
    peaks = np.abs(cv2.GaussianBlur(details, (0, 0), 1)).max((0, 1))
    if spreads[0] < 0.3 or bool((peaks > _HIGHEST_PEAK * np.maximum(spreads, 1)).any()):
        return False
    fine = details[..., 0]
    h, w = fine.shape
    shape = (h + _FARTHEST, w + _FARTHEST)
    power = np.abs(np.fft.rfft2(fine - fine.mean(), shape)) ** 2
    alike = np.fft.irfft2(power, shape)
    down, right = np.arange(-_FARTHEST, _FARTHEST + 1)[:, None], np.arange(_FARTHEST + 1)[None]
    common = (h - np.abs(down)) * (w - right)
    distance = np.hypot(down, right)
    asked = (distance >= _FAR) & (distance <= _FARTHEST) & (common > 0.25 * h * w)
    values = alike[down, right] / np.maximum(common, 1) / (alike[0, 0] / (h * w))
    return float(values[asked].max(initial=0.0)) < _MOST_LIKE_ITSELF
