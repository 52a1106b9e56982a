"""Strips of text: the corners of a line in a picture, and the line cut out and straightened."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from miscomp.detect.words import Quad
from miscomp.images import Pixels

_LEAST_WIDTH = 8


def as_quad(corners: NDArray[np.float64]) -> Quad:
    """Four corners (4, 2) as plain numbers."""
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return (a, b, c, d)


def moved(quad: Quad, dx: float, dy: float) -> Quad:
    """The corners shifted by `dx` to the right and `dy` down, in pixels."""
    a, b, c, d = ((x + dx, y + dy) for x, y in quad)
    return (a, b, c, d)


def grown(quad: Quad, margin: float) -> Quad:
    """The corners moved outwards by `margin` pixels along and across the line."""
    corners = np.array(quad)
    along, across = corners[1] - corners[0], corners[3] - corners[0]
    along = along * margin / max(float(np.hypot(*along)), 1.0)
    across = across * margin / max(float(np.hypot(*across)), 1.0)
    return as_quad(np.add(corners, [-along - across, along - across, along + across, across - along]))


def sides(quad: Quad) -> tuple[float, float]:
    """Length along the line and across it, in pixels, at least 1."""
    a, b, c, d = quad
    return max(math.dist(a, b), math.dist(d, c), 1.0), max(math.dist(a, d), math.dist(b, c), 1.0)


def place_along(quad: Quad, x: float, y: float) -> float:
    """Where a point lies along a line: 0 at its start, 1 at its end."""
    a, b, c, d = np.array(quad)
    start, end = (a + d) / 2, (b + c) / 2
    way = end - start
    return float(((np.array([x, y]) - start) @ way) / max(float(way @ way), 1e-9))


def straightened(pixels: Pixels, quad: Quad, *, height: int, most: int) -> NDArray[np.uint8]:
    """The line as a picture (height, width, 3) of its own proportions, 8 to `most` pixels wide."""
    import cv2

    along, across = sides(quad)
    wide, high = max(round(along), 1), max(round(across), 1)
    target = np.array([(0, 0), (wide, 0), (wide, high), (0, high)], np.float32)
    transform = cv2.getPerspectiveTransform(np.array(quad, np.float32), target)
    flat = cv2.warpPerspective(pixels, transform, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    size = (min(max(round(wide * height / high), _LEAST_WIDTH), most), height)
    method = cv2.INTER_AREA if high > height else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(flat, size, interpolation=method), dtype=np.uint8)
