"""For a crop with boxes one without, of the same model and much like it: what a comparison of the two needs.

Alike means as bright and as finely structured *in the original*: a codec that blurred an area would else be compared
with areas that were flat from the beginning. Two numbers describe an area:

- luminance: the mean of 0.299 R + 0.587 G + 0.114 B (Rec. 601) of the sRGB levels, in [0, 255]
- gradient energy: the mean of gx^2 + gy^2, the squared central differences of that luma, in levels^2 per pixel^2

Their distance is the root of (difference of luminance / 16)^2 + (difference of log2(1 + gradient energy))^2, so that
1 stands for 16 levels, or for twice the energy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from miscomp.corpus.samples.draw import Kind, Pair, Place, Request, Room, pick
from miscomp.corpus.samples.pool import Pool
from miscomp.corpus.selection import shuffled
from miscomp.errors import InputError
from miscomp.images import Pixels
from miscomp.records import Box

TRIES = 256
"""Places looked at in a reconstruction."""
OTHERS = 8
"""Other reconstructions of the same model and source that are tried where the same one has nothing near enough."""
NEAR = 1.0
"""The distance from which on other reconstructions are tried too."""
_LEVELS = 16.0
_REC_601 = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Content:
    """What an area holds, in two numbers."""

    luminance: float
    gradient_energy: float

    def distance(self, other: Content) -> float:
        """See the module; 0 for equals."""
        octaves = math.log2((1 + self.gradient_energy) / (1 + other.gradient_energy))
        return math.hypot((self.luminance - other.luminance) / _LEVELS, octaves)


class Maps:
    """Luma and gradient energy of every pixel of a picture."""

    def __init__(self, pixels: Pixels) -> None:
        self._luma: NDArray[np.float32] = pixels.astype(np.float32) @ _REC_601
        self._energy = np.zeros_like(self._luma)
        for axis in (0, 1):
            if self._luma.shape[axis] > 1:
                self._energy += np.gradient(self._luma, axis=axis) ** 2

    def content(self, area: Box) -> Content:
        """Of an area inside the picture."""
        rows, columns = slice(area.y, area.bottom), slice(area.x, area.right)
        means = (part[rows, columns].mean(dtype=np.float64) for part in (self._luma, self._energy))
        luminance, energy = (round(float(one), 3) for one in means)
        return Content(luminance, energy)


def content_of(original: Pixels, area: Box) -> Content:
    """What an area of the original holds; the same numbers as `Maps` of the whole gives, for less work."""
    height, width = original.shape[:2]
    around = area.grown(1, width, height)
    part = original[around.y : around.bottom, around.x : around.right]
    return Maps(part).content(Box(area.x - around.x, area.y - around.y, area.w, area.h))


def match(
    places: Sequence[Place], pool: Pool, request: Request, read: Callable[[str], Pixels]
) -> Iterator[Place | None]:
    """For each place one that is free of boxes; none where there is no room for it, or no original to compare with.

    Never from pairs that were flagged multi or that nobody looked through. Matched crops overlap neither each other nor
    the places, where these are of the same reconstruction. `read` gives an original by its SHA-1 and may raise
    `InputError`.
    """
    search = _Search(places, pool, request, read)
    for place in places:
        yield search.find(place)


class _Search:
    def __init__(self, places: Sequence[Place], pool: Pool, request: Request, read: Callable[[str], Pixels]) -> None:
        self._pool = pool
        self._seed = request.seed
        self._read = read
        self._cached: tuple[str, Maps] | None = None
        self._taken: dict[str, list[Box]] = {}
        for one in places:
            self._taken.setdefault(one.pair.key, []).append(one.area)
        self._near: dict[tuple[str, str], list[Pair]] = {}
        for pair in pool.pairs:
            if pair.key in pool.clean:
                self._near.setdefault((pair.row.model, pair.image.source), []).append(pair)

    def find(self, place: Place) -> Place | None:
        """The nearest free crop of the same reconstruction; where that is not near, of a few others too."""
        maps = self._maps(place.pair)
        if maps is None:
            return None
        wanted = maps.content(place.area)
        best = self._best(place, place.pair, wanted) if place.pair.key in self._pool.clean else None
        if best is None or (best.distance or 0.0) > NEAR:
            for pair in self._others(place):
                found = self._best(place, pair, wanted)
                if found is not None and (best is None or (found.distance or 0.0) < (best.distance or 0.0)):
                    best = found
        if best is not None:
            self._taken.setdefault(best.pair.key, []).append(best.area)
        return best

    def _others(self, place: Place) -> list[Pair]:
        pair = place.pair
        near = {one.key: one for one in self._near.get((pair.row.model, pair.image.source), []) if one.key != pair.key}
        order = shuffled(near, seed=self._seed, purpose=f"others {pair.key} {place.area}")
        return [near[key] for key in order[:OTHERS]]

    def _best(self, place: Place, pair: Pair, wanted: Content) -> Place | None:
        """The most alike of some free places of a pair."""
        area = place.area
        room = Room(pair, area.w, area.h)
        room.block([*(one.box for one in pair.labels), *self._taken.get(pair.key, ())])
        tried: set[Box] = set()
        for number in range(TRIES):
            key = f"{place.pair.key} {area} {pair.key} {number}"
            found = room.draw(lambda n, key=key: pick(n, seed=self._seed, purpose="match", key=key))  # type: ignore[misc]
            if found is None:
                return None
            tried.add(found)
        maps = self._maps(pair)
        if maps is None:
            return None
        distance, chosen = min((wanted.distance(maps.content(one)), one) for one in tried)
        return Place(kind=Kind.MATCHED, pair=pair, area=chosen, distance=round(distance, 3))

    def _maps(self, pair: Pair) -> Maps | None:
        """Of the pair's original, none where it cannot be read; the last one is kept."""
        sha1 = pair.row.image_sha1
        if self._cached is None or self._cached[0] != sha1:
            try:
                pixels = self._read(sha1)
            except InputError:
                return None  # whoever cuts the crops reads it again and lists it
            if pixels.shape[:2] != (pair.row.height, pair.row.width):
                return None
            self._cached = (sha1, Maps(pixels))
        return self._cached[1]
