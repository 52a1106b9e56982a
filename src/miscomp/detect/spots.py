"""From a map of probabilities over cells to places: peaks with the connected cells that are at least half as strong.

Maps of change without a scale of their own are boxed by `miscomp.detect.peaks` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from miscomp.detect.cells import CELL, Map
from miscomp.records import Box

REACH = 14
"""Cells from a peak to the farthest that can belong to it: boxes have at most 116 pixels a side."""

_HALF = 0.5
_APART = 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spot:
    """One place of a map."""

    value: float
    """Of the smoothed map at its peak."""
    rows: slice
    columns: slice
    cells: npt.NDArray[np.bool_]
    """Which of the cells within `rows` and `columns` belong to it."""

    def box(self, width: int, height: int) -> Box:
        """Its cells' pixels in a picture of this size."""
        x, y = self.columns.start * CELL, self.rows.start * CELL
        return Box(x, y, min(self.columns.stop * CELL, width) - x, min(self.rows.stop * CELL, height) - y)

    def mean(self, values: Map, weights: Map) -> float:
        """Weighted mean of another map over the spot's cells."""
        here = weights[self.rows, self.columns][self.cells].astype(np.float64) + 1e-9
        return float((values[self.rows, self.columns][self.cells] * here).sum() / here.sum())


def smoothed(values: Map) -> Map:
    """Mean over 3 x 3 cells, but at least half of a cell's own value, so that small things are not smoothed away."""
    mean: Map = np.asarray(ndimage.uniform_filter(values, 3, mode="nearest"), np.float32)
    kept: Map = np.maximum(mean, np.float32(0.5) * values)
    return kept


def spots(values: Map, *, least: float, limit: int) -> list[Spot]:
    """At most `limit` spots of a map in [0, 1], strongest first, ties in reading order; none below `least`.

    Cells that belong to a spot, and those beside them, belong to no other.
    """
    return list(_taken(smoothed(values), least, limit))


def _taken(smooth: Map, least: float, limit: int) -> Iterator[Spot]:
    left = smooth.copy()
    top = ndimage.maximum_filter(smooth, 3, mode="nearest")
    rows, columns = np.nonzero((smooth == top) & (smooth >= max(least, 1e-6)))
    order = np.lexsort((columns, rows, -smooth[rows, columns]))
    found = 0
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if found == limit:
            return
        if left[row, column] != smooth[row, column]:
            continue
        spot = _grown(left, row, column)
        beside = ndimage.binary_dilation(np.pad(spot.cells, _APART), iterations=_APART)
        corner = spot.rows.start - _APART, spot.columns.start - _APART
        ys, xs = (index + start for index, start in zip(np.nonzero(beside), corner, strict=True))
        inside = (ys >= 0) & (xs >= 0) & (ys < left.shape[0]) & (xs < left.shape[1])
        left[ys[inside], xs[inside]] = -1
        found += 1
        yield spot


def _grown(left: Map, row: int, column: int) -> Spot:
    """The connected cells around a peak that are at least half as strong and not taken."""
    top, first = max(row - REACH, 0), max(column - REACH, 0)
    window = left[top : row + REACH + 1, first : column + REACH + 1]
    value = float(left[row, column])
    labels, _ = ndimage.label(window >= _HALF * value, structure=np.ones((3, 3)))
    cells = labels == labels[row - top, column - first]
    ys, xs = np.nonzero(cells.any(1))[0], np.nonzero(cells.any(0))[0]
    rows = slice(top + int(ys[0]), top + int(ys[-1]) + 1)
    columns = slice(first + int(xs[0]), first + int(xs[-1]) + 1)
    inner = cells[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
    return Spot(value=value, rows=rows, columns=columns, cells=inner)
