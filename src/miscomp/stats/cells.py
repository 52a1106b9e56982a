"""How the labelers' answers about a unit fall: all no, all yes, a majority yes, a minority yes.

Terms of SCLIC (ACM MM 2025), appendix 2.4.1 and Table 4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from miscomp.benchmark.bootstrap import LEVEL, Figure, Floats
from miscomp.stats.ratings import Ratings
from miscomp.stats.resample import Measure, Sampling, estimates, tally


@dataclass(frozen=True, slots=True, kw_only=True)
class CellShare:
    """A share of the units, in 0 to 1."""

    count: int
    n: int
    """Units: images times tiles where all saw all."""
    value: float | None
    """None: no units."""
    wald: tuple[float, float] | None
    """As published: takes the units for independent, which the tiles of an image are not, and so is mostly too narrow.
    May pass 0 and 1. None for a share of 0 or 1, where it would have no width."""
    cluster: Figure
    """With an interval by drawing images, percentile; the one to rely on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """The breakdown; `c_neg`, `c_pos`, `p_pos` and `p_neg` make up all units."""

    images: int
    """Those with a unit that counts."""
    units: int
    """Seen by at least two; each is judged by those who have seen it."""
    left_out: int
    """Units seen by one labeler or by none."""
    ties: int
    """Units that exactly half annotated, counted under `p_neg`: no majority. Cannot be where three have seen all."""
    c_neg: CellShare
    """None annotated."""
    c_pos: CellShare
    """All annotated."""
    p_pos: CellShare
    """More than half annotated, but not all."""
    p_neg: CellShare
    """Some annotated, but not more than half."""
    c_total: CellShare
    """`c_neg` and `c_pos` together."""


def wald(count: int, n: int, *, level: float = LEVEL) -> tuple[float, float] | None:
    """The interval of a share from the normal distribution, not clipped; None for a share of 0 or 1, or of none."""
    if not 0 <= count <= n:
        raise ValueError(f"a share needs 0 <= count <= n, got {count} of {n}")
    if count in (0, n):
        return None
    share = count / n
    half = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(share * (1 - share) / n)
    return share - half, share + half


def cells(ratings: Ratings, *, resamples: int, seed: int, level: float = LEVEL) -> Cells:
    """Count the units by their answers, with both intervals."""
    found = tally(ratings)
    none, every, most = found.ones == 0, found.ones == found.seen, 2 * found.ones > found.seen
    kinds = {
        "c_neg": none,
        "c_pos": every,
        "p_pos": most & ~every,
        "p_neg": ~most & ~none,
        "c_total": none | every,
    }
    sampling = Sampling(resamples=resamples, seed=seed, level=level)
    figures = estimates(found.classes, [_share(one) for one in kinds.values()], sampling)
    total = found.classes.total
    n = int(total.sum())
    shares = {
        name: CellShare(
            count=(count := int(total @ chosen)),
            n=n,
            value=figure.value,
            wald=wald(count, n, level=level),
            cluster=figure,
        )
        for (name, chosen), figure in zip(kinds.items(), figures, strict=True)
    }
    return Cells(
        images=found.classes.count,
        units=n,
        left_out=found.left_out,
        ties=int(total @ (2 * found.ones == found.seen)),
        **shares,
    )


def _share(chosen: npt.NDArray[np.bool_]) -> Measure:
    def share(counts: Floats) -> Floats:
        units = counts.sum(axis=1)
        part = counts @ chosen.astype(np.float64)
        return np.asarray(np.divide(part, units, out=np.full_like(units, np.nan), where=units > 0))

    return share
