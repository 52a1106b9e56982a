"""What second looks come to: boxes confirmed and rejected, by labeler, and how well reviewers agree.

A box that somebody confirmed and nobody rejected is confirmed, the other way round rejected; one that was both is
disputed; of one that all were unsure about nothing is known.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
from sqlalchemy import Connection

from miscomp.benchmark.bootstrap import UNDEFINED, Figure, draws, figure
from miscomp.corpus.entries import Judgement, LabelEvent, SecondLook
from miscomp.corpus.labels import current_labels
from miscomp.corpus.remarks import current_looks
from miscomp.corpus.screening.agreement import kappas
from miscomp.errors import InputError
from miscomp.report.summary import Share, wilson
from miscomp.taxonomy import Category, split_categories

RESAMPLES = 2000


class Verdict(StrEnum):
    """What all reviewers' looks at a box come to."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    DISPUTED = "disputed"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedLabeler:
    """A labeler's boxes, as reviewers see them."""

    labeler: str
    boxes: int
    """That stand, training left out."""
    looked_at: int
    verdicts: Mapping[str, int]
    """Of those looked at."""
    confirmed: Share
    """Of those looked at; the interval takes boxes for independent, and is too narrow where pairs hold several."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewerAgreement:
    """Two reviewers on the boxes that both looked at. Cohen's kappas, with intervals by drawing photographs.

    A figure is undefined where chance alone would leave no disagreement, and has no interval where draws show none.
    """

    first: str
    second: str
    boxes: int
    photographs: int
    judgement: Figure
    """Confirm, reject, unsure."""
    category: Figure
    """The main category or none, on boxes that neither rejected."""
    symbol: Figure
    """On the same boxes."""
    categorised: int
    """How many these are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookSummary:
    """All second looks at boxes that stand."""

    boxes: int
    looked_at: int
    verdicts: Mapping[str, int]
    reviewers: Mapping[str, int]
    """Boxes looked at, by reviewer."""
    labelers: tuple[ReviewedLabeler, ...]
    """By name; detectors and imported labelers among them."""
    agreement: tuple[ReviewerAgreement, ...]


def look_summary(connection: Connection, *, seed: int = 0) -> LookSummary:
    """Verdicts and agreement; what was said of a box before it was changed does not count.

    Raises `InputError` for a look that is none.
    """
    boxes = {one.uuid: one for one in current_labels(connection)}
    looks: defaultdict[str, dict[str, SecondLook]] = defaultdict(dict)
    for (event, reviewer), one in current_looks(connection).items():
        if event in boxes:
            looks[event][reviewer] = _checked(one)
    found = {event: verdict_of([one.judgement for one in given.values()]) for event, given in looks.items()}
    reviewers = Counter(name for given in looks.values() for name in given)
    return LookSummary(
        boxes=len(boxes),
        looked_at=len(found),
        verdicts=_counts(list(found.values())),
        reviewers=dict(sorted(reviewers.items())),
        labelers=_labelers(boxes, found),
        agreement=tuple(
            _agreement(pair, [(boxes[event], given) for event, given in looks.items()], seed=seed)
            for pair in combinations(sorted(reviewers), 2)
        ),
    )


def _checked(look: SecondLook) -> SecondLook:
    """Raise `InputError` for a word that was written into the database by hand and is none."""
    try:
        Judgement(look.judgement)
        split_categories(look.category)
    except ValueError as error:
        raise InputError("second_look", f"the database holds a look that is none ({error}); correct it") from error
    return look


def verdict_of(judgements: Sequence[str]) -> Verdict:
    """What one look or more come to."""
    confirmed, rejected = Judgement.CONFIRM in judgements, Judgement.REJECT in judgements
    if confirmed and rejected:
        return Verdict.DISPUTED
    return Verdict.CONFIRMED if confirmed else Verdict.REJECTED if rejected else Verdict.UNSURE


def _counts(verdicts: Sequence[Verdict]) -> dict[str, int]:
    return {one.value: verdicts.count(one) for one in Verdict}


def _labelers(boxes: Mapping[str, LabelEvent], found: Mapping[str, Verdict]) -> tuple[ReviewedLabeler, ...]:
    drawn = Counter(one.labeler for one in boxes.values())
    said: defaultdict[str, list[Verdict]] = defaultdict(list)
    for event, verdict in found.items():
        said[boxes[event].labeler].append(verdict)
    return tuple(
        ReviewedLabeler(
            labeler=name,
            boxes=number,
            looked_at=len(said[name]),
            verdicts=_counts(said[name]),
            confirmed=wilson(said[name].count(Verdict.CONFIRMED), len(said[name])),
        )
        for name, number in sorted(drawn.items())
    )


def _agreement(
    pair: tuple[str, str], looked: Sequence[tuple[LabelEvent, Mapping[str, SecondLook]]], *, seed: int
) -> ReviewerAgreement:
    first, second = pair
    both = [(box.image_sha1, given[first], given[second]) for box, given in looked if {*pair} <= {*given}]
    kept = [one for one in both if Judgement.REJECT not in (one[1].judgement, one[2].judgement)]
    categories = ("", *(one.value for one in Category))
    return ReviewerAgreement(
        first=first,
        second=second,
        boxes=len(both),
        photographs=len({sha1 for sha1, _, _ in both}),
        judgement=_kappa([(sha1, a.judgement, b.judgement) for sha1, a, b in both], tuple(Judgement), seed),
        category=_kappa([(sha1, _main(a), _main(b)) for sha1, a, b in kept], categories, seed),
        symbol=_kappa([(sha1, str(a.symbol), str(b.symbol)) for sha1, a, b in kept], ("False", "True"), seed),
        categorised=len(kept),
    )


def _main(look: SecondLook) -> str:
    return look.category.split("+")[0]


def _kappa(answers: Sequence[tuple[str, str, str]], allowed: Sequence[str], seed: int) -> Figure:
    """Cohen's kappa of two people's answers, each given with its photograph; all of a photograph are drawn together."""
    if not answers:
        return UNDEFINED
    place = {sha1: number for number, sha1 in enumerate(sorted({sha1 for sha1, _, _ in answers}))}
    size = len(allowed)
    tables = np.zeros((len(place), size, size))
    for sha1, one, other in answers:
        tables[place[sha1], allowed.index(one), allowed.index(other)] += 1
    drawn = draws(len(place), RESAMPLES, np.random.default_rng(seed)) @ tables.reshape(len(place), -1)
    found = figure(kappas(drawn.reshape(-1, size, size), 1 - np.eye(size)), len(place))
    # Draws that are all alike say nothing about other photographs.
    same = found.interval is not None and found.interval[0] == found.interval[1]
    return Figure(value=found.value) if same else found
