"""What the README, the data sheet and the Croissant file say of a corpus: counted from the rows, nothing else."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

from miscomp.corpus.entries import Judgement
from miscomp.corpus.exports.coco import CATEGORIES, UNCATEGORISED
from miscomp.corpus.exports.snapshot import Snapshot
from miscomp.corpus.selection import Verdict
from miscomp.taxonomy import Origin

NO_SOURCE, NO_LICENCE = "not stated", "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """A source of photographs under one licence."""

    source: str
    licence: str
    pictures: int
    removed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """A codec at a setting."""

    model: str
    codec: str
    setting: str
    target_bpp: float | None
    bpp: float | None
    """Mean of the reconstructions' real bpp; none where none is known."""
    measured: int
    """How many reconstructions `bpp` is the mean of."""
    reconstructions: int
    viewed: int
    """Reconstructions that someone has looked at."""
    boxes: int
    stand_in: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Counts of everything that is told."""

    pictures: int
    removed: int
    rejected: int
    screening: tuple[tuple[str, int], ...]
    screeners: int
    splits: tuple[tuple[str, int], ...]
    sources: tuple[SourceFacts, ...]
    models: tuple[ModelFacts, ...]
    reconstructions: int
    viewed: int
    boxed: int
    """Reconstructions with at least one box by a person."""
    multi: int
    boxes: int
    origins: tuple[tuple[str, int], ...]
    categories: tuple[tuple[str, int], ...]
    """By the main category."""
    labelers: int
    """People who drew or looked; simulated ones are counted too."""
    simulated: bool
    agreement_pairs: int
    reviewers: int
    reviewed: int
    """Boxes that somebody else than their labeler has looked at again."""
    reviews: tuple[tuple[str, int], ...]
    """Second looks by what they came to; a box has one of each reviewer."""
    once: int
    """Reconstructions that one labeler has looked at."""
    several: int
    """Reconstructions that more than one labeler has looked at."""
    first: str
    newest: str

    @property
    def screened(self) -> bool:
        """Whether any screener has decided anything."""
        return any(name != Verdict.UNSCREENED for name, _ in self.screening)

    @property
    def stand_ins(self) -> tuple[ModelFacts, ...]:
        """Models that are not what they stand for."""
        return tuple(one for one in self.models if one.stand_in)


def facts_of(snapshot: Snapshot) -> Facts:
    """Count."""
    by_people = [one for one in snapshot.annotations if one.origin not in (Origin.DETECTOR, Origin.TRUTH)]
    viewers: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for view in snapshot.views:
        viewers[view.image_sha1, view.model].add(view.labeler)
    categories = Counter(one.categories[0].value if one.categories else UNCATEGORISED for one in snapshot.annotations)
    times = [one.time for one in snapshot.annotations if one.time]
    judged = Counter(one.judgement for one in snapshot.reviews)
    return Facts(
        pictures=len(snapshot.sources),
        removed=len(snapshot.removed),
        rejected=snapshot.rejected,
        screening=tuple(snapshot.screening.items()),
        screeners=snapshot.config.screening.screeners,
        splits=tuple(sorted(Counter(one.split or "not stated" for one in snapshot.sources).items())),
        sources=_sources(snapshot),
        models=_models(snapshot, set(viewers)),
        reconstructions=len(snapshot.images),
        viewed=len(viewers),
        boxed=len({(one.image_sha1, one.model) for one in by_people}),
        multi=sum(one.multi for one in snapshot.images),
        boxes=len(snapshot.annotations),
        origins=tuple(sorted(Counter(one.origin for one in snapshot.annotations).items())),
        categories=tuple((name, categories[name]) for name in CATEGORIES),
        labelers=len({one.labeler for one in by_people} | {one.labeler for one in snapshot.views}),
        simulated=any(one.origin == Origin.SIMULATED for one in snapshot.annotations),
        agreement_pairs=snapshot.agreement_pairs,
        reviewers=len({one.reviewer for one in snapshot.reviews}),
        reviewed=len({(one.image_sha1, one.model, one.labeler, one.id) for one in snapshot.reviews}),
        reviews=tuple((one.value, judged[one.value]) for one in Judgement),
        once=sum(len(who) == 1 for who in viewers.values()),
        several=sum(len(who) > 1 for who in viewers.values()),
        first=min(times, default=""),
        newest=snapshot.newest,
    )


def _sources(snapshot: Snapshot) -> tuple[SourceFacts, ...]:
    pictures = Counter((one.source or NO_SOURCE, one.licence or NO_LICENCE) for one in snapshot.sources)
    gone = Counter((one.source or NO_SOURCE, one.licence or NO_LICENCE) for one in snapshot.sources if one.removed)
    return tuple(
        SourceFacts(source=source, licence=licence, pictures=number, removed=gone[source, licence])
        for (source, licence), number in sorted(pictures.items())
    )


def _models(snapshot: Snapshot, viewed: set[tuple[str, str]]) -> tuple[ModelFacts, ...]:
    reconstructions = Counter(one.model for one in snapshot.images)
    looked = Counter(model for _, model in viewed)
    boxes = Counter(one.model for one in snapshot.annotations)
    rates: defaultdict[str, list[float]] = defaultdict(list)
    for one in snapshot.images:
        if one.bpp is not None:
            rates[one.model].append(one.bpp)
    return tuple(
        ModelFacts(
            model=one.model,
            codec=one.codec_name,
            setting=one.setting,
            target_bpp=one.target_bpp,
            bpp=math.fsum(rates[one.model]) / len(rates[one.model]) if rates[one.model] else None,
            measured=len(rates[one.model]),
            reconstructions=reconstructions[one.model],
            viewed=looked[one.model],
            boxes=boxes[one.model],
            stand_in=one.stand_in,
        )
        for one in snapshot.entries
    )
