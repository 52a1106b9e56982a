"""Decision node 2, source `object`: small things that stand out from what surrounds them.

A labeler's eye goes to what is distinct: a house on a meadow, a clock on a wall. At several sizes a window is
compared with its eight neighbours in colour and in the energy of its edges. It must differ on most sides, so
that a horizon or the border of two areas, which differ on one, does not count; and it must differ by
more than windows around it differ among themselves, so that one stone of a wall or one patch of snow does not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from miscomp.detect.base import PairInHand, Proposal, widened
from miscomp.detect.cells import CELL, Map, as_map, oklab
from miscomp.detect.change import changed, rms, window
from miscomp.records import Box

WINDOWS = (3, 5, 7, 9, 13, 17, 23)
"""Window sides in cells: 12 to 92 pixels; SCLIC's boxes average 20 to 55 pixels a side."""

_COLOUR_FLOOR = 0.015
_EDGE_FLOOR = 0.006
_SHARPNESS = 0.5
_SIZE = 24.0
_CONTRAST = 2.0
_ROOM = 4
_TRIMMED = 0.01
_LEAST_SIDE = 8
_NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Distinctness:
    """Of every window of one size, for one picture: colour and edges, in units of the surroundings' spread."""

    colour: Map
    edges: Map

    @property
    def relevant(self) -> Map:
        """How surely the window holds a distinct object, in [0, 1]."""
        return _relevant(self.colour, self.edges)

    def at(self, row: int, column: int) -> tuple[float, float, float]:
        """Relevance, distinctness in colour and in edges of one window, without the map of all."""
        here = np.s_[row : row + 1, column : column + 1]
        colour, edges = self.colour[here], self.edges[here]
        return float(_relevant(colour, edges)[0, 0]), float(colour[0, 0]), float(edges[0, 0])


def _relevant(colour: Map, edges: Map) -> Map:
    value: Map = 1 - np.exp(-_SHARPNESS * (colour**2 + edges**2))
    return value


def distinctness(lab: Map, edges: Map, side: int) -> Distinctness:
    """Compare windows of `side` cells with their neighbours; `lab` (rows, columns, 3), `edges` amplitude per pixel."""
    # Chroma counts twice: OKLab's a and b span less than its lightness.
    colour = window(lab * np.array([1, 2, 2], np.float32), side)
    edge = window(edges, side)
    step = round(1.25 * side) + 1
    by_colour = np.empty((8, *edges.shape), np.float32)
    by_edges = np.empty_like(by_colour)
    for i, (down, right) in enumerate(_NEIGHBOURS):
        rows = np.clip(np.arange(edges.shape[0]) + down * step, 0, edges.shape[0] - 1)
        columns = np.clip(np.arange(edges.shape[1]) + right * step, 0, edges.shape[1] - 1)
        by_colour[i] = np.linalg.norm(colour - colour[rows][:, columns], axis=2)
        by_edges[i] = edge - edge[rows][:, columns]
    wide = (6 * side) | 1
    mean = window(colour, wide)
    spread = np.sqrt(np.maximum(window(colour**2, wide) - mean**2, 0).sum(2))
    edge_mean = window(edge, wide)
    edge_spread = np.sqrt(np.maximum(window(edge**2, wide) - edge_mean**2, 0))
    return Distinctness(
        colour=_most_sides(by_colour) / (spread + _COLOUR_FLOOR),
        edges=np.maximum(_most_sides(by_edges), 0) / (edge_spread + 0.25 * edge_mean + _EDGE_FLOOR),
    )


def _most_sides(differences: Map) -> Map:
    """Mean of the second and fourth smallest of eight differences: small where two sides or more look alike."""
    ordered = np.partition(differences, (1, 3), axis=0)
    middle: Map = (ordered[1] + ordered[3]) / 2
    return middle


