"""How far two rate-distortion curves lie apart on average.

G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001; with piecewise cubic
Hermite interpolation (PCHIP) over the logarithm of the rate, which does not overshoot where his polynomial may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from scipy.interpolate import PchipInterpolator

MIN_POINTS = 4
"""Fewest points of a curve."""

RatePoint = tuple[float, float]
"""Bits per pixel and PSNR in dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveDifference:
    """The average distance between two curves, or why there is none."""

    value: float | None
    """Of the test against the anchor: percent of rate, or dB."""
    overlap: tuple[float, float] | None
    """What both curves cover: dB for a difference of rates, bits per pixel for one of PSNR."""
    reason: str = ""
    """Why there is no value; empty where there is one."""


def bd_rate(anchor: Sequence[RatePoint], test: Sequence[RatePoint]) -> CurveDifference:
    """Percent of rate that `test` needs more than `anchor` at equal PSNR, averaged over the PSNRs that both reach.

    Negative: fewer bits. The mean is of log rates, so a curve at half the rate everywhere gives -50. The order of
    the points does not matter. There is no value for a curve with fewer than `MIN_POINTS` points or whose PSNR does
    not rise with its rate, nor for curves that share no range. Raises `ValueError` for a rate that is none.
    """
    reason = _problem(anchor, test)
    if reason:
        return CurveDifference(value=None, overlap=None, reason=reason)
    curves = [[(psnr_db, math.log(bpp)) for bpp, psnr_db in sorted(points)] for points in (anchor, test)]
    mean, overlap = _mean_gap(*curves)
    if mean is None:
        return CurveDifference(value=None, overlap=None, reason=f"no common PSNR: {_ranges(curves, 'dB')}")
    return CurveDifference(value=100 * math.expm1(mean), overlap=overlap)


def bd_psnr(anchor: Sequence[RatePoint], test: Sequence[RatePoint]) -> CurveDifference:
    """How many dB `test` lies above `anchor` at equal rate, averaged over the log rates that both reach.

    Positive: better. No value and errors as `bd_rate` has them.
    """
    reason = _problem(anchor, test)
    if reason:
        return CurveDifference(value=None, overlap=None, reason=reason)
    curves = [[(math.log(bpp), psnr_db) for bpp, psnr_db in sorted(points)] for points in (anchor, test)]
    mean, overlap = _mean_gap(*curves)
    if mean is None or overlap is None:
        plain = [[(math.exp(rate), psnr_db) for rate, psnr_db in curve] for curve in curves]
        return CurveDifference(value=None, overlap=None, reason=f"no common rate: {_ranges(plain, 'bpp')}")
    return CurveDifference(value=mean, overlap=(math.exp(overlap[0]), math.exp(overlap[1])))


def _problem(anchor: Sequence[RatePoint], test: Sequence[RatePoint]) -> str:
    for name, points in (("anchor", anchor), ("test", test)):
        for bpp, psnr_db in points:
            if not (bpp > 0 and math.isfinite(bpp)) or math.isnan(psnr_db):
                raise ValueError(f"a point needs a rate above 0 and a PSNR, got {bpp} bpp and {psnr_db} dB")
            if math.isinf(psnr_db):
                return f"the {name} is without loss at {bpp:.4g} bpp"
        if len(points) < MIN_POINTS:
            return f"the {name} has {len(points)} of at least {MIN_POINTS} points"
        for (low, worse), (high, better) in pairwise(sorted(points)):
            if low == high or worse >= better:
                return f"the {name}'s PSNR does not rise from {low:.4g} to {high:.4g} bpp"
    return ""


def _mean_gap(anchor: list[RatePoint], test: list[RatePoint]) -> tuple[float | None, tuple[float, float] | None]:
    """Mean of test minus anchor over the x that both cover, and that range; x rises strictly."""
    low, high = max(anchor[0][0], test[0][0]), min(anchor[-1][0], test[-1][0])
    if low >= high:
        return None, None
    one, other = (float(PchipInterpolator(*zip(*curve, strict=True)).integrate(low, high)) for curve in (anchor, test))
    return (other - one) / (high - low), (low, high)


def _ranges(curves: list[list[RatePoint]], unit: str) -> str:
    (anchor, test) = (f"{curve[0][0]:.4g} to {curve[-1][0]:.4g} {unit}" for curve in curves)
    return f"the anchor has {anchor}, the test {test}"
