"""The worst misses and false alarms of a detector, cut out of both pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image

from miscomp.benchmark.matching import Verdict
from miscomp.benchmark.scores import Scores
from miscomp.benchmark.summary import Benchmark
from miscomp.errors import MiscompError
from miscomp.images import read
from miscomp.pairset import LabelledPair
from miscomp.records import Box
from miscomp.report.pictures import CropWindow, PictureStore, crop, crop_window

MOST = 12
"""Pictures of each sort."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A box to be shown, and what to say of it."""

    pair: int
    """Place in the cases' pairs."""
    box: Box
    head: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A place as it is in the page: numbers of its pictures in the store, or a reason why there are none."""

    place: Place
    filename: str
    model: str
    view: CropWindow
    original: int | None = None
    reconstruction: int | None = None
    reason: str = ""


def misses(benchmark: Benchmark, scores: Scores) -> list[Place]:
    """Labels that no finding of at least the threshold hits, the plainest first: by strength, then by size.

    At most one of each photograph, as long as there are others.
    """
    tally, cases = benchmark.tallies[scores.name], benchmark.cases
    labels = [(place, label) for place, pair in enumerate(cases.pairs) for label in pair.labels]
    threshold = math.inf if scores.threshold is None else scores.threshold
    missed = []
    for (place, label), best in zip(labels, tally.label_score, strict=True):
        if best >= threshold:
            continue
        plant = cases.pairs[place].plants.get(label.id)
        strength = plant.strength if plant else 0.0
        kind = f"{plant.kind}, strength {strength:g}" if plant else label.category or "no category"
        words = f"its best score: {best:.3f}" if np.isfinite(best) else "no finding at all"
        one = Place(pair=place, box=label.box, head=kind, words="; ".join(filter(None, (words, label.note))))
        missed.append((-strength, -label.box.area, place, one))
    missed.sort(key=lambda row: row[:3])
    return _varied([row[3] for row in missed], lambda one: int(cases.pair_source[one.pair]))


def false_alarms(benchmark: Benchmark, scores: Scores) -> list[Place]:
    """Findings that are known to be false, the best-scored first; at most one of each photograph, as above."""
    tally, cases = benchmark.tallies[scores.name], benchmark.cases
    false = np.nonzero(tally.finding_verdict == Verdict.FALSE)[0]
    order = false[np.argsort(-tally.finding_score[false], kind="stable")]
    places = (_alarm(benchmark, scores, int(k)) for k in order[: 50 * MOST])
    return _varied(places, lambda one: int(cases.pair_source[one.pair]))


def _alarm(benchmark: Benchmark, scores: Scores, finding: int) -> Place:
    tally = benchmark.tallies[scores.name]
    place = int(tally.finding_pair[finding])
    one = benchmark.seen[scores.name][place].found[int(tally.finding_place[finding])]
    pair = benchmark.cases.pairs[place]
    why = "in a control" if benchmark.cases.control[place] else _why(pair, one.box)
    said = ", ".join(filter(None, (one.source, one.category, one.note)))
    return Place(pair=place, box=one.box, head=f"score {one.score:.3f}, {why}", words=said)


def _why(pair: LabelledPair, box: Box) -> str:
    for negative in pair.negatives:
        if box.intersection(negative.box):
            plant = pair.plants.get(negative.id)
            return f"on a hard negative: {plant.kind if plant else 'of no known kind'}"
    if any(box.intersection(label.box) for label in pair.labels):
        return "on a label that was hit before, or far larger than it"
    return "outside the labels"


One = TypeVar("One")


def _varied(places: Iterable[One], source: Callable[[One], int]) -> list[One]:
    """The first `MOST`, those that are first of their source before the others."""
    first: dict[int, One] = {}
    others = []
    for one in places:
        if source(one) in first:
            others.append(one)
        else:
            first[source(one)] = one
    return [*first.values(), *others][:MOST]


def cut(benchmark: Benchmark, places: Sequence[Place], store: PictureStore) -> list[Shown]:
    """Crops of each place, in the order given; each picture is read once."""
    found: dict[int, Shown] = {}
    for pair, numbers in _by_pair(places):
        row = benchmark.cases.pairs[pair]
        pictures, reason = _pictures(row)
        for number in numbers:
            view = crop_window(places[number].box, row.row.width, row.row.height)
            original, reconstruction = (
                (store.add(crop(picture, view)) for picture in pictures) if pictures else (None,) * 2
            )
            found[number] = Shown(
                place=places[number],
                filename=row.row.filename,
                model=row.row.model,
                view=view,
                original=original,
                reconstruction=reconstruction,
                reason=reason,
            )
    return [found[number] for number in sorted(found)]


def _by_pair(places: Sequence[Place]) -> Iterator[tuple[int, list[int]]]:
    for pair in dict.fromkeys(one.pair for one in places):
        yield pair, [number for number, one in enumerate(places) if one.pair == pair]


def _pictures(pair: LabelledPair) -> tuple[list[Image.Image], str]:
    """Original and reconstruction; a reason instead where they were taken away since they were looked at."""
    try:
        return [Image.fromarray(read(path).pixels) for path in (pair.original, pair.reconstruction)], ""
    except MiscompError as error:
        return [], str(error)
