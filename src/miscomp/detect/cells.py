"""What detection knows of a pair: a few figures for every cell of 4 x 4 pixels, computed in strips.

Everything after this works on cells, so the memory for a pair is its own 6 bytes a pixel, plus about
7 bytes a pixel for the cells, plus one strip, whatever the size of the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.errors import SizeMismatch
from miscomp.images import Pixels

CELL = 4
"""Pixels a side of a cell."""

FINE, COARSE = 0.8, 1.8
"""Standard deviations (pixels) of the two scales of gradients."""

_STRIP = 512
_TILE = 1024
_HALO = 16
_FLOW_HALO = 64
_NO_GUESS: Any = None
"""No first guess of the flow, which OpenCV's types do not know; zeros give another flow."""

Map = npt.NDArray[np.float32]

_LINEAR: Map = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in np.arange(256) / 255], dtype=np.float32
)
# Björn Ottosson, "A perceptual color space for image processing", 2020: linear sRGB -> LMS -> OKLab.
_TO_LMS: Map = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    dtype=np.float32,
)
_TO_LAB: Map = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    dtype=np.float32,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellMaps:
    """Means over cells, arrays (ceil(h / 4), ceil(w / 4)) unless said otherwise; `a` original, `b` reconstruction.

    Gradients are of OKLab lightness per pixel. `energy_*` is the mean squared gradient, `difference_*` the
    mean squared difference of the two gradients.
    """

    width: int
    """Of the picture, in pixels."""
    height: int
    a: Map
    """OKLab of the original (..., 3)."""
    b: Map
    energy_a: Map
    energy_b: Map
    difference: Map
    energy_a_coarse: Map
    energy_b_coarse: Map
    difference_coarse: Map
    blocking: Map
    """Step across the borders of 8 x 8 blocks of the reconstruction beyond the steps beside them, per pixel."""
    noise: Map
    """Standard deviation of what looks like noise in the reconstruction's lightness."""
    flow: Map
    """Displacement from original to reconstruction in pixels (..., 2), x then y."""
    residual: Map
    """Mean squared difference of lightness."""
    residual_moved: Map
    """The same after undoing the displacement."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of cells."""
        return self.residual.shape[0], self.residual.shape[1]


def oklab(pixels: Pixels) -> Map:
    """OKLab of sRGB pixels (h, w, 3): lightness in [0, 1], then a and b, about [-0.4, 0.4]."""
    lms = cv2.transform(_LINEAR[pixels], _TO_LMS)
    np.maximum(lms, 0, out=lms)
    return as_map(cv2.transform(np.cbrt(lms), _TO_LAB))