class ObjectSource:
    """Proposes distinct objects, in either picture, that stand out in the change too."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.heat: Map = np.zeros((0, 0), np.float32)
        """How strongly each cell of the last pair belongs to a distinct object that changed, [0, 1]."""

    def __call__(self, pair: PairInHand) -> list[Proposal]:
        """At most `limit` proposals, strongest first, that hardly overlap."""
        stack, relevance = _strengths(pair)
        self.heat = stack.max(0)
        peaks = _peaks(stack)
        proposals: list[Proposal] = []
        taken: list[Box] = []
        for layer, row, column in peaks:
            side = WINDOWS[layer]
            seed = _window_box(row, column, side, pair)
            if any(seed.intersection(other) > 0.3 * min(seed.area, other.area) for other in taken):
                continue
            strength = float(stack[layer, row, column])
            if strength <= 1e-4 or len(proposals) >= self._limit:
                break
            taken.append(seed)
            box = _refined(pair, _tightened(pair, seed, stack[: max(layer, 1)].max(0)))
            relevant, colour, edges, where = relevance[layer](row, column)
            words = f"something small stands out here from its surroundings{where}"
            numbers = {"distinct_in_colour": colour, "distinct_in_edges": edges, "window_px": float(side * CELL)}
            proposals.append(
                Proposal(box=box, relevant=relevant, source="object", words=words, strength=strength, numbers=numbers)
            )
        return proposals


class _Relevance:
    """Looks up, for one window size, how distinct a place is and in which picture."""

    def __init__(self, a: Distinctness, b: Distinctness, side: int) -> None:
        self._a, self._b = a, b
        # What is small is hard to tell for what it is.
        self._identifiable = 1 - math.exp(-side * CELL / _SIZE)

    def map(self) -> Map:
        return as_map(self._identifiable * np.maximum(self._a.relevant, self._b.relevant))

    def __call__(self, row: int, column: int) -> tuple[float, float, float, str]:
        """Relevance, distinctness in colour and in edges, and in which picture."""
        a, b = self._a.at(row, column), self._b.at(row, column)
        relevant, colour, edges = a if a[0] >= b[0] else b
        where = ""
        if relevant > 2 * min(a[0], b[0]):
            where = ", clearly only in the original" if a[0] > b[0] else ", clearly only in the reconstruction"
        return self._identifiable * relevant, colour, edges, where


def _strengths(pair: PairInHand) -> tuple[Map, list[_Relevance]]:
    """For each window size (layers, rows, columns): change x relevance x contrast of the change to its surroundings."""
    cells = pair.cells
    edges_a, edges_b = np.sqrt(cells.energy_a), np.sqrt(cells.energy_b)
    amount = pair.change.amount_squared
    layers, relevance = [], []
    for side in WINDOWS:
        found = _Relevance(distinctness(cells.a, edges_a, side), distinctness(cells.b, edges_b, side), side)
        here = rms(amount, side)
        wide = (4 * side) | 1
        around = np.maximum(window(here**2, wide) * wide**2 - here**2 * side**2, 0) / (wide**2 - side**2)
        stands_out = here / (here + _CONTRAST * np.sqrt(around) + 0.004)
        layers.append(np.sqrt(changed(here) * here / (here + 0.01)) * found.map() * stands_out)
        relevance.append(found)
    return np.stack(layers), relevance


def _peaks(stack: Map) -> list[tuple[int, int, int]]:
    """Local maxima over size and place, strongest first; ties in reading order."""
    top = ndimage.maximum_filter(stack, size=(3, 5, 5), mode="nearest")
    layers, rows, columns = np.nonzero((stack == top) & (stack > 0))
    order = np.lexsort((columns, rows, layers, -stack[layers, rows, columns]))
    return [(int(layers[i]), int(rows[i]), int(columns[i])) for i in order]


def _window_box(row: int, column: int, side: int, pair: PairInHand) -> Box:
    reach = side // 2
    return _pixels(slice(row - reach, row + reach + 1), slice(column - reach, column + reach + 1), pair)


def _pixels(rows: slice, columns: slice, pair: PairInHand) -> Box:
    """The pixels of cells, clipped to the picture."""
    x, y = max(columns.start, 0) * CELL, max(rows.start, 0) * CELL
    right, bottom = min(columns.stop * CELL, pair.cells.width), min(rows.stop * CELL, pair.cells.height)
    return Box(x, y, max(right - x, 1), max(bottom - y, 1))


def _tightened(pair: PairInHand, seed: Box, strength: Map) -> Box:
    """The seed window, grown by a quarter and cut down to the cells that are strong at the next smaller sizes."""
    margin = max(seed.w, seed.h) // (4 * CELL)
    top, left = max(seed.y // CELL - margin, 0), max(seed.x // CELL - margin, 0)
    part = strength[top : -(-seed.bottom // CELL) + margin, left : -(-seed.right // CELL) + margin]
    strong = part >= 0.4 * part.max()
    rows, columns = np.nonzero(strong.any(1))[0], np.nonzero(strong.any(0))[0]
    return _pixels(
        slice(top + int(rows[0]), top + int(rows[-1]) + 1),
        slice(left + int(columns[0]), left + int(columns[-1]) + 1),
        pair,
    )


def _refined(pair: PairInHand, box: Box) -> Box:
    """The part of a box that holds nearly all of its difference beyond what differs around it, at pixels.

    A change that fills the box keeps it; one that fills a corner is boxed there.
    """
    wide = box.grown(max(box.w, box.h) // 2, pair.cells.width, pair.cells.height)
    squares = _difference_squared(pair, wide)
    room = box.grown(_ROOM, pair.cells.width, pair.cells.height)
    rows, columns = slice(room.y - wide.y, room.bottom - wide.y), slice(room.x - wide.x, room.right - wide.x)
    outside = np.ones(squares.shape, bool)
    outside[rows, columns] = False
    level = float(np.median(squares[outside])) if outside.any() else 0.0
    excess = np.maximum(squares[rows, columns] - 4 * level, 0)
    if not excess.any():
        return box
    (top, bottom), (left, right) = _bulk(excess.sum(1)), _bulk(excess.sum(0))
    return widened(Box(room.x + left, room.y + top, right - left, bottom - top), _LEAST_SIDE, pair.cells)


def _difference_squared(pair: PairInHand, box: Box) -> Map:
    """Squared distance in OKLab, chroma counted twice, smoothed over about three pixels."""
    here = slice(box.y, box.bottom), slice(box.x, box.right)
    shift = (oklab(pair.original[here]) - oklab(pair.reconstruction[here])) * np.array([1, 2, 2], np.float32)
    return as_map(cv2.GaussianBlur((shift**2).sum(2), (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE))


def _bulk(weights: Map) -> tuple[int, int]:
    """The range [first, end) that leaves out at most the share `_TRIMMED` of the weights at each end."""
    total = np.cumsum(weights, dtype=np.float64)
    first = int(np.searchsorted(total, _TRIMMED * total[-1], side="right"))
    last = int(np.searchsorted(total, (1 - _TRIMMED) * total[-1]))
    return first, max(last, first) + 1
