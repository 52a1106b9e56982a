"""The figures themselves, each as a function of how often every source counts: (draws, sources) -> (draws,).

`draws` are the counts of `bootstrap.draws`; the first row is the plain figure.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from miscomp.benchmark.matching import Flags, Floats, Ints, Verdict
from miscomp.benchmark.tally import Tally

TARGET_RECALL = 0.8
_SLACK = 1e-9


def share(parts: Floats, wholes: Floats) -> Floats:
    """Quotients; NaN where there is no whole."""
    out: Floats = np.full(np.broadcast(parts, wholes).shape, np.nan)
    return np.divide(parts, wholes, out=out, where=wholes > 0)


def ratio(one: Floats, other: Floats) -> Floats:
    """Quotients; infinite over zero, NaN for zero over zero."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(one / other, dtype=np.float64)


def average_precision(
    scores: Floats, sources: Ints, draws: Floats, *, hit: Flags, false: Flags, labels: Floats
) -> Floats:
    """Sum over falling scores of precision times the recall gained (no interpolation); NaN without labels.

    `hit` and `false` say which findings count as which, `labels` how many labels each source has. Findings of equal
    score enter together, so their order is of no matter. A label that is never hit adds nothing.
    """
    hits_at = np.unique(-scores[hit])
    totals = draws @ labels
    if not len(hits_at):
        return np.where(totals > 0, 0.0, np.nan)
    # Precision matters only where recall grows: findings are counted between one score with a hit and the next.
    counted = (hit | false) & (-scores <= hits_at[-1])
    gained = _counts(np.searchsorted(hits_at, -scores[hit]), sources[hit], len(hits_at), draws)
    entered = _counts(np.searchsorted(hits_at, -scores[counted]), sources[counted], len(hits_at), draws)
    true, known = gained.cumsum(0), entered.cumsum(0)
    area = (gained * true / np.maximum(known, 1)).sum(0)
    return share(area, totals)


def _counts(places: Ints, sources: Ints, length: int, draws: Floats) -> Floats:
    """How many findings come at each place in each draw, (length, draws)."""
    table = csr_array((np.ones(len(places)), (places, sources)), shape=(length, draws.shape[1]))
    return np.asarray(table @ draws.T, dtype=np.float64)


def overall_precision(tally: Tally, draws: Floats, *, strict: bool = False) -> Floats:
    """Average precision without controls; with `strict`, what lies outside the labels is false at any rate."""
    off = ~tally.on_control
    verdict = tally.finding_verdict[off]
    false = verdict != Verdict.HIT if strict else verdict == Verdict.FALSE
    labels = tally.cases.per_source(tally.cases.label_pair)
    scores, sources = tally.finding_score[off], tally.finding_source[off]
    return average_precision(scores, sources, draws, hit=verdict == Verdict.HIT, false=false, labels=labels)


def recall_at(tally: Tally, draws: Floats, count: int) -> Floats:
    """Share of labels hit by the `count` best findings of each pair."""
    return recall_of(tally, draws, tally.label_rank < count)


def recall_of(tally: Tally, draws: Floats, hit: Flags, group: Flags | None = None) -> Floats:
    """Share of labels that `hit` marks, among those of `group`."""
    member = np.ones(len(hit), dtype=np.bool_) if group is None else group
    pairs = tally.cases.label_pair
    found = draws @ tally.cases.per_source(pairs[hit & member])
    return share(found, draws @ tally.cases.per_source(pairs[member]))


def thresholds(tally: Tally, draws: Floats, recall: float = TARGET_RECALL) -> Floats:
    """The score from which findings reach that share of the labels, else the greatest share that any score reaches.

    NaN where no label is hit at all.
    """
    order = np.argsort(-tally.label_score, kind="stable")
    order = order[np.isfinite(tally.label_score[order])]
    if not len(order):
        return np.full(len(draws), np.nan)
    found = draws.T[tally.cases.label_source[order]].cumsum(0)
    wanted = np.minimum(recall * (draws @ tally.cases.per_source(tally.cases.label_pair)), found[-1])
    first = np.argmax(found >= wanted - _SLACK, axis=0)
    return np.where(found[-1] > 0, tally.label_score[order][first], np.nan)


def false_alarms(tally: Tally, draws: Floats, scores: Floats, group: Flags | None = None) -> Floats:
    """Findings of at least these scores (one for each draw) in controls, or in a `group` of the pairs, per megapixel.

    NaN where there are no controls, or where the score is.
    """
    chosen = tally.cases.control == 1 if group is None else group
    sizes = np.array([pair.row.width * pair.row.height / 1e6 for pair in tally.cases.pairs])
    megapixels = draws @ tally.cases.per_source(np.arange(len(chosen)), sizes * chosen)
    keep = chosen[tally.finding_pair]
    order = np.argsort(-tally.finding_score[keep], kind="stable")
    ordered = tally.finding_score[keep][order]
    found = np.zeros((len(order) + 1, len(draws)))
    np.cumsum(draws.T[tally.finding_source[keep][order]], axis=0, out=found[1:])
    last = np.searchsorted(-ordered, -np.nan_to_num(scores, nan=np.inf), side="right")
    counted = found[last, np.arange(len(draws))]
    return np.where(np.isnan(scores), np.nan, share(counted, megapixels))


def roc_area(tally: Tally, draws: Floats) -> Floats:
    """Chance that a cell within a label is hotter than one where nothing lost its meaning; equal heat counts half."""
    inside, outside = draws @ tally.inside, draws @ tally.outside
    cooler = outside.cumsum(1) - outside / 2
    return share((inside * cooler).sum(1), inside.sum(1) * outside.sum(1))


def negatives_hit(tally: Tally, draws: Floats, threshold: float, group: Flags) -> Floats:
    """Share of a group of hard negatives that findings of at least the threshold hit."""
    pairs = tally.cases.negative_pair
    hit = group & (tally.negative_score >= threshold)
    return share(draws @ tally.cases.per_source(pairs[hit]), draws @ tally.cases.per_source(pairs[group]))


def recall_by_score(tally: Tally, scores: npt.NDArray[np.float64]) -> Floats:
    """Recall of all labels at each of some scores."""
    found = np.sort(tally.label_score)
    return share(
        np.asarray(len(found) - np.searchsorted(found, scores, side="left"), dtype=np.float64),
        np.full(len(scores), float(len(found))),
    )
