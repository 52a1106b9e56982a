"""What the hits are called, and how often a finding of some score is one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.benchmark.matching import Verdict
from miscomp.benchmark.store import Found
from miscomp.benchmark.tally import Tally
from miscomp.taxonomy import Category, split_categories

NONE = "none"
"""Stands for a finding without a category."""

BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Categories:
    """Categories of hits from the threshold on, as far as their labels have one."""

    confusion: Mapping[str, Mapping[str, int]]
    """Main category of the label, then that of the finding or `none`: how many."""
    hits: int
    main: float | None
    """Share in which the two main categories are the same; none without hits."""
    label_names_it: float | None
    """Share in which the finding's main category is among the label's."""
    finding_names_it: float | None
    """Share in which the label's main category is among the finding's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreBin:
    """Findings of which it is known whether they hit, with a score from `low` to below `high` (1 is in the last)."""

    low: float
    high: float
    count: int
    mean_score: float | None
    hits: float | None
    """Share that hits."""


def categories_of(tally: Tally, found: Sequence[Sequence[Found]], threshold: float) -> Categories:
    """Compare the categories of hits of at least the threshold with those of their labels.

    A detector that names no category at all has no shares: it did not try.
    """
    labels = [label for pair in tally.cases.pairs for label in pair.labels]
    both = []
    for k in np.nonzero((tally.finding_verdict == Verdict.HIT) & (tally.finding_score >= threshold))[0]:
        truth = labels[tally.finding_label[k]].categories
        said = split_categories(found[tally.finding_pair[k]][tally.finding_place[k]].category)
        if truth:
            both.append((truth, said))
    names = [category.value for category in Category]
    pairs = Counter((truth[0].value, said[0].value if said else NONE) for truth, said in both)
    confusion = {row: {column: pairs[row, column] for column in (*names, NONE)} for row in names}
    tried = any(said for _, said in both)

    def part(count: int) -> float | None:
        return count / len(both) if tried else None

    return Categories(
        confusion=confusion,
        hits=len(both),
        main=part(sum(truth[:1] == said[:1] for truth, said in both)),
        label_names_it=part(sum(bool(said) and said[0] in truth for truth, said in both)),
        finding_names_it=part(sum(truth[0] in said for truth, said in both)),
    )


def score_bins(tally: Tally) -> tuple[ScoreBin, ...]:
    """Ten bins of score over findings outside the controls that hit or are false."""
    known = (tally.finding_verdict != Verdict.UNLABELLED) & ~tally.on_control
    scores, hit = tally.finding_score[known], tally.finding_verdict[known] == Verdict.HIT
    places = np.minimum((BINS * scores).astype(np.int64), BINS - 1)
    bins = []
    for k in range(BINS):
        here = places == k
        count = int(here.sum())
        bins.append(
            ScoreBin(
                low=k / BINS,
                high=(k + 1) / BINS,
                count=count,
                mean_score=float(scores[here].mean()) if count else None,
                hits=float(hit[here].mean()) if count else None,
            )
        )
    return tuple(bins)
