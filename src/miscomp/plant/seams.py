"""Hard negatives that arise after coding: patches of a low-rate reconstruction within one of a high rate.

They have the blur and the borders that a splice leaves, and no change of meaning: a detector that lives off them
is found out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from miscomp.images import Pixels
from miscomp.plant.edits import GAP, LEAST_CHANGED, LEAST_STEP
from miscomp.records import Box

MIN_BPP = 0.5
"""Below this real rate a picture gets no seams: low-rate damage is everywhere in it."""

LOW_SHARE = 1 / 3
"""Rate of the patches, as a share of the picture's."""

STRENGTH = 0.75
"""What stands as strength of a seam; all are made alike."""

LEAST_CORRELATION = 0.9
"""Of the patch's luma with the original's: what the low rate destroyed is no place for a hard negative."""

MOST_TINT = 20
"""Most difference of any channel, as a mean over `_PATCH` pixels a side: another colour is no hard negative."""

_PATCH = 9
_SIDES = (24, 72)
_ATTEMPTS = 40
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Spliced:
    """A reconstruction with seams, and where they are."""

    pixels: Pixels
    boxes: tuple[Box, ...]


def splice(
    high: Pixels,
    low: Pixels,
    original: Pixels,
    *,
    rng: np.random.Generator,
    free: Callable[[Box], bool],
    count: int,
) -> Spliced:
    """Put up to `count` patches of `low` into a copy of `high`, 24 to 72 pixels a side, at places that are `free`.

    A place is left alone where the two hardly differ, where nothing but a flat surface is seen, and where the low
    rate did not keep the structure and the colours of the original.
    """
    pixels, boxes = high.copy(), list[Box]()
    height, width = high.shape[:2]
    for _ in range(_ATTEMPTS * count):
        if len(boxes) == count:
            break
        w, h = (int(side) for side in rng.integers(_SIDES[0], _SIDES[1] + 1, 2))
        x, y = int(rng.integers(max(width - w, 0) + 1)), int(rng.integers(max(height - h, 0) + 1))
        box = Box(x, y, w, h)
        place = (slice(y, box.bottom), slice(x, box.right))
        if not free(box) or any(box.intersection(other.grown(GAP, width, height)) for other in boxes):
            continue
        if _changes(high[place], low[place]) and _kept(original[place], low[place]):
            pixels[place] = low[place]
            boxes.append(box)
    return Spliced(pixels=pixels, boxes=tuple(boxes))


def _changes(high: Pixels, low: Pixels) -> bool:
    difference = np.abs(high.astype(np.int16) - low).max(2)
    return int((difference > LEAST_STEP).sum()) >= LEAST_CHANGED


def _kept(original: Pixels, low: Pixels) -> bool:
    """Whether structure and colours are still the original's."""
    tint = cv2.blur(original.astype(np.float32) - low, (_PATCH, _PATCH))
    if float(np.abs(tint).max()) > MOST_TINT:
        return False
    a, b = (np.ravel(patch @ _LUMA) - np.mean(patch @ _LUMA) for patch in (original, low))
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return spread > 0 and float(a @ b) / spread >= LEAST_CORRELATION
