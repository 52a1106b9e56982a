"""The shapes of letters, compared pixel by pixel: a replaced letter differs far more than its neighbours do.

A codec treats the letters of one line alike: whatever blur, ringing or shift it caused stands in all of them. So
each letter's difference is weighed against the line's contrast and against the other letters' differences.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miscomp.detect.strips import sides, straightened
from miscomp.detect.words import Quad
from miscomp.images import Pixels

_HEIGHT = 48
_WIDTH = 2400
_SMOOTH = 1.5
"""Standard deviation in strip pixels of what is smoothed before: noise, and blur that only one side has."""
_STROKE = 4.0
"""Standard deviation in strip pixels of the window in which differences are summed: about a stroke's width."""
_INSET = 0.2
_SHIFT = 1.5
"""Pixels of the picture by which all of a line may have moved."""
_LEAST_CONTRAST = 4.0
_FLOOR = 0.03
_USUAL = 0.1
_FEW = 3
"""With fewer other letters than this, `_USUAL` is counted as the difference of one more."""
_USUAL_ALONE = 0.2


@dataclass(frozen=True, slots=True)
class Shape:
    """How far a letter's shape differs between two pictures."""

    difference: float
    """Greatest squared difference in a window of a stroke's width, over the mean square of the line's contrast."""
    ratio: float
    """That over the median of the line's other letters."""


def compare_shapes(
    here: Pixels, there: Pixels, quad: Quad, extents: Sequence[tuple[float, float]]
) -> list[Shape | None]:
    """One shape for every extent (start and end along the line, 0 to 1); all `None` where the line has no contrast.

    A shift of the whole line by up to 1.5 pixels and a change of its contrast or colour count as no difference.
    """
    differences = _difference_map(here, there, quad)
    if differences is None:
        return [None] * len(extents)
    amounts = [_greatest(differences, extent) for extent in extents]
    shapes: list[Shape | None] = []
    for k, amount in enumerate(amounts):
        others = amounts[:k] + amounts[k + 1 :]
        usual = float(np.median([*others, _USUAL] if len(others) < _FEW else others)) if others else _USUAL_ALONE
        shapes.append(Shape(round(amount, 4), round(amount / (usual + _FLOOR), 3)))
    return shapes


def _difference_map(here: Pixels, there: Pixels, quad: Quad) -> NDArray[np.float32] | None:
    """Windowed squared difference over contrast in the straightened line, of the strip's size."""
    import cv2

    a, b = (
        cv2.GaussianBlur(straightened(p, quad, height=_HEIGHT, most=_WIDTH).astype(np.float32), (0, 0), _SMOOTH)
        for p in (here, there)
    )
    margin = min(max(math.ceil(_SHIFT * _HEIGHT / sides(quad)[1]), 2), _HEIGHT // 6, a.shape[1] // 4)
    inner = a[margin:-margin, margin:-margin]
    center = inner - inner.mean(axis=(0, 1))
    if float(np.sqrt(np.mean(center**2))) < _LEAST_CONTRAST:
        return None
    _, _, _, (dx, dy) = cv2.minMaxLoc(cv2.matchTemplate(b, np.ascontiguousarray(inner), cv2.TM_CCOEFF_NORMED))
    moved = b[dy : dy + inner.shape[0], dx : dx + inner.shape[1]]
    gain = np.mean(center * (moved - moved.mean(axis=(0, 1))), axis=(0, 1)) / (np.mean(center**2, axis=(0, 1)) + 1)
    # A line that vanished has no gain left: its contrast is then that of the original.
    expected = center * np.clip(gain, 0.5, 2.0)
    error = np.sum((moved - moved.mean(axis=(0, 1)) - expected) ** 2, axis=2)
    contrast = float(np.mean(np.sum(expected**2, axis=2)))
    windowed = cv2.GaussianBlur(error, (0, 0), _STROKE) / contrast
    return np.asarray(np.pad(windowed, margin, mode="edge"), dtype=np.float32)


def _greatest(differences: NDArray[np.float32], extent: tuple[float, float]) -> float:
    """The greatest difference within an extent, but for its edges, where the neighbours' differences spill over."""
    width = differences.shape[1]
    start, stop = (place * width for place in extent)
    inset = min(_STROKE, _INSET * (stop - start))
    left = min(max(int(start + inset), 0), width - 1)
    return float(differences[:, left : max(math.ceil(stop - inset), left + 1)].max())
