"""Faces in one picture: the interface of face detectors, and the search at several sizes in bounded memory.

A detector knows faces of a range of sizes and takes one small picture. `SearchingFinder` shows it a picture of
any size: enlarged when small, in tiles, and reduced until the largest face is one that it knows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from miscomp.images import Pixels
from miscomp.records import Box

Point = tuple[float, float]
Landmarks = tuple[Point, Point, Point, Point, Point]
"""Eyes, nose tip, corners of the mouth, as (x, y) in pixels; of eyes and corners the one that lies left in an
upright picture comes first."""

Rows = NDArray[np.float32]
"""One row a face: left, top, right, bottom, the five points' x and y, confidence; 15 columns, in pixels."""

Look = Callable[[Pixels], Rows]
"""Faces in one picture of at most `TILE` pixels a side, of every confidence from `LEAST` on; may repeat a face."""

COLUMNS = 15
LEAST = 0.2
"""Confidence below which a detector's answer is dropped whatever it is asked for."""

SURE = 0.85
"""Confidence from which an answer is taken as a face, chosen by hand on photographs: RetinaFace gives nearly all
faces 0.95 and more, and nearly all of what is none less than 0.85."""

TILE = 1024
OVERLAP = 192
_MOST_ENLARGED = 2.0
_ENLARGED_PIXELS = 4e6
_REDUCED = 1 / 2
_WHOLE_SIDE = 600
_LARGEST = 90
_SAME = 0.4
_WITHIN = 0.8
_EDGE = 2.0


@dataclass(frozen=True, slots=True)
class Face:
    """A face that a detector sees."""

    box: Box
    confidence: float
    """In [0, 1], as the detector gives it; orders its answers, and is no probability."""
    landmarks: Landmarks

    @property
    def eye_distance(self) -> float:
        """Pixels between the eyes, as if seen from the front: at least 0.3 of the box's mean side.

        In profile the eyes coincide; a face as wide as its box has them about 0.42 apart.
        """
        return max(math.dist(self.landmarks[0], self.landmarks[1]), 0.3 * math.sqrt(self.box.area))


class FaceFinder(Protocol):
    """Finds faces; the same pixels give the same faces."""

    identity: str
    """Names the weights: file name and the first 8 hex digits of their SHA-256."""

    def faces(self, pixels: Pixels, *, least: float = SURE) -> list[Face]:
        """Faces of at least that confidence in a picture (h, w, 3) uint8 sRGB, the surest first."""
        ...


@dataclass(frozen=True, slots=True)
class View:
    """A part of a picture, and how much it is enlarged to be looked at."""

    box: Box
    scale: float
    largest: float
    """Mean side, in enlarged pixels, up to which a face counts; a smaller view shows larger ones better."""


class SearchingFinder:
    """Shows a detector of small pictures all parts and sizes of a large one.

    A picture of up to 1 megapixel is enlarged twice, so that faces from about 12 pixels on are found; one of
    4 megapixels and more is not. Memory does not grow with the picture.
    """

    def __init__(self, look: Look, identity: str) -> None:
        self._look = look
        self.identity = identity

    def faces(self, pixels: Pixels, *, least: float = SURE) -> list[Face]:
        """Faces of at least that confidence, each once, the surest first."""
        height, width = pixels.shape[:2]
        rows = [self._within(pixels, view, least) for view in views(width, height)]
        found = np.concatenate(rows) if rows else np.empty((0, COLUMNS), np.float32)
        return [as_face(found[i], width, height) for i in distinct(found)]

    def _within(self, pixels: Pixels, view: View, least: float) -> Rows:
        """Faces that lie whole within a view, at the picture's coordinates."""
        box = view.box
        part = pixels[box.y : box.bottom, box.x : box.right]
        size = (max(round(box.w * view.scale), 1), max(round(box.h * view.scale), 1))
        if size != (box.w, box.h):
            method = cv2.INTER_AREA if view.scale < 1 else cv2.INTER_CUBIC
            part = np.asarray(cv2.resize(part, size, interpolation=method), dtype=np.uint8)
        rows = np.array(self._look(part), dtype=np.float32).reshape(-1, COLUMNS)
        # Confidence is compared with 3 decimals, so that the last bits of a sum do not decide.
        rows[:, 14] = np.round(rows[:, 14], 3)
        rows = rows[np.isfinite(rows).all(1) & (rows[:, 14] >= max(least, LEAST))]
        areas = np.maximum(rows[:, 2] - rows[:, 0], 0) * np.maximum(rows[:, 3] - rows[:, 1], 0)
        rows = rows[np.sqrt(areas) <= view.largest]
        rows[:, 0:14:2] = rows[:, 0:14:2] * (box.w / size[0]) + box.x
        rows[:, 1:14:2] = rows[:, 1:14:2] * (box.h / size[1]) + box.y
        whole: Rows = rows[~_cut(rows, box, pixels.shape[1], pixels.shape[0])]
        return whole


