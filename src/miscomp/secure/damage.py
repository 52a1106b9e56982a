"""Does the codec destroy part of a picture that it never saw before?

Some natural textures look like the perturbation. What they become is lost in the first compression already.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from miscomp.images import Pixels
from miscomp.records import Box
from miscomp.secure.survival import BLOCK, compare


@dataclass(frozen=True, slots=True)
class Damage:
    """A connected part of a picture that its first compression destroys."""

    box: Box
    psnr_db: float
    """Over the part's blocks."""


def damages(x: Pixels, x1: Pixels) -> tuple[Damage, ...]:
    """Parts of an original (h, w, 3) that its coded form lost, the largest box first. Raises `SizeMismatch`."""
    survival = compare(x, x1)
    scores = survival.block_scores()
    labels, count = ndimage.label(survival.lost_blocks(), structure=np.ones((3, 3)))
    found = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels, count), 1):
        left, top = columns.start * BLOCK, rows.start * BLOCK
        right, bottom = min(columns.stop * BLOCK, survival.width), min(rows.stop * BLOCK, survival.height)
        errors = 10.0 ** scores[rows, columns][labels[rows, columns] == number].astype(np.float64)
        found.append(Damage(Box(left, top, right - left, bottom - top), float(-10 * np.log10(errors.mean()))))
    return tuple(sorted(found, key=lambda one: (-one.box.area, one.box)))
