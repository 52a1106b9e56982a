"""Large pictures made of small ones, for timing: each is mirrored to a block without seams, the blocks side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from miscomp.images import Pixels


def mosaic(pictures: Sequence[Pixels], megapixels: float) -> Pixels:
    """A picture of 4 : 3 and that many megapixels (millions); the pictures come in turn, cropped to a common size."""
    height = round(math.sqrt(megapixels * 1e6 * 3 / 4))
    width = round(megapixels * 1e6 / height)
    rows, columns = (min(picture.shape[side] for picture in pictures) for side in (0, 1))
    whole = np.empty((height, width, 3), np.uint8)
    turn = 0
    for top in range(0, height, 2 * rows):
        for left in range(0, width, 2 * columns):
            one = pictures[turn % len(pictures)][:rows, :columns]
            half = np.concatenate([one, one[:, ::-1]], 1)
            block = np.concatenate([half, half[::-1]])
            place = whole[top : top + 2 * rows, left : left + 2 * columns]
            place[:] = block[: place.shape[0], : place.shape[1]]
            turn += 1
    return whole
