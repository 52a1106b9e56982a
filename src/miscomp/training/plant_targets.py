"""What the learned detector is to answer at every cell of a planted pair, and how much each answer counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.detect.cells import CELL, Map, as_map
from miscomp.detect.network import CATEGORIES
from miscomp.images import Pixels
from miscomp.plant.scene import Planted, Scene
from miscomp.taxonomy import split_categories

CHANNELS = ("wanted", "weight", "category", "symbol", "edited", "edited_weight", "damage", "share")
"""Maps over cells that `targets` stacks; `category` is -1 where there is none."""

_FILLED = 0.2
"""Share of a cell's pixels that must have changed for the cell to belong to a plant: a line of one pixel has 0.25."""

_VISIBLE = 0.03
"""Root mean square difference, of 1, at which a codec's damage counts as visible to 63 %."""

_WINDOW = 5
_TYPICAL = 40.0
"""Cells of a plant that has the weight `_PLANT`; smaller ones weigh more per cell, so that all plants count."""

_PLANT = 4.0
_MOST, _LEAST = 12.0, 1.5

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CodedScene:
    """A scene, and what a codec made of its changed picture."""

    scene: Scene
    reconstruction: Pixels
    outside: Map | float
    """Weight of what lies outside the plants, over cells or of all: 1 where the codec alone changed no meaning, so that
    it is known to be none; 0 where that is not known."""


def targets(coded: CodedScene) -> npt.NDArray[np.float32]:
    """Maps (len(CHANNELS), h / 4, w / 4) for a picture whose sides are multiples of 4."""
    scene = coded.scene
    shape = scene.original.shape[0] // CELL, scene.original.shape[1] // CELL
    maps = {name: np.zeros(shape, np.float32) for name in CHANNELS}
    maps["category"][:] = -1
    maps["weight"][:] = coded.outside
    maps["edited_weight"][:] = coded.outside
    for plant in scene.plants:
        _mark(maps, plant, shape)
    damage = _squared(scene.changed, coded.reconstruction)
    edited = _squared(scene.original, scene.changed)
    maps["damage"] = as_map(1 - np.exp(-damage / _VISIBLE**2))
    maps["share"] = as_map((damage + 1e-6) / (damage + edited + 1e-6))
    return np.stack([maps[name] for name in CHANNELS])


def _mark(maps: dict[str, Map], plant: Planted, shape: tuple[int, int]) -> None:
    """Write a plant into the maps: its cells, and around them a ring about which nothing is asked."""
    full = np.zeros((shape[0] * CELL, shape[1] * CELL), np.float32)
    region = plant.edit.region
    full[region.y : region.bottom, region.x : region.right] = plant.edit.changed
    share = as_map(cv2.resize(full, (shape[1], shape[0]), interpolation=cv2.INTER_AREA))
    inside = _closed(share >= _FILLED)
    if not inside.any():
        inside = share >= share.max()
    around = cv2.dilate((share > 0).astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool) & ~inside
    weight = float(np.clip(_PLANT * np.sqrt(_TYPICAL / inside.sum()), _LEAST, _MOST))
    for name in ("weight", "edited_weight"):
        maps[name][around] = 0
        maps[name][inside] = weight
    maps["edited"][inside] = 1
    if plant.row.label:
        maps["wanted"][inside] = 1
        maps["category"][inside] = CATEGORIES.index(split_categories(plant.row.category)[0])
        maps["symbol"][inside] = plant.row.symbol


def _closed(mask: Mask) -> Mask:
    """The mask with gaps of a cell filled: the inside of a thing that moved belongs to it."""
    closed: Mask = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).astype(bool)
    return closed


def _squared(a: Pixels, b: Pixels) -> Map:
    """Mean squared difference of pixels in [0, 1] in windows of 20 pixels around every cell."""
    difference = (a.astype(np.float32) - b.astype(np.float32)) / 255
    cells = cv2.resize((difference**2).mean(2), (a.shape[1] // CELL, a.shape[0] // CELL), interpolation=cv2.INTER_AREA)
    return as_map(cv2.blur(cells, (_WINDOW, _WINDOW), borderType=cv2.BORDER_REPLICATE))


def stack(coded: Sequence[CodedScene]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Pairs (b, 6, h, w) in [0, 1], the original's channels first, and targets (b, len(CHANNELS), h / 4, w / 4)."""
    pairs = np.stack([np.concatenate([one.scene.original, one.reconstruction], 2) for one in coded])
    scaled = np.divide(pairs.transpose(0, 3, 1, 2), 255, dtype=np.float32)
    return np.ascontiguousarray(scaled), np.stack([targets(one) for one in coded])
