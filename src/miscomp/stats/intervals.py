"""Intervals of the statistics: shares in clusters, quartiles, and figures over resampled photographs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import ndtri, stdtrit
from scipy.stats import binom

from miscomp.benchmark.bootstrap import LEVEL, Figure, Floats, figure
from miscomp.corpus.inventory import spread
from miscomp.report.summary import wilson, wilson_interval
from miscomp.stats.resample import Classes
from miscomp.stats.resample import resampled as draw
from miscomp.stats.tabular import Cell


def resampled(values: Floats, resamples: int, seed: int) -> Floats:
    """Sums over photographs (1 + resamples, k) of `values` (photographs, k): as they are, then of each resample.

    Photographs are drawn with replacement, each with all its reconstructions, since those resemble each other.
    """
    total: Floats = values.sum(axis=0, keepdims=True)
    if not len(values) or not resamples:
        return total
    each = Classes(rows=values, images=np.ones(len(values), dtype=np.int64))
    return np.concatenate([total, draw(each, resamples=resamples, seed=seed)])


def ratio(above: Floats, below: Floats, sources: int) -> Figure:
    """A ratio of two sums and its percentile interval; undefined where nothing is below.

    No interval where all resamples agree but for rounding: a width of 0 would read as certainty.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        values = np.where(below > 0, above / below, np.nan)
    known = values[~np.isnan(values)]
    return figure(values, 1 if alike(known) else sources)


def alike(values: Floats) -> bool:
    """Whether all are the same but for rounding, which depends on the order of a sum."""
    return bool(np.allclose(values, values[:1], rtol=1e-9, atol=0))


def share_cell(hits: Sequence[int], totals: Sequence[int]) -> Cell:
    """A share with its 95 % Wilson interval; `hits` of `totals` are by photograph, and n is their sum.

    Where a photograph counts more than once, what is alike in its reconstructions is no further evidence: the interval
    is that of as many independent cases as would vary like this (Kish 1965, section 8.2: n over the design effect,
    which is taken as at least 1), and of fewer where the effect itself is known from few photographs (Korn and Graubard
    1998: times the square of the normal over Student's quantile). At shares of 0 and 1 it is that of as many cases as
    photographs. Undefined for a total of 0.
    """
    y, m = np.asarray(hits, dtype=np.float64), np.asarray(totals, dtype=np.float64)
    y, m = y[m > 0], m[m > 0]
    n, found = int(m.sum()), int(y.sum())
    if n == 0:
        return Cell(value=None, n=0)
    share = found / n
    if m.max() <= 1:
        low, high = wilson(found, n).interval
    elif found in (0, n):
        low, high = wilson_interval(share, len(m))
    else:
        variance = float(((y - share * m) ** 2).sum()) * len(m) / max(len(m) - 1, 1) / n**2
        design = max(variance * n / (share * (1 - share)), 1.0)
        cases = n / design * _few(len(m)) if len(m) > 1 else 1.0
        low, high = wilson_interval(share, max(cases, 1.0))
    return Cell(value=share, low=low, high=high, n=n)


def _few(photographs: int) -> float:
    tail = (1 + LEVEL) / 2
    return float((ndtri(tail) / stdtrit(photographs - 1, tail)) ** 2)


def quantile_cells(values: Sequence[float]) -> tuple[Cell, Cell, Cell]:
    """Lower quartile, median and upper quartile with 95 % intervals from order statistics (distribution-free).

    An interval is left out where the sample is too small to hold it. Undefined for no values.
    """
    found = spread(values)
    if found is None:
        return (Cell(value=None, n=0),) * 3
    ordered = sorted(value for value in values if math.isfinite(value))
    at = ((0.25, found.q25), (0.5, found.median), (0.75, found.q75))
    first, middle, last = (_ordered_cell(ordered, p, value) for p, value in at)
    return first, middle, last


def _ordered_cell(ordered: Sequence[float], p: float, value: float) -> Cell:
    """The order statistics between which the p-quantile of the population lies with at least 95 %."""
    n = len(ordered)
    # Ranks l, u from 1 on: P(l <= B < u) = P(B < l) and P(B >= u) each at most 2.5 %, B binomial(n, p).
    lower = int(binom.ppf((1 - LEVEL) / 2, n, p))
    upper = int(binom.ppf((1 + LEVEL) / 2, n, p)) + 1
    if lower < 1 or upper > n:
        return Cell(value=value, n=n)
    return Cell(value=value, low=ordered[lower - 1], high=ordered[upper - 1], n=n)
