"""Decision node 3: whether the reconstruction alone gives the change away, by blur, blocks or noise.

Only the reconstruction is looked at, since that is all a viewer has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from miscomp.detect.base import inside
from miscomp.detect.cells import CellMaps, Map
from miscomp.detect.change import rms, window
from miscomp.records import Box

_FLOOR = 0.004


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuspicionMaps:
    """What a viewer may notice, each over cells and in [0, 1]."""

    blur: Map
    """Edges are there, but none is sharp."""
    blocks: Map
    """Steps at the borders of 8 x 8 blocks."""
    noise: Map
    """Fine grain or mesh in what is otherwise smooth."""

    @property
    def total(self) -> Map:
        """Any of the three."""
        value: Map = 1 - (1 - self.blur) * (1 - self.blocks) * (1 - self.noise)
        return value

    def within(self, box: Box) -> SuspicionMaps:
        """The cells that a box touches."""
        blur, blocks, noise = (inside(values, box) for values in (self.blur, self.blocks, self.noise))
        return SuspicionMaps(blur=blur, blocks=blocks, noise=noise)


def suspicion_maps(cells: CellMaps) -> SuspicionMaps:
    """Local blur, blocking and noise of the reconstruction in windows of 36 pixels."""
    fine = rms(cells.energy_b, 9)
    coarse = rms(cells.energy_b_coarse, 9)
    # An ideal step has a ratio of 1.5 between the two scales, one blurred with sigma 2 has 1.1.
    visible = coarse / (coarse + _FLOOR)
    blur = np.clip((1.45 - fine / (coarse + 1e-6)) / 0.35, 0, 1) * visible
    blocking = window(cells.blocking, 9)
    # Unblocked photographs reach 0.3 by chance, JPEG of quality 20 has 0.4 to 0.7.
    blocks = np.clip((blocking / (fine + _FLOOR) - 0.35) / 0.4, 0, 1)
    grain = window(cells.noise, 9)
    noise = np.clip((grain / (coarse + _FLOOR) - 2.0) / 2.0, 0, 1) * np.clip(grain / 0.02, 0, 1)
    return SuspicionMaps(blur=blur.astype(np.float32), blocks=blocks.astype(np.float32), noise=noise.astype(np.float32))
