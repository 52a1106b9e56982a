"""Curves of one detector over falling scores, thinned to what a plot can show."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from miscomp.benchmark.matching import Flags, Floats, Verdict
from miscomp.benchmark.tally import Tally

POINTS = 200
"""Most points of a curve."""


def curves_of(tally: Tally) -> dict[str, dict[str, list[float]]]:
    """All three; a curve without labels, or without controls, has no points."""
    return {"precision_recall": precision_recall(tally), "alarms_recall": alarms_recall(tally), "roc": roc(tally)}


def precision_recall(tally: Tally) -> dict[str, list[float]]:
    """Precision over recall, at each score of a hit, as average precision counts them."""
    labels = len(tally.label_score)
    known = (tally.finding_verdict != Verdict.UNLABELLED) & ~tally.on_control
    hit = tally.finding_verdict == Verdict.HIT
    cuts = np.unique(tally.finding_score[hit])[::-1]
    hits, all_known = (_at_least(tally.finding_score[one], cuts) for one in (hit, known))
    keep = _thinned(len(cuts))
    return _lists(score=cuts[keep], recall=(hits / max(labels, 1))[keep], precision=(hits / all_known)[keep])


def alarms_recall(tally: Tally) -> dict[str, list[float]]:
    """Recall over false alarms per megapixel of controls, at each score."""
    labels, megapixels = len(tally.label_score), float(tally.cases.control_megapixels.sum())
    if not labels or not megapixels:
        return _lists(score=np.zeros(0), recall=np.zeros(0), alarms=np.zeros(0))
    hit: Flags = tally.finding_verdict == Verdict.HIT
    cuts = np.unique(tally.finding_score[hit | tally.on_control])[::-1]
    hits = _at_least(tally.finding_score[hit], cuts)
    alarms = _at_least(tally.finding_score[tally.on_control], cuts)
    keep = _thinned(len(cuts))
    return _lists(score=cuts[keep], recall=(hits / labels)[keep], alarms=(alarms / megapixels)[keep])


def roc(tally: Tally) -> dict[str, list[float]]:
    """Share of the cells within labels over share of the cells where nothing lost its meaning, by falling heat."""
    inside, outside = (values.sum(0)[::-1].cumsum() for values in (tally.inside, tally.outside))
    if not inside[-1] or not outside[-1]:
        return _lists(false=np.zeros(0), true=np.zeros(0))
    true, false = (np.concatenate([[0.0], values / values[-1]]) for values in (inside, outside))
    steps = np.concatenate([[True], (np.diff(true) > 0) | (np.diff(false) > 0)])
    return _lists(false=false[steps], true=true[steps])


def _at_least(scores: Floats, cuts: Floats) -> Floats:
    """How many scores reach each cut."""
    counts: npt.NDArray[np.int64] = len(scores) - np.searchsorted(np.sort(scores), cuts, side="left")
    return counts.astype(np.float64)


def _thinned(count: int) -> npt.NDArray[np.int64]:
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, POINTS)).round().astype(np.int64))


def _lists(**columns: Floats) -> dict[str, list[float]]:
    return {name: [round(float(value), 6) for value in values] for name, values in columns.items()}
