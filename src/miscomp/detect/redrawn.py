"""Whether a picture's texture was drawn anew: there, but elsewhere, as generative codecs do."""

from __future__ import annotations

import numpy as np

from miscomp.detect.cells import CellMaps
from miscomp.detect.change import energy_ratio, rms, structure_similarity

_TEXTURED = 0.012
"""Amplitude of the original's edges, in OKLab lightness per pixel, from which a window counts as textured."""

_UNLIKE = 0.5
_KEPT = -0.4
_FEWEST = 50

LOW, HIGH = 0.04, 0.08
"""Shares of redrawn windows from which, and up to which, a picture counts as redrawn more and more.

Of 84 planted pairs (CID22's validation set; lucid and JPEG at 0.25 and 0.75 bpp) hardly any has more than 0.031, one
has 0.047; what was planted counts too. HiFiC's clocktower has 0.080, diffusion codecs at 0.1 bpp 0.03 to 0.3.
"""


def redrawn_share(cells: CellMaps) -> float:
    """Share of the textured windows of 20 pixels whose edges are about as strong as before and unlike those before.

    0 where a picture has hardly any texture. Codecs that blur have low values, since edges go; so have displacements of
    the whole picture, since most texture still resembles itself.
    """
    textured = rms(cells.energy_a, 5) > _TEXTURED
    if int(textured.sum()) < _FEWEST:
        return 0.0
    unlike = (structure_similarity(cells) < _UNLIKE) & (energy_ratio(cells) > _KEPT)
    return float(unlike[textured].mean())


def redrawn(cells: CellMaps) -> float:
    """How far a picture counts as redrawn, [0, 1]."""
    return float(np.clip((redrawn_share(cells) - LOW) / (HIGH - LOW), 0, 1))
