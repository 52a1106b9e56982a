"""Boxes around the peaks of a map of change, at several scales and without a threshold."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from miscomp.detect.cells import CELL, Map, as_map
from miscomp.records import Box

LEAST_SIDE, MOST_SIDE = 12, 96
"""Pixels a side of a box."""

_SAME = 0.3
"""Of two boxes with a greater IoU, or of which one holds the other's peak, the one of the lower peak is dropped."""


def peaks(amount: Map, width: int, height: int, *, sigmas: Sequence[float], most: int) -> list[tuple[Box, float]]:
    """The highest peaks of `amount` (over cells, at least 0), at most `most`, each with its box and height.

    The map is smoothed by Gaussians of each of `sigmas` (cells). A peak is a local maximum above zero; its box reaches
    as far as the smoothed map stays above half of it, along its row and column.
    """
    found: list[tuple[float, int, int, Box]] = []
    for sigma in sigmas:
        smooth = smoothed(amount, sigma)
        side = 2 * max(round(sigma), 1) + 1
        top = as_map(cv2.dilate(smooth, np.ones((side, side), np.uint8)))
        rows, columns = np.nonzero((smooth >= top) & (smooth > 0))
        order = np.argsort(-smooth[rows, columns], kind="stable")[: 4 * most]
        for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
            box = _box(smooth, row, column, width=width, height=height)
            found.append((float(smooth[row, column]), row, column, box))
    found.sort(key=lambda one: (-one[0], one[3]))
    kept: list[tuple[float, int, int, Box]] = []
    for one in found:
        if len(kept) == most:
            break
        if not any(_alike(one, other) for other in kept):
            kept.append(one)
    return [(box, value) for value, _, _, box in kept]


def smoothed(amount: Map, sigma: float) -> Map:
    """The map under a Gaussian of `sigma` cells, mirrored at the borders; 0 leaves it as it is."""
    if sigma <= 0:
        return amount
    blurred = cv2.GaussianBlur(amount, (0, 0), sigma, borderType=cv2.BORDER_REFLECT_101)
    return as_map(blurred).reshape(amount.shape)


def _alike(one: tuple[float, int, int, Box], other: tuple[float, int, int, Box]) -> bool:
    middle = ((one[2] + 0.5) * CELL, (one[1] + 0.5) * CELL)
    return other[3].contains(*middle) or one[3].iou(other[3]) > _SAME


def _box(smooth: Map, row: int, column: int, *, width: int, height: int) -> Box:
    half = smooth[row, column] / 2
    left, right = _extent(smooth[row], column, float(half))
    top, bottom = _extent(smooth[:, column], row, float(half))
    x, w = _clipped(left * CELL, right * CELL, width)
    y, h = _clipped(top * CELL, bottom * CELL, height)
    return Box(x, y, w, h)


def _extent(line: Map, place: int, half: float) -> tuple[int, int]:
    """First and behind-the-last cell around `place` of the run above `half`, at most `MOST_SIDE` long."""
    reach = MOST_SIDE // CELL // 2
    start, stop = max(place - reach, 0), min(place + reach, len(line))
    low = np.nonzero(line[start:stop] < half)[0] + start
    before, after = low[low < place], low[low > place]
    return int(before[-1]) + 1 if len(before) else start, int(after[0]) if len(after) else stop


def _clipped(start: int, stop: int, limit: int) -> tuple[int, int]:
    """Start and length of at least `LEAST_SIDE`, within the picture, around the same middle."""
    length = min(max(stop - start, LEAST_SIDE), limit)
    return min(max((start + stop - length) // 2, 0), limit - length), length
