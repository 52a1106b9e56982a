"""Percentile intervals by drawing source photographs again and again (Efron and Tibshirani 1993, chapter 13).

A resample is how often each source was drawn. Every figure is a function of such counts, computed for all resamples
at once; the figure itself is that of one count each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEVEL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its 95 % interval; a value of none is undefined, such as a rate without a denominator."""

    value: float | None
    interval: tuple[float | None, float | None] | None = None
    """None for an end is without bound; no interval at all for fewer than two sources."""


UNDEFINED = Figure(value=None)


def draws(sources: int, resamples: int, rng: np.random.Generator) -> Floats:
    """Counts (1 + resamples, sources): first one of each source, then each resample's draws with replacement."""
    if sources == 0:
        return np.ones((1, 0))
    counts = rng.multinomial(sources, np.full(sources, 1 / sources), size=resamples)
    return np.concatenate([np.ones((1, sources)), counts])


def figure(values: Floats, sources: int) -> Figure:
    """The first value, and the interval of the others; undefined resamples (NaN) are left out.

    Infinite values are kept in order, so that an interval can be without bound. No interval where more than a tenth
    of the resamples are undefined, since what is left is no sample of them.
    """
    value, rest = float(values[0]), values[1:]
    known = rest[~np.isnan(rest)]
    if np.isnan(value):
        return Figure(value=None)
    finite = None if np.isinf(value) else value
    if sources < 2 or len(known) < max(0.9 * len(rest), 1):
        return Figure(value=finite)
    ends = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], method="inverted_cdf")
    low, high = (float(end) if np.isfinite(end) else None for end in ends)
    return Figure(value=finite, interval=(low, high))
