"""Error rates of a calibration: shares with intervals, ROC curves and the area under them.

Windows of one photograph are alike, so intervals take the photographs for the sample, not the windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv

from miscomp.benchmark.bootstrap import LEVEL, draws, figure

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

RESAMPLES = 1000


def share(hits: Sequence[bool], photographs: Sequence[int]) -> dict[str, Any]:
    """How many of the windows are hits, and a 95 % interval of their share.

    The interval is Clopper and Pearson's for as many independent trials as there are photographs, with the windows'
    share of them as successes (which need not be whole): as wide as if all windows of a photograph went alike, and
    never of width 0.
    """
    total, sources = len(hits), len(set(photographs))
    if not total:
        return {"count": 0, "windows": 0, "photographs": 0, "share": None, "interval": None}
    value = sum(hits) / total
    return {
        "count": int(sum(hits)),
        "windows": total,
        "photographs": sources,
        "share": value,
        "interval": list(clopper_pearson(value * sources, sources)),
    }


def clopper_pearson(successes: float, trials: int) -> tuple[float, float]:
    """95 % interval of a probability."""
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"0 <= successes <= trials and a trial are needed, got {successes} of {trials}")
    tail = (1 - LEVEL) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def auc(positive: Floats, negative: Floats, sources: tuple[Whole, Whole], *, seed: int = 0) -> dict[str, Any]:
    """Area under the ROC curve, ties counted as half, with a bootstrap interval over photographs.

    `sources` are the photographs of the positive and of the negative values. An interval of width 0 says that no
    photograph holds an error, not that there can be none. None where either kind is missing.
    """
    if not len(positive) or not len(negative):
        return {"value": None, "interval": None}
    names = np.unique(np.concatenate(sources))
    wins = np.zeros((len(names), len(names)))
    for row, name in enumerate(names):
        mine = positive[sources[0] == name]
        for column, other in enumerate(names):
            theirs = negative[sources[1] == other]
            wins[row, column] = _wins(mine, theirs)
    of_positive = np.array([(sources[0] == name).sum() for name in names])
    of_negative = np.array([(sources[1] == name).sum() for name in names])
    counts = draws(len(names), RESAMPLES, np.random.default_rng(seed))
    pairs = (counts @ of_positive) * (counts @ of_negative)
    values = np.full(len(counts), np.nan)
    np.divide(np.einsum("ki,ij,kj->k", counts, wins, counts), pairs, out=values, where=pairs > 0)
    found = figure(values, len(names))
    return {"value": found.value, "interval": None if found.interval is None else list(found.interval)}


def roc(positive: Floats, negative: Floats) -> list[list[float]]:
    """Rows of threshold, share of the negative and share of the positive values that reach it; thresholds fall.

    At most 102 rows: thresholds are rounded to hundredths.
    """
    thresholds = np.unique(np.floor(100 * np.concatenate([positive, negative, [0.0, 1.0]])) / 100)[::-1]
    return [
        [float(t), float((negative >= t).mean()), float((positive >= t).mean())]
        for t in thresholds
        if len(positive) and len(negative)
    ]


def _wins(positive: Floats, negative: Floats) -> float:
    ordered = np.sort(negative)
    below, up_to = (np.searchsorted(ordered, positive, side=side) for side in ("left", "right"))
    return float((below + up_to).sum() / 2)
