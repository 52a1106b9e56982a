"""Which places of a corpus a sample shows: drawn from pairs and boxes by hashes of a seed, without any file.

What is drawn depends on the seed and on each pair by itself: a smaller count is the beginning of a larger one, and a
picture that is added takes places in the order but does not change where the others are cut.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from miscomp.corpus.entries import Reconstruction, SourceImage
from miscomp.corpus.selection import shuffled
from miscomp.records import Box


class Kind(StrEnum):
    """Why a crop is in a sample."""

    ANNOTATED = "annotated"
    """It holds a whole box, or the centre of one that is larger."""
    FREE = "free"
    """No box reaches into it."""
    RANDOM = "random"
    """Anywhere."""
    CONTEXT = "context"
    """A box and what surrounds it."""
    MATCHED = "matched"
    """Free of boxes, and much like another crop of the sample."""
    SAME = "same"
    """The same area as another crop of the sample, by another model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A box that counts."""

    box: Box
    id: str
    labeler: str
    categories: frozenset[str] = frozenset()
    symbol: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A reconstruction and what is known of it."""

    row: Reconstruction
    image: SourceImage
    codec: str
    labels: tuple[Label, ...]
    multi: bool
    """Some labeler flagged multi-miscompressions: what no box covers need not be faithful."""
    labelers: int
    """How many people have looked through it to the end."""

    @property
    def key(self) -> str:
        """Its name in the draw."""
        return f"{self.row.image_sha1} {self.row.model}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What crops are asked for."""

    kind: Kind
    """One of the first four."""
    width: int = 256
    height: int = 256
    """In pixels; context crops are as large as their box asks for."""
    context: float = 2.0
    """How much wider and higher than its box a context crop is."""
    count: int = 50
    """At most so many; 0 for all there are."""
    seed: int = 0
    labeler: str = ""
    """Whose boxes are drawn around; empty: anybody's."""
    category: str = ""
    """What their category names; empty: whatever it is."""
    symbol: bool = False
    """Only boxes on symbols."""
    matched: bool = False
    """For each crop also one that is free of boxes and much like it."""

    def asks_for(self, label: Label) -> bool:
        """Whether crops are to be drawn around this box."""
        wanted = not self.category or self.category in label.categories
        return wanted and self.labeler in ("", label.labeler) and label.symbol >= self.symbol


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An area of a reconstruction that a sample shows."""

    kind: Kind
    pair: Pair
    area: Box
    label: Label | None = None
    """The box that it was drawn around."""
    distance: float | None = None
    """From the crop that it matches, see `miscomp.corpus.samples.matching`."""


def pick(n: int, *, seed: int, purpose: str, key: str) -> int:
    """A number in [0, n) that depends on the arguments alone, on every machine and release."""
    digest = hashlib.sha256(f"{seed} {purpose} {key}".encode()).digest()
    return int.from_bytes(digest[:16], "big") % n


def draw(pairs: Sequence[Pair], request: Request) -> list[Place]:
    """Places in the order in which they are drawn: one of each pair, then a second of each, until there are enough."""
    by_key = {one.key: one for one in pairs}
    order = shuffled(by_key, seed=request.seed, purpose="sample")
    waiting = deque(_offers(by_key[key], request) for key in order)
    places: list[Place] = []
    while waiting and not (request.count and len(places) == request.count):
        offers = waiting.popleft()
        if (place := next(offers, None)) is not None:
            places.append(place)
            waiting.append(offers)
    return places


def _offers(pair: Pair, request: Request) -> Iterator[Place]:
    if request.kind == Kind.CONTEXT:
        return _contexts(pair, request)
    if request.width > pair.row.width or request.height > pair.row.height:
        return iter(())
    return _annotated(pair, request) if request.kind == Kind.ANNOTATED else _scattered(pair, request)


def drawable(pair: Pair, request: Request) -> list[Label]:
    """The boxes of a pair that crops can be drawn around, in the order of the draw; of equal boxes the first."""
    found: dict[str, Label] = {}
    for one in pair.labels:
        inside = one.box.right <= pair.row.width and one.box.bottom <= pair.row.height
        if inside and request.asks_for(one):
            found.setdefault(f"{pair.key} {one.box}", one)
    return [found[key] for key in shuffled(found, seed=request.seed, purpose="box")]


def _annotated(pair: Pair, request: Request) -> Iterator[Place]:
    """Crops that hold a box somewhere; a box that an earlier crop holds wholly gets none of its own."""
    earlier: list[Box] = []
    for label in drawable(pair, request):
        box, key = label.box, f"{pair.key} {label.box}"
        if any(area.intersection(box) == box.area for area in earlier):
            continue
        x = _start(box.x, box.w, request.width, pair.row.width, _picker(request.seed, "x", key))
        y = _start(box.y, box.h, request.height, pair.row.height, _picker(request.seed, "y", key))
        area = Box(x, y, request.width, request.height)
        earlier.append(area)
        yield Place(kind=Kind.ANNOTATED, pair=pair, area=area, label=label)


def _picker(seed: int, purpose: str, key: str) -> Callable[[int], int]:
    return lambda n: pick(n, seed=seed, purpose=purpose, key=key)


def _start(start: int, length: int, size: int, limit: int, picked: Callable[[int], int]) -> int:
    """Where `size` pixels of [0, limit) begin that hold `length` pixels from `start` on, or the middle of too many."""
    if length <= size:
        low, high = start + length - size, start
    else:
        middle = start + length // 2
        low, high = middle - size + 1, middle
    low, high = max(low, 0), min(high, limit - size)
    return low + picked(high - low + 1)


def _contexts(pair: Pair, request: Request) -> Iterator[Place]:
    for label in drawable(pair, request):
        area = surroundings(label.box, request.context, pair.row.width, pair.row.height)
        yield Place(kind=Kind.CONTEXT, pair=pair, area=area, label=label)


def surroundings(box: Box, factor: float, width: int, height: int) -> Box:
    """The box `factor` times as wide and high about its centre, shifted into the picture, no larger than that."""
    x, w = _stretched(box.x, box.w, factor, width)
    y, h = _stretched(box.y, box.h, factor, height)
    return Box(x, y, w, h)


def _stretched(start: int, length: int, factor: float, limit: int) -> tuple[int, int]:
    # 10 * 1.1 is a little above 11 in floating point and must not become 12.
    size = min(math.ceil(length * factor - 1e-9), limit)
    return min(max(start - (size - length) // 2, 0), limit - size), size


class Room:
    """Where in a picture crops of a size can lie without touching what is blocked; one byte per position."""

    def __init__(self, pair: Pair, width: int, height: int) -> None:
        self._size = (width, height)
        shape = (max(pair.row.height - height + 1, 0), max(pair.row.width - width + 1, 0))
        self._open = np.ones(shape, dtype=np.bool_)
        self._count()

    def block(self, boxes: Iterable[Box]) -> None:
        """Allow no crop that shares a pixel with one of these."""
        width, height = self._size
        for box in set(boxes):
            self._open[max(box.y - height + 1, 0) : box.bottom, max(box.x - width + 1, 0) : box.right] = False
        self._count()

    def _count(self) -> None:
        self._ends = np.cumsum(np.count_nonzero(self._open, axis=1))

    def draw(self, picked: Callable[[int], int]) -> Box | None:
        """One of the places that are left, each as likely; none where there is no place."""
        ends = self._ends
        left = int(ends[-1]) if ends.size else 0
        if not left:
            return None
        chosen = picked(left)
        y = int(np.searchsorted(ends, chosen, side="right"))
        row = np.flatnonzero(self._open[y])
        return Box(int(row[chosen - int(ends[y])]), y, *self._size)  # counted from the row's end


def _scattered(pair: Pair, request: Request) -> Iterator[Place]:
    """Crops anywhere, or anywhere free of boxes; those of one pair do not overlap."""
    taken = [one.box for one in pair.labels] if request.kind == Kind.FREE else []
    while True:
        # Made anew for each: all pairs wait for their next turn at once, and their rooms would fill the memory.
        room = Room(pair, request.width, request.height)
        room.block(taken)
        area = room.draw(_picker(request.seed, "place", f"{pair.key} {len(taken)}"))
        if area is None:
            return
        taken.append(area)
        yield Place(kind=request.kind, pair=pair, area=area)


def counted(labels: Iterable[Label], area: Box) -> tuple[int, int, int]:
    """How many boxes lie wholly in an area, have their centre in it, and share any pixel with it."""
    found = list(labels)
    whole = sum(area.intersection(one.box) == one.box.area for one in found)
    centre = sum(area.contains(*one.box.center) for one in found)
    return whole, centre, sum(area.intersection(one.box) > 0 for one in found)
