"""Krippendorff's alpha of the labelers' yes or no about units, with its interval over images.

Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, section C (nominal, any number of observers, missing
data).
"""

from __future__ import annotations

import numpy as np

from miscomp.benchmark.bootstrap import LEVEL, Figure, Floats
from miscomp.stats.ratings import Ratings
from miscomp.stats.resample import Measure, Method, Sampling, Tally, estimates, tally


def krippendorff_alpha(ratings: Ratings) -> float:
    """Alpha, at most 1; 0 is chance, below is systematic disagreement. Each unit weighs as many as have seen it.

    Units seen by one labeler or by none are left out, as everywhere. NaN where nothing is left, or where only one
    answer occurs: then chance alone would leave no disagreement.
    """
    found = tally(ratings)
    return float(alpha_measure(found)(found.classes.total[None])[0])


def alpha_estimate(
    ratings: Ratings, *, resamples: int, seed: int, method: Method = "percentile", level: float = LEVEL
) -> Figure:
    """Alpha with an interval by drawing images; what has no value or no interval: `resample.estimates`."""
    found = tally(ratings)
    sampling = Sampling(resamples=resamples, seed=seed, method=method, level=level)
    return estimates(found.classes, [alpha_measure(found)], sampling)[0]


def alpha_measure(found: Tally) -> Measure:
    """Alpha from the counts of the kinds of units."""
    ones, zeros = found.ones.astype(np.float64), (found.seen - found.ones).astype(np.float64)
    # Half the unlike coincidences of a unit: of its ordered pairs of answers, each counted 1 / (seen - 1).
    unlike = ones * zeros / (found.seen - 1)

    def alpha(counts: Floats) -> Floats:
        yes, no = counts @ ones, counts @ zeros
        chance = yes * no
        seen = (yes + no - 1) * (counts @ unlike)
        return np.asarray(1 - np.divide(seen, chance, out=np.full_like(chance, np.nan), where=chance > 0))

    return alpha
