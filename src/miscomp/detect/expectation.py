"""Decision node 4: whether the change is what one would expect there.

The change of a region is compared with the change elsewhere in the same picture where the texture is alike:
similar energy of edges, near places counting more. The comparison is a robust z-score, so that uniform
degradation, however strong, is expected everywhere, and an object lost in a good picture is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miscomp.detect.base import inside
from miscomp.detect.cells import CellMaps, Map
from miscomp.detect.change import ChangeMaps, rms
from miscomp.records import Box

SURPRISING = 1.5
"""z-score at which a change is as surprising as expected."""

_SIDE = 5
_FEWEST = 30


@dataclass(frozen=True, slots=True)
class Comparison:
    """A region's change beside that of regions of similar texture."""

    expected: float
    """In [0, 1]; 1 is entirely expected."""
    z: float
    """Robust z-score on a logarithmic scale; positive is worse than elsewhere."""
    here: float
    """Amount of change in the region."""
    elsewhere: float
    """Median amount of change in windows of similar texture."""
    windows: int
    """How many windows were compared with."""


class Expectation:
    """Compares regions of one pair; samples the picture once."""

    def __init__(self, cells: CellMaps, change: ChangeMaps) -> None:
        # One window in five each way is enough, and makes the windows independent.
        self._activity = 2 * np.log(rms(cells.energy_a + cells.energy_b, _SIDE) + 1e-3)
        self._amount = np.log(rms(change.amount_squared, _SIDE) + 1e-4)
        rows, columns = np.mgrid[2 : cells.shape[0] : _SIDE, 2 : cells.shape[1] : _SIDE]
        places = np.stack([rows.ravel(), columns.ravel()], 1)
        # By rising change, so that the first of the two medians needs no sorting.
        self._places = places[np.argsort(self._amount[places[:, 0], places[:, 1]], kind="stable")]
        self._scale = 0.25 * max(cells.shape)

    def compare(self, box: Box) -> Comparison:
        """Compare a region with the rest of its picture. Too small a picture to compare gives 0.5."""
        activity = float(np.mean(inside(self._activity, box)))
        here = float(np.mean(inside(self._amount, box)))
        weights = self._weights(box, activity)
        count = int((weights > 0.05).sum())
        if count < _FEWEST:
            return Comparison(0.5, 0.0, float(np.exp(here)), float(np.exp(here)), count)
        values = self._amount[self._places[:, 0], self._places[:, 1]]
        middle = _weighted_median(values, weights)
        away = np.abs(values - middle)
        order = np.argsort(away, kind="stable")
        spread = 1.4826 * _weighted_median(away[order], weights[order])
        z = (here - middle) / max(spread, 0.1)
        expected = float(1 / (1 + np.exp(np.clip((z - SURPRISING) / 0.6, -30, 30))))
        return Comparison(expected, float(z), float(np.exp(here)), float(np.exp(middle)), count)

    def _weights(self, box: Box, activity: float) -> Map:
        """Alike in texture (a factor of about 1.5 in edge amplitude) and near; none inside or beside the box."""
        rows, columns = self._places[:, 0], self._places[:, 1]
        alike = np.exp(-((self._activity[rows, columns] - activity) ** 2) / (2 * 0.8**2))
        x, y = (c / 4 for c in box.center)
        away = np.hypot(rows - y, columns - x)
        near = 1 / (1 + (away / self._scale) ** 2)
        reach_y, reach_x = box.h / 8 + _SIDE, box.w / 8 + _SIDE
        outside = (np.abs(rows - y) > reach_y) | (np.abs(columns - x) > reach_x)
        weights: Map = (alike * near * outside).astype(np.float32)
        return weights


def _weighted_median(values: Map, weights: Map) -> float:
    """Of values in rising order."""
    total = np.cumsum(weights, dtype=np.float64)
    return float(values[np.searchsorted(total, total[-1] / 2)])
