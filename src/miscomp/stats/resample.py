"""Intervals by drawing images again and again: all units of an image together, since they are not independent.

Every measure of agreement here is a function of how many units of each kind there are. Images that hold the same
units are one class, and a resample is how often each class was drawn. Percentile and BCa intervals: Efron and
Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 13 and 14.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr, ndtri

from miscomp.benchmark.bootstrap import LEVEL, Figure, Floats
from miscomp.stats.ratings import MISSING, Indices, Ratings

Method = Literal["percentile", "bca"]
Measure = Callable[[Floats], Floats]
"""Counts of units by kind (n, kinds) to n values; NaN where it is undefined."""

FEW = 20
"""Intervals drawn from fewer photographs than this hold the truth less often than they say."""
_CHUNK = 2**22
"""Numbers that a step of the drawing holds at most: 32 MiB each array."""
_BINOMIAL_COST = 20
"""Drawing one class' count from its binomial takes about as long as drawing that many images one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How an interval is found; the same settings give the same numbers."""

    resamples: int
    seed: int
    method: Method = "percentile"
    level: float = LEVEL

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise ValueError(f"an interval needs at least 1 resample, got {self.resamples}")
        if self.method not in get_args(Method):
            raise ValueError(f"unknown interval {self.method!r}; known: {', '.join(get_args(Method))}")
        if not 0 < self.level < 1:
            raise ValueError(f"the level of an interval lies between 0 and 1, got {self.level}")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Classes:
    """Images by what they hold, in an order that does not depend on the images'."""

    rows: Floats
    """(classes, kinds): units of each kind in one image of the class; whole numbers."""
    images: Indices
    """(classes,): how many images."""

    @property
    def total(self) -> Floats:
        """(kinds,): units of each kind."""
        return np.asarray(self.images @ self.rows)

    @property
    def count(self) -> int:
        """How many images."""
        return int(self.images.sum())


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Tally:
    """The units that at least two labelers have seen; a kind is how many saw it and how many of them annotated it."""

    seen: Indices
    """(kinds,), 2 or more."""
    ones: Indices
    """(kinds,), 0 to `seen`."""
    classes: Classes
    """Only the images with such a unit: the others say nothing about agreement."""
    left_out: int
    """Units seen by one labeler or by none."""


def tally(ratings: Ratings) -> Tally:
    """Count the units. One kind more for every number of labelers and of annotations among them that occurs."""
    base = len(ratings.labelers) + 1
    seen = np.count_nonzero(ratings.values != MISSING, axis=1)
    pairable = seen >= 2
    code = (seen * base + np.count_nonzero(ratings.values == 1, axis=1))[pairable]
    occurring = np.flatnonzero(np.bincount(code, minlength=1))
    lookup = np.zeros(base * base, dtype=np.int64)
    lookup[occurring] = np.arange(len(occurring))
    return Tally(
        seen=occurring // base,
        ones=occurring % base,
        classes=classes(lookup[code], ratings.image[pairable], kinds=len(occurring)),
        left_out=int(len(pairable) - pairable.sum()),
    )


def classes(kind: Indices, image: Indices, *, kinds: int) -> Classes:
    """Group images from their units' kinds (0 to kinds - 1), which lie image by image; numbers may be left out."""
    number = np.cumsum(np.diff(image, prepend=image[:1]) != 0)
    images = int(number[-1]) + 1 if len(number) else 0
    held = np.bincount(number * kinds + kind, minlength=images * kinds).reshape(images, kinds)
    rows, counts = np.unique(held, axis=0, return_counts=True)
    return Classes(rows=rows.astype(np.float64), images=counts)


def resampled(found: Classes, *, resamples: int, seed: int) -> Floats:
    """Units of each kind (resamples, kinds) in as many images as there are, drawn with replacement.

    Counts are whole numbers below 2**53: no sum rounds, whatever the order, so nothing depends on threads. Few classes
    are drawn as classes (multinomial); where they are many, images are drawn one by one and counted, which has the
    same distribution and takes less time.
    """
    rng = np.random.default_rng(seed)
    images = found.count
    by_class = len(found.images) * _BINOMIAL_COST < images
    rows = found.rows if by_class else np.repeat(found.rows, found.images, axis=0)
    totals = np.empty((resamples, found.rows.shape[1]))
    step = max(1, _CHUNK // max(len(rows), 1))
    for start in range(0, resamples, step):
        n = min(step, resamples - start)
        if by_class:
            counts = rng.multinomial(images, found.images / images, size=n)
        else:
            drawn = rng.integers(0, images, size=(n, images), dtype=np.uint32)
            counts = np.stack([np.bincount(one, minlength=images) for one in drawn])
        totals[start : start + n] = counts.astype(np.float64) @ rows
    return totals


def estimates(found: Classes, measures: Sequence[Measure], sampling: Sampling) -> list[Figure]:
    """Each measure with its interval, all from the same resamples.

    No value: the measure is undefined on these images. No interval: fewer than two images; more than a tenth of the
    resamples are undefined; all resamples give the one value, as when all agree or all images are alike (a width of 0
    would read as certainty); or BCa's corrections are undefined: a resample is never below the value or never above
    it, the measure is undefined without some one image or the same without any, or the correction passes its pole.
    """
    values = [float(measure(found.total[None])[0]) for measure in measures]
    if found.count < 2 or all(np.isnan(value) for value in values):
        return [Figure(value=None if np.isnan(value) else value) for value in values]
    totals = resampled(found, resamples=sampling.resamples, seed=sampling.seed)
    return [_estimate(value, measure, found, totals, sampling) for value, measure in zip(values, measures, strict=True)]


def _estimate(value: float, measure: Measure, found: Classes, totals: Floats, sampling: Sampling) -> Figure:
    if np.isnan(value):
        return Figure(value=None)
    drawn = measure(totals)
    known = drawn[~np.isnan(drawn)]
    if len(known) < max(0.9 * len(drawn), 1) or bool((known == value).all()):
        return Figure(value=value)
    ends: tuple[float, float] | None = ((1 - sampling.level) / 2, (1 + sampling.level) / 2)
    if sampling.method == "bca":
        ends = _bca_ends(value, known, _acceleration(measure, found), sampling.level)
    if ends is None:
        return Figure(value=value)
    low, high = np.quantile(known, ends, method="inverted_cdf")
    return Figure(value=value, interval=(float(low), float(high)))


def _acceleration(measure: Measure, found: Classes) -> float:
    """From the values without one image each, by class (formula 14.15); NaN where it is undefined."""
    without = measure(found.total - found.rows)
    steps = np.average(without, weights=found.images) - without
    squares = float(found.images @ steps**2)
    if not squares > 0:
        return float("nan")
    return float(found.images @ steps**3 / (6 * squares**1.5))


def _bca_ends(value: float, known: Floats, acceleration: float, level: float) -> tuple[float, float] | None:
    """Which quantiles are the ends (formulas 14.10 and 14.14); ties with the value count half."""
    below = (np.count_nonzero(known < value) + np.count_nonzero(known <= value)) / (2 * len(known))
    if np.isnan(acceleration) or not 0 < below < 1:
        return None
    bias = float(ndtri(below))
    shifted = bias + ndtri(np.array([(1 - level) / 2, (1 + level) / 2]))
    stretch = 1 - acceleration * shifted
    if not (stretch > 0).all():
        return None
    low, high = ndtr(bias + shifted / stretch)
    return float(low), float(high)
