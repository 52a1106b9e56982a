"""Decision node 1: whether something visibly changed; maps of colour, structure, energy and displacement over cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import cv2
import numpy as np

from miscomp.detect.cells import CellMaps, Map, as_map

LIGHTNESS_WEIGHT = 0.5
CHROMA_WEIGHT = 4.0
"""Colour differences against differences of gradients. Chroma weighs more because codecs keep it well where
they keep the object, so that a local shift of hue is rarely mere noise."""

CHROMA_THRESHOLD = 0.004
"""Shifts of chroma up to this are taken as invisible; 4:2:0 subsampling alone makes them at coloured edges."""

VISIBLE = 0.018
"""Amount of change at which `changed` passes 0.63; JPEG of quality 95 has 0.07 of it in the median window and
0.4 in the worst percent."""

STRUCTURE_FLOOR = 0.006**2
"""Squared gradient below which structure is not visible; keeps flat areas from counting as dissimilar."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChangeMaps:
    """Local change over cells, each (rows, columns); squares are kept so that windows can average them."""

    gradient_squared: Map
    """Squared difference of the lightness gradients, both scales, per pixel."""
    lightness_squared: Map
    """Squared difference of OKLab lightness over 3 x 3 cells."""
    chroma_squared: Map
    """Squared distance in OKLab's a and b over 3 x 3 cells, as far as it passes `CHROMA_THRESHOLD`."""

    @property
    def amount_squared(self) -> Map:
        """Square of the amount of change, in OKLab units."""
        return combined(self.gradient_squared, self.lightness_squared, self.chroma_squared)


Squares = TypeVar("Squares", Map, float)


def combined(gradient: Squares, lightness: Squares, chroma: Squares) -> Squares:
    """Square of the amount of change from the squares of its three parts; maps or figures."""
    total: Squares = gradient + LIGHTNESS_WEIGHT**2 * lightness + CHROMA_WEIGHT**2 * chroma
    return total


def window(values: Map, side: int) -> Map:
    """Mean over a window of `side` x `side` cells around every cell; mirrored at the borders."""
    return as_map(cv2.boxFilter(values, -1, (side, side), borderType=cv2.BORDER_REFLECT_101))


def rms(squares: Map, side: int) -> Map:
    """Root of the windowed mean of squares; running sums may fall a little below zero, which is taken as zero."""
    return np.sqrt(np.maximum(window(squares, side), 0))


def change_maps(cells: CellMaps) -> ChangeMaps:
    """Maps of local change of a measured pair; all zero exactly where the two pictures are equal."""
    # Means over 12 x 12 pixels: a shift of colour is visible in patches, not in single pixels.
    shift = window(cells.a - cells.b, 3)
    return ChangeMaps(
        gradient_squared=np.maximum(cells.difference, 4 * cells.difference_coarse),
        lightness_squared=shift[..., 0] ** 2,
        chroma_squared=np.maximum(np.linalg.norm(shift[..., 1:], axis=2) - CHROMA_THRESHOLD, 0) ** 2,
    )


def changed(amount: Map | float) -> Map:
    """How surely an amount of change is visible, in [0, 1]."""
    value: Map = 1 - np.exp(-((np.asarray(amount, dtype=np.float32) / VISIBLE) ** 2))
    return value


def structure_similarity(cells: CellMaps) -> Map:
    """Similarity of the gradients in windows of 20 pixels, [-1, 1]; 1 is equal.

    Gradient similarity after Xue et al., "Gradient magnitude similarity deviation", IEEE TIP 2014, with the
    gradients' directions kept: 2 <g_a, g_b> in place of 2 |g_a| |g_b|.
    """
    total = rms(cells.energy_a + cells.energy_b, 5) ** 2
    similar: Map = 1 - rms(cells.difference, 5) ** 2 / (total + STRUCTURE_FLOOR)
    return similar


def energy_ratio(cells: CellMaps) -> Map:
    """log2 of the reconstruction's over the original's gradient amplitude in windows of 20 pixels; 0 is equal."""
    a, b = rms(cells.energy_a, 5) ** 2, rms(cells.energy_b, 5) ** 2
    return as_map(0.5 * np.log2((b + STRUCTURE_FLOOR) / (a + STRUCTURE_FLOOR)))


def change_picture(maps: ChangeMaps) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    """Grey picture of `changed` over cells: 0 none, 255 certainly changed."""
    amount = rms(maps.amount_squared, 3)
    return np.asarray(np.round(255 * changed(amount)), dtype=np.uint8)
