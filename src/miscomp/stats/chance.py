"""Agreement beyond chance by other rules than alpha's: Gwet's AC1, Fleiss' kappa, and Cohen's of each two labelers.

Gwet, "Computing inter-rater reliability and its variance in the presence of high agreement", 2008; Fleiss, "Measuring
nominal scale agreement among many raters", 1971; Cohen, "A coefficient of agreement for nominal scales", 1960.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from miscomp.benchmark.bootstrap import LEVEL, Figure, Floats
from miscomp.corpus.screening.agreement import kappas
from miscomp.stats.ratings import MISSING, Ratings
from miscomp.stats.resample import Measure, Method, Sampling, Tally, classes, estimates, tally

_UNLIKE = 1 - np.eye(2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairKappa:
    """Cohen's kappa of two labelers, on the units that both have seen."""

    first: str
    second: str
    images: int
    units: int
    kappa: Figure


def ac1_estimate(
    ratings: Ratings, *, resamples: int, seed: int, method: Method = "percentile", level: float = LEVEL
) -> Figure:
    """Gwet's AC1, which stays high where one answer is rare, as alpha and the kappas do not.

    Undefined only without units; where all gave one and the same answer it is 1. Units seen by one labeler are left
    out, as in the other measures; Gwet lets them count in how frequent an answer is.
    """
    found = tally(ratings)
    sampling = Sampling(resamples=resamples, seed=seed, method=method, level=level)
    return estimates(found.classes, [_ac1(found)], sampling)[0]


def fleiss_estimate(
    ratings: Ratings, *, resamples: int, seed: int, method: Method = "percentile", level: float = LEVEL
) -> Figure:
    """Fleiss' kappa; undefined where only one answer occurs. Units seen by one labeler or by none are left out.

    Raises `ValueError` with the numbers found where units were seen by different numbers of labelers.
    """
    found = tally(ratings)
    if len(numbers := sorted({*found.seen.tolist()})) > 1:
        raise ValueError(
            f"Fleiss' kappa needs the same number of labelers at every unit, got units seen by"
            f" {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}; Krippendorff's alpha allows that"
        )
    sampling = Sampling(resamples=resamples, seed=seed, method=method, level=level)
    return estimates(found.classes, [_fleiss(found)], sampling)[0]


def cohen_estimates(
    ratings: Ratings, *, resamples: int, seed: int, method: Method = "percentile", level: float = LEVEL
) -> tuple[PairKappa, ...]:
    """Cohen's kappa of each two labelers, in their order; undefined where both gave one and the same answer only.

    A pair without a unit in common is in it with none. Each pair draws among its own images.
    """
    sampling = Sampling(resamples=resamples, seed=seed, method=method, level=level)
    pairs = combinations(range(len(ratings.labelers)), 2)
    return tuple(_cohen(ratings, first, second, sampling) for first, second in pairs)


def _cohen(ratings: Ratings, first: int, second: int, sampling: Sampling) -> PairKappa:
    one, other = ratings.values[:, first], ratings.values[:, second]
    both = (one != MISSING) & (other != MISSING)
    kind = 2 * one[both].astype(np.int64) + other[both]
    found = classes(kind, ratings.image[both], kinds=4)

    def kappa(counts: Floats) -> Floats:
        return kappas(counts.reshape(-1, 2, 2), _UNLIKE)

    return PairKappa(
        first=ratings.labelers[first],
        second=ratings.labelers[second],
        images=found.count,
        units=len(kind),
        kappa=estimates(found, [kappa], sampling)[0],
    )


def _ac1(found: Tally) -> Measure:
    unlike = _unlike(found)
    share = found.ones / found.seen

    def ac1(counts: Floats) -> Floats:
        units = counts.sum(axis=1)
        safe = np.where(units > 0, units, np.nan)
        yes = counts @ share / safe
        # Not (agreed - chance) / (1 - chance): so perfect agreement is 1 without rounding.
        return np.asarray(1 - (counts @ unlike) / safe / (1 - 2 * yes * (1 - yes)))

    return ac1


def _fleiss(found: Tally) -> Measure:
    unlike = _unlike(found)

    def fleiss(counts: Floats) -> Floats:
        units = counts.sum(axis=1)
        yes, no = counts @ found.ones.astype(np.float64), counts @ (found.seen - found.ones).astype(np.float64)
        chance = 2 * yes * no
        seen = counts @ unlike * (yes + no) ** 2
        return np.asarray(1 - np.divide(seen, chance * units, out=np.full_like(chance, np.nan), where=chance > 0))

    return fleiss


def _unlike(found: Tally) -> Floats:
    """Share of the pairs of labelers that disagree on a unit of each kind."""
    return np.asarray(2 * found.ones * (found.seen - found.ones) / (found.seen * (found.seen - 1)))