def measure(original: Pixels, reconstruction: Pixels) -> CellMaps:
    """Measure a pair of equal size. Raises `SizeMismatch` otherwise."""
    if original.shape != reconstruction.shape:
        (ha, wa), (hb, wb) = original.shape[:2], reconstruction.shape[:2]
        raise SizeMismatch(
            "pair",
            f"the original has {wa} x {ha} pixels, the reconstruction {wb} x {hb}; "
            "they must be equal and are never resized here",
        )
    height, width = original.shape[:2]
    rows, columns = -(-height // CELL), -(-width // CELL)
    maps = {
        f.name: np.zeros((rows, columns, {"a": 3, "b": 3, "flow": 2}.get(f.name, 1)), np.float32)
        for f in fields(CellMaps)
        if f.name not in ("width", "height")
    }
    for top, bottom, wide in _strips(height):
        _put(maps, slice(top // CELL, -(-bottom // CELL)), slice(None), _strip(original, reconstruction, wide, top))
    for ys, xs in _tiles(height, width):
        part = _displacement(original, reconstruction, ys, xs)
        _put(maps, slice(ys.start // CELL, -(-ys.stop // CELL)), slice(xs.start // CELL, -(-xs.stop // CELL)), part)
    squeezed = {name: m if m.shape[2] > 1 else m[..., 0] for name, m in maps.items()}
    return CellMaps(width=width, height=height, **squeezed)


def _put(maps: dict[str, Map], rows: slice, columns: slice, part: dict[str, Map]) -> None:
    for name, values in part.items():
        target = maps[name][rows, columns]
        target[...] = values.reshape(*values.shape[:2], -1)[: target.shape[0], : target.shape[1]]


def _strips(height: int) -> Iterator[tuple[int, int, slice]]:
    """Top and bottom of each strip, and its rows with a halo; every start is a multiple of 8."""
    for top in range(0, height, _STRIP):
        bottom = min(top + _STRIP, height)
        yield top, bottom, slice(max(top - _HALO, 0), min(bottom + _HALO, height))


def _tiles(height: int, width: int) -> Iterator[tuple[slice, slice]]:
    for y in range(0, height, _TILE):
        for x in range(0, width, _TILE):
            yield slice(y, min(y + _TILE, height)), slice(x, min(x + _TILE, width))


def _strip(original: Pixels, reconstruction: Pixels, wide: slice, top: int) -> dict[str, Map]:
    """Cell means of colour and gradients for one strip; rows of the halo are cut off at the top."""
    a, b = oklab(_even(original[wide])), oklab(_even(reconstruction[wide]))
    skip = (top - wide.start) // CELL
    maps: dict[str, Map] = {"a": _means(a), "b": _means(b)}
    for sigma, suffix in ((FINE, ""), (COARSE, "_coarse")):
        (ax, ay), (bx, by) = _gradient(a[..., 0], sigma), _gradient(b[..., 0], sigma)
        maps[f"energy_a{suffix}"] = _means(ax * ax + ay * ay)
        maps[f"energy_b{suffix}"] = _means(bx * bx + by * by)
        maps[f"difference{suffix}"] = _means((ax - bx) ** 2 + (ay - by) ** 2)
    maps["blocking"] = _blocking(b[..., 0])
    maps["noise"] = _noise(b[..., 0])
    return {name: values[skip:] for name, values in maps.items()}


def _even(pixels: Pixels) -> Pixels:
    """Repeat the last row and column up to multiples of a cell."""
    down, right = -pixels.shape[0] % CELL, -pixels.shape[1] % CELL
    return np.pad(pixels, ((0, down), (0, right), (0, 0)), mode="edge") if down or right else pixels


def _means(values: Map) -> Map:
    size = (values.shape[1] // CELL, values.shape[0] // CELL)
    return as_map(cv2.resize(values, size, interpolation=cv2.INTER_AREA))


def _gradient(lightness: Map, sigma: float) -> tuple[Map, Map]:
    smooth = cv2.GaussianBlur(lightness, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
    return (
        as_map(cv2.Sobel(smooth, cv2.CV_32F, 1, 0, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)),
        as_map(cv2.Sobel(smooth, cv2.CV_32F, 0, 1, ksize=1, scale=0.5, borderType=cv2.BORDER_REPLICATE)),
    )


def _blocking(lightness: Map) -> Map:
    """Excess of the steps across columns and rows that are multiples of 8, spread over the block's cells."""
    total = np.zeros((lightness.shape[0] // CELL, lightness.shape[1] // CELL), np.float32)
    for axis in (0, 1):
        steps = np.abs(np.diff(lightness, axis=axis))
        excess = np.zeros_like(lightness)
        at = np.arange(8, lightness.shape[axis] - 1, 8)
        beside = np.maximum(np.take(steps, at - 2, axis), np.take(steps, at, axis))
        step = np.maximum(np.take(steps, at - 1, axis) - beside, 0)
        for offset in (-1, 0):
            excess[(at + offset, slice(None)) if axis == 0 else (slice(None), at + offset)] = step
        total = np.maximum(total, 2 * _means(excess))
    return total


def _noise(lightness: Map) -> Map:
    """Immerkær, "Fast noise variance estimation", CVIU 1996: mean absolute response to a difference of Laplacians."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], dtype=np.float32)
    response = cv2.filter2D(lightness, cv2.CV_32F, kernel, borderType=cv2.BORDER_REPLICATE)
    return as_map(_means(np.abs(response)) * np.float32(np.sqrt(np.pi / 2) / 6))


def _displacement(original: Pixels, reconstruction: Pixels, ys: slice, xs: slice) -> dict[str, Map]:
    """Dense optical flow of one tile (Kroeger et al., "Fast optical flow using dense inverse search", ECCV 2016)."""
    height, width = original.shape[:2]
    wide_y = slice(max(ys.start - _FLOW_HALO, 0), min(ys.stop + _FLOW_HALO, height))
    wide_x = slice(max(xs.start - _FLOW_HALO, 0), min(xs.stop + _FLOW_HALO, width))
    a, b = (cv2.cvtColor(_even(p[wide_y, wide_x]), cv2.COLOR_RGB2GRAY) for p in (original, reconstruction))
    flow = np.zeros((*a.shape, 2), np.float32)
    # The method needs a few patches; smaller pictures are taken as not displaced.
    if min(a.shape) >= 32 and not np.array_equal(a, b):
        flow = as_map(cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(a, b, _NO_GUESS))
    columns, rows = np.meshgrid(np.arange(a.shape[1], dtype=np.float32), np.arange(a.shape[0], dtype=np.float32))
    moved = cv2.remap(b, columns + flow[..., 0], rows + flow[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    base = a.astype(np.float32) / 255
    maps = {
        "flow": _means(flow),
        "residual": _means(as_map(b.astype(np.float32) / 255 - base) ** 2),
        "residual_moved": _means(as_map(moved.astype(np.float32) / 255 - base) ** 2),
    }
    top, left = (ys.start - wide_y.start) // CELL, (xs.start - wide_x.start) // CELL
    rows_in, columns_in = -(-(ys.stop - ys.start) // CELL), -(-(xs.stop - xs.start) // CELL)
    return {name: m[top : top + rows_in, left : left + columns_in] for name, m in maps.items()}


def as_map(values: npt.NDArray[np.generic] | cv2.typing.MatLike) -> Map:
    """The same values typed as a map: OpenCV types its results loosely; everything here is float32."""
    return np.asarray(values, dtype=np.float32)