def views(width: int, height: int) -> Iterator[View]:
    """What to look at: tiles of the enlarged picture, then of ever smaller ones until a view is the whole."""
    if min(width, height) < 8:
        return
    scale = min(max(math.sqrt(_ENLARGED_PIXELS / (width * height)), 1.0), _MOST_ENLARGED)
    while True:
        side, overlap = int(TILE / scale), int(OVERLAP / scale)
        whole = scale * max(width, height) <= _WHOLE_SIDE
        largest = math.inf if whole else _LARGEST
        for y in _starts(height, side, overlap):
            for x in _starts(width, side, overlap):
                yield View(Box(x, y, min(side, width - x), min(side, height - y)), scale, largest)
        if whole:
            return
        scale *= _REDUCED


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """First pixels of tiles that cover `length` evenly with at least the overlap."""
    if length <= side:
        return [0]
    count = math.ceil((length - overlap) / (side - overlap))
    return [round(k * (length - side) / (count - 1)) for k in range(count)]


def _cut(rows: Rows, box: Box, width: int, height: int) -> NDArray[np.bool_]:
    """Which boxes reach a border of the view that is none of the picture: another view has them whole."""
    return (
        ((rows[:, 0] < box.x + _EDGE) & (box.x > 0))
        | ((rows[:, 1] < box.y + _EDGE) & (box.y > 0))
        | ((rows[:, 2] > box.right - _EDGE) & (box.right < width))
        | ((rows[:, 3] > box.bottom - _EDGE) & (box.bottom < height))
    )


def distinct(rows: Rows) -> list[int]:
    """Numbers of the rows to keep, the surest first: none overlaps a surer one by an IoU above 0.4 or lies in it.

    Ties are broken by place, so that the order in which views come does not matter.
    """
    order = np.lexsort((rows[:, 3], rows[:, 2], rows[:, 1], rows[:, 0], -rows[:, 14]))
    areas = np.maximum(rows[:, 2] - rows[:, 0], 0) * np.maximum(rows[:, 3] - rows[:, 1], 0)
    kept: list[int] = []
    for i in order:
        if areas[i] <= 0:
            continue
        others = rows[kept]
        w = np.minimum(others[:, 2], rows[i, 2]) - np.maximum(others[:, 0], rows[i, 0])
        h = np.minimum(others[:, 3], rows[i, 3]) - np.maximum(others[:, 1], rows[i, 1])
        both = np.maximum(w, 0) * np.maximum(h, 0)
        smaller = np.minimum(areas[kept], areas[i])
        if not ((both > _SAME * (areas[kept] + areas[i] - both)) | (both > _WITHIN * smaller)).any():
            kept.append(int(i))
    return kept


def as_face(row: Rows, width: int, height: int) -> Face:
    """A row as a face, its box clipped to the picture; landmarks may lie outside."""
    x, y = (min(max(math.floor(v), 0), limit - 1) for v, limit in ((row[0], width), (row[1], height)))
    right, bottom = (min(max(math.ceil(v), 1), limit) for v, limit in ((row[2], width), (row[3], height)))
    a, b, c, d, e = ((round(float(row[i]), 2), round(float(row[i + 1]), 2)) for i in range(4, 14, 2))
    return Face(Box(x, y, max(right - x, 1), max(bottom - y, 1)), min(round(float(row[14]), 3), 1.0), (a, b, c, d, e))


def match_faces(a: Sequence[Face], b: Sequence[Face], *, iou: float = 0.35) -> list[tuple[int, int]]:
    """Pairs (number in `a`, number in `b`) of faces at one place, each at most once, the greatest overlap first."""
    pairs = [(x.box.iou(y.box), i, j) for i, x in enumerate(a) for j, y in enumerate(b)]
    taken_a, taken_b, matched = set[int](), set[int](), []
    for overlap, i, j in sorted(pairs, key=lambda p: (-p[0], p[1], p[2])):
        if overlap < iou:
            break
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            matched.append((i, j))
    return sorted(matched)
