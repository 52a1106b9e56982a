"""What people found in each reconstruction, and what that comes to at a rate between two of a codec's."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.benchmark.bootstrap import Floats
from miscomp.codecs.rate import TOLERANCE
from miscomp.records import Box
from miscomp.stats.areas import union_area
from miscomp.stats.material import Material

OUTCOMES = ("annotated", "boxes", "area")
"""Share of those who saw it that drew a box; boxes; share of pixels under any box. The last two per labeler who saw it.

Per labeler, because two who look find more than one: with one labeler an image, `annotated` is 0 or 1.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """A codec's outcome in one photograph at one rate."""

    bpp: float
    values: Floats
    """In the order of `OUTCOMES`."""
    viewers: tuple[str, ...]
    """Who saw what the values were taken from; once for every reconstruction."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Interpolated(Point):
    """The outcome at a rate, and the real rates (bpp) of the reconstructions on either side; alike for one alone."""

    between: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """All that people have seen and whose rate is known."""

    points: Mapping[str, Mapping[str, tuple[Point, ...]]]
    """By codec, then by SHA-1 of the photograph: by rising rate, each rate once."""
    unseen: int
    """Reconstructions that nobody has seen, and which are left out."""
    without_rate: int
    """Reconstructions that somebody has seen, left out since their rate is unknown."""


def observed(material: Material) -> Observed:
    """The outcomes of every reconstruction that a person has seen; detectors are left out."""
    people, seen, drawn = frozenset(material.people), material.seen_by(), material.boxes()
    unseen = without_rate = 0
    points: defaultdict[str, defaultdict[str, list[Point]]] = defaultdict(lambda: defaultdict(list))
    for row in material.images:
        pair = (row.image_sha1, row.model)
        viewers = tuple(sorted(seen[pair] & people))
        if not viewers:
            unseen += 1
        elif row.bpp is None:
            without_rate += 1
        else:
            boxes = [[one.box for one in drawn.get((pair, who), ())] for who in viewers]
            one = Point(bpp=row.bpp, values=_values(boxes, row.width * row.height), viewers=viewers)
            points[material.codec_of(row.model)][row.image_sha1].append(one)
    merged = {
        codec: {sha1: _by_rate(some) for sha1, some in pictures.items()} for codec, pictures in sorted(points.items())
    }
    return Observed(points=merged, unseen=unseen, without_rate=without_rate)


def at_rate(points: Sequence[Point], target: float) -> Interpolated | None:
    """Linear in the logarithm of the rate, between the two reconstructions on either side of `target` bpp.

    None where the target lies outside of the rates, by more than the share within which a rate counts as reached
    (`codecs.rate.TOLERANCE`): nothing is extrapolated.
    """
    rates = [one.bpp for one in points]
    k = bisect_left(rates, target)
    if 0 < k < len(rates):
        low, high = points[k - 1], points[k]
        weight = math.log(target / low.bpp) / math.log(high.bpp / low.bpp)
        # One that has no weight was not used, and neither were those who saw it.
        viewers = high.viewers if weight == 1 else (*low.viewers, *high.viewers)
        values = (1 - weight) * low.values + weight * high.values
        return Interpolated(bpp=target, values=values, viewers=viewers, between=(low.bpp, high.bpp))
    end = points[min(k, len(points) - 1)]
    if abs(end.bpp - target) > TOLERANCE * target:
        return None
    return Interpolated(bpp=target, values=end.values, viewers=end.viewers, between=(end.bpp, end.bpp))


def _values(boxes: Sequence[Sequence[Box]], pixels: int) -> Floats:
    """Means over those who saw it."""
    each = [(len(some) > 0, len(some), union_area(some) / pixels) for some in boxes]
    return np.asarray(np.array(each, dtype=np.float64).mean(axis=0))


def _by_rate(points: Sequence[Point]) -> tuple[Point, ...]:
    """By rising rate; reconstructions of the very same rate count as one, with the mean of their outcomes."""
    by_rate: defaultdict[float, list[Point]] = defaultdict(list)
    for one in points:
        by_rate[one.bpp].append(one)
    return tuple(
        Point(
            bpp=bpp,
            values=np.mean([one.values for one in some], axis=0),
            viewers=tuple(who for one in some for who in one.viewers),
        )
        for bpp, some in sorted(by_rate.items())
    )
