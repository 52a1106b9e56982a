"""Where a picture survives its re-compression: errors of cells of 4 x 4 pixels, states of blocks of 16 x 16.

What a self-destructing codec made comes back as a lattice of extreme colours, with a mean squared error of a tenth and
more of the greatest there is; what it never made comes back as from any codec, a hundred times closer. So the error
alone decides, in flat regions too, where correlation says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from miscomp.codecs.tiles import padded
from miscomp.images import Pixels
from miscomp.metrics.psnr import check_pair

Plane = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
States = npt.NDArray[np.uint8]

CELL = 4
"""Pixels a side of a cell."""

BLOCK = 16
"""Pixels a side of a block, which is what one latent of the codec stands for."""

UNIFORM = 2
"""Levels of 255 that every channel of a uniform block stays within: JPEG makes that of one colour."""

LOST_DB = 15.0
"""PSNR below which a block counts as lost where no thresholds were measured for the codec. Ordinary compression of
photographs leaves sharpened foliage at 15 dB and all other blocks far above; destroyed ones lie at 3 to 10 dB."""

LEAST_ERROR = 1e-7
"""Floor of the mean squared error before its logarithm is taken; rounding to 8 bits alone makes 1e-6."""

SHIFT = (5, 11)
"""Rows and columns that are cut off before a picture is compressed again the second time. The lattice of a codec's
blocks can lie so on the perturbation that it does not act: a picture cropped by just so much survives, and one of the
next row is destroyed. Of two alignments, one acts."""

_PER_BLOCK = BLOCK // CELL
_AROUND = (1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8)
"""16 pixels about the middle of a cell: half of the outermost ones."""

_STRIP = 16 * BLOCK


class State(IntEnum):
    """What became of a block."""

    LEFT_OUT = 0
    """Uniform, connected with the picture's border, and not destroyed: such as the black around a rotated picture."""
    SURVIVES = 1
    UNCERTAIN = 2
    DESTROYED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Survival:
    """A picture compared with its re-compression."""

    width: int
    height: int
    errors: Plane
    """Mean squared error for values in [0, 1] of each cell, over its pixels and channels; of several re-compressions,
    the greatest. Whole blocks of cells: a picture that ends within a block goes on as its last row and column."""
    uniform: Flags
    """Of each block."""

    def block_scores(self) -> Plane:
        """log10 of the mean squared error of each block (ceil(h / 16), ceil(w / 16)): -1 is 10 dB, -3 is 30 dB."""
        rows, columns = self.uniform.shape
        means = self.errors.reshape(rows, _PER_BLOCK, columns, _PER_BLOCK).mean((1, 3))
        return _logarithm(means)

    def lost_blocks(self) -> Flags:
        """Blocks below `LOST_DB`."""
        lost: Flags = self.block_scores() > -LOST_DB / 10
        return lost

    def cell_scores(self) -> Plane:
        """log10 of the mean squared error of the 16 x 16 pixels around each cell (ceil(h / 4), ceil(w / 4))."""
        across = ndimage.correlate1d(self.errors, _AROUND, axis=1, mode="nearest")
        means = ndimage.correlate1d(across, _AROUND, axis=0, mode="nearest")
        return _logarithm(means)[: -(-self.height // CELL), : -(-self.width // CELL)]


def compare(p: Pixels, *again: Pixels) -> Survival:
    """Compare a picture (h, w, 3) with one or more of its re-compressions, in strips: the greatest error of each cell.

    Raises `SizeMismatch`.
    """
    for p2 in again:
        check_pair(p, p2)
    height, width = p.shape[:2]
    rows, columns = -(-height // BLOCK), -(-width // BLOCK)
    errors = np.empty((rows * _PER_BLOCK, columns * _PER_BLOCK), np.float32)
    uniform = np.empty((rows, columns), np.bool_)
    for top in range(0, height, _STRIP):
        a, *others = (padded(picture[top : top + _STRIP], BLOCK) for picture in (p, *again))
        tall = a.shape[0]
        strip = np.zeros((tall // CELL, columns * _PER_BLOCK), np.float32)
        for b in others:
            squares = np.square(a.astype(np.int32) - b).reshape(*strip.shape[:1], CELL, strip.shape[1], CELL * 3)
            np.maximum(strip, squares.mean((1, 3)) / 255**2, out=strip)
        errors[top // CELL : (top + tall) // CELL] = strip
        blocks = a.reshape(tall // BLOCK, BLOCK, columns, BLOCK, 3)
        span = blocks.max((1, 3)).astype(np.int16) - blocks.min((1, 3))
        uniform[top // BLOCK : (top + tall) // BLOCK] = (span <= UNIFORM).all(2)
    return Survival(width, height, errors, uniform)


def recompress(pixels: Pixels, again: Callable[[Pixels], Pixels]) -> tuple[Pixels, ...]:
    """What pixels (h, w, 3) become as they stand, and what they become cut by `SHIFT`, both of their size.

    The rows and columns that are cut off are those of the first. Pictures that are hardly larger are not cut.
    """
    first = again(pixels)
    down, right = SHIFT
    if min(pixels.shape[:2]) < 2 * BLOCK:
        return (first,)
    second = first.copy()
    second[down:, right:] = again(np.ascontiguousarray(pixels[down:, right:]))
    return first, second


def block_states(scores: Plane, uniform: Flags, *, survives_below: float, destroyed_above: float) -> States:
    """A `State` for each block by its score; between the thresholds nothing is said."""
    states = np.full(scores.shape, State.UNCERTAIN, np.uint8)
    states[scores > destroyed_above] = State.DESTROYED
    states[scores < survives_below] = State.SURVIVES
    states[at_border(uniform & (states != State.DESTROYED))] = State.LEFT_OUT
    return states


def at_border(flags: Flags) -> Flags:
    """Those that are connected with the border of the picture, over sides."""
    labels, count = ndimage.label(flags)
    edges = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    touching = np.zeros(count + 1, np.bool_)
    touching[edges] = True
    touching[0] = False
    found: Flags = touching[labels]
    return found


def largest_region(flags: Flags) -> int:
    """How many blocks the largest connected region has, over sides and corners; 0 for none."""
    labels, count = ndimage.label(flags, structure=np.ones((3, 3)))
    return int(np.bincount(labels.ravel())[1:].max()) if count else 0


def _logarithm(errors: npt.NDArray[np.float32]) -> Plane:
    return np.log10(np.maximum(errors, LEAST_ERROR)).astype(np.float32)
