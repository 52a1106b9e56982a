"""Codecs on the same photographs at the same rate: paired differences, their intervals, and tests corrected for number.

An interval draws photographs with replacement. A p-value flips the sign of each photograph's difference at random
(Fisher's randomisation test for pairs; for outcomes of 0 and 1 it is McNemar's). All p-values of a comparison are
corrected together (Holm 1979).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, islice

import numpy as np

from miscomp.benchmark.bootstrap import UNDEFINED, Figure, Floats
from miscomp.stats.intervals import ratio, resampled
from miscomp.stats.material import Material
from miscomp.stats.outcomes import OUTCOMES, Interpolated, Observed, at_rate, observed

TARGETS = (0.25, 0.5, 0.75)
RESAMPLES = 10_000
_AT_ONCE = 64
"""Pairs of codecs at a target whose resamples are held in memory together."""
_BLOCK = 256
"""Sign flips that are drawn at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Common:
    """Two codecs at a target rate: the photographs that speak about both, and who looked at them."""

    first: str
    second: str
    target: float
    """Bits per pixel."""
    photographs: int
    """Both codecs have been seen, at rates on both sides of the target or at it. All figures are over these."""
    outside: int
    """Both have been seen, but the target lies outside of the rates of one."""
    alone: int
    """Only one of the two has been seen."""
    rates_first: tuple[float, float] | None
    """Geometric means of the rates (bpp) on either side of the target."""
    rates_second: tuple[float, float] | None
    same_labelers: float | None
    """Share of the photographs in which the same people saw both codecs."""
    overlap: float | None
    """What the labelers' shares of the views have in common: 1 for the same shares, 0 where no one saw both codecs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonRow:
    """One outcome of two codecs at a target rate."""

    common: Common
    outcome: str
    """One of `OUTCOMES`."""
    mean_first: float | None
    mean_second: float | None
    difference: Figure
    """Mean over the photographs of first minus second."""
    more_first: int
    """Photographs in which the first has more."""
    more_second: int
    p: float | None
    """Two-sided, of this row alone."""
    p_holm: float | None
    """The same, corrected for all rows that have one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Every two codecs at every target in every outcome."""

    rows: tuple[ComparisonRow, ...]
    codecs: tuple[str, ...]
    targets: tuple[float, ...]
    tests: int
    """How many p-values were corrected together."""
    unseen: int
    without_rate: int
    views_known: bool
    """Whether anything says who has seen what; if not, everybody counts as having seen everything."""
    resamples: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Paired:
    """A `Common` and the outcomes behind it."""

    common: Common
    present: Floats
    """(all photographs,): 1 for those of the comparison."""
    first: Floats
    """(all photographs, outcomes); 0 beside them."""
    second: Floats


def compare(
    material: Material, targets: Sequence[float] = TARGETS, *, seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Compare all codecs of a material (`Material.codec_of`) by what people found; detectors are left out.

    Raises `ValueError` for a target that is no positive rate and for fewer than one resample.
    """
    if resamples < 1 or not all(math.isfinite(target) and target > 0 for target in targets):
        raise ValueError(f"needs targets above 0 bpp and at least one resample, got {list(targets)} and {resamples}")
    seen = observed(material)
    paired = _paired(seen, sorted(set(targets)))
    rows: list[ComparisonRow] = []
    while some := list(islice(paired, _AT_ONCE)):
        rows += _rows(some, resamples, seed)
    corrected = iter(holm([row.p for row in rows if row.p is not None]))
    return Comparison(
        rows=tuple(row if row.p is None else replace(row, p_holm=next(corrected)) for row in rows),
        codecs=tuple(seen.points),
        targets=tuple(sorted(set(targets))),
        tests=sum(row.p is not None for row in rows),
        unseen=seen.unseen,
        without_rate=seen.without_rate,
        views_known=material.views is not None,
        resamples=resamples,
        seed=seed,
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: each times how many are not smaller, at least that of any smaller one."""
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, k in enumerate(sorted(range(len(p_values)), key=lambda k: p_values[k])):
        largest = max(largest, min((len(p_values) - rank) * p_values[k], 1.0))
        adjusted[k] = largest
    return adjusted


def sign_flip(differences: Floats, resamples: int, seed: int) -> Floats:
    """Two-sided p of each column (photographs, k): how often sums are as far from 0 under random signs.

    The data count as one of the draws, so that p is never 0 (Phipson and Smyth 2010).
    """
    rng = np.random.default_rng(seed)
    # Sums that differ in rounding alone are ties.
    reached = np.abs(differences.sum(axis=0)) - 1e-9 * np.abs(differences).sum(axis=0)
    extreme = np.zeros(differences.shape[1])
    for start in range(0, resamples, _BLOCK):
        size = (min(_BLOCK, resamples - start), len(differences))
        signs = 2.0 * rng.integers(0, 2, size, dtype=np.int8) - 1
        extreme += (np.abs(signs @ differences) >= reached).sum(axis=0)
    return np.asarray((1 + extreme) / (1 + resamples))


def _paired(seen: Observed, targets: Sequence[float]) -> Iterator[_Paired]:
    """By target, then by the names of the codecs."""
    place = {sha1: k for k, sha1 in enumerate(sorted({sha1 for some in seen.points.values() for sha1 in some}))}
    for target in targets:
        at = {
            codec: {sha1: one for sha1, points in some.items() if (one := at_rate(points, target))}
            for codec, some in seen.points.items()
        }
        for first, second in combinations(seen.points, 2):
            shared = sorted(at[first].keys() & at[second].keys())
            rows = [place[sha1] for sha1 in shared]
            present, values = np.zeros(len(place)), np.zeros((2, len(place), len(OUTCOMES)))
            present[rows] = 1
            for side, codec in enumerate((first, second)):
                values[side, rows] = [at[codec][sha1].values for sha1 in shared] or np.zeros((0, len(OUTCOMES)))
            yield _Paired(
                common=_common(seen, (first, second), at, shared, target),
                present=present,
                first=values[0],
                second=values[1],
            )


def _common(
    seen: Observed,
    codecs: tuple[str, str],
    at: dict[str, dict[str, Interpolated]],
    shared: Sequence[str],
    target: float,
) -> Common:
    ones, others = ([at[codec][sha1] for sha1 in shared] for codec in codecs)
    first, second = (seen.points[codec].keys() for codec in codecs)
    views = [Counter(who for one in some for who in one.viewers) for some in (ones, others)]
    same = [set(one.viewers) == set(other.viewers) for one, other in zip(ones, others, strict=True)]
    return Common(
        first=codecs[0],
        second=codecs[1],
        target=target,
        photographs=len(shared),
        outside=len(first & second) - len(shared),
        alone=len(first ^ second),
        rates_first=_mean_rates(ones),
        rates_second=_mean_rates(others),
        same_labelers=sum(same) / len(same) if same else None,
        overlap=sum(min(views[0][who] / views[0].total(), views[1][who] / views[1].total()) for who in views[0])
        if same
        else None,
    )


def _mean_rates(some: Sequence[Interpolated]) -> tuple[float, float] | None:
    if not some:
        return None
    low, high = np.exp(np.log([one.between for one in some]).mean(axis=0)).tolist()
    return low, high


def _rows(paired: Sequence[_Paired], resamples: int, seed: int) -> Iterator[ComparisonRow]:
    """Resamples are the same for all rows, however they are split."""
    differences = np.stack([one.first - one.second for one in paired], axis=1)
    photographs, pairs, outcomes = differences.shape
    flat = differences.reshape(photographs, pairs * outcomes)
    p_values = sign_flip(flat, resamples, seed).reshape(pairs, outcomes)
    counts = np.stack([one.present for one in paired], axis=1)
    sums = resampled(np.concatenate([flat, counts], axis=1), resamples, seed)
    for k, one in enumerate(paired):
        n = one.common.photographs
        for which, outcome in enumerate(OUTCOMES):
            own = differences[:, k, which]
            yield ComparisonRow(
                common=one.common,
                outcome=outcome,
                mean_first=float(one.first[:, which].sum()) / n if n else None,
                mean_second=float(one.second[:, which].sum()) / n if n else None,
                difference=ratio(sums[:, k * outcomes + which], sums[:, pairs * outcomes + k], n) if n else UNDEFINED,
                more_first=int((own > 0).sum()),
                more_second=int((own < 0).sum()),
                p=float(p_values[k, which]) if n else None,
                p_holm=None,
            )
