"""What labelers made of suggestions: numbers to judge how far they were swayed."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Connection

from miscomp.benchmark.matching import box_array, hits
from miscomp.corpus.entries import LabelEvent, Shown
from miscomp.corpus.labels import PEOPLE, counts, current_labels
from miscomp.corpus.schema import LABEL_EVENT, SHOWN, fetch, within
from miscomp.records import Box
from miscomp.stats.intervals import share_cell
from miscomp.stats.tabular import Cell

TAKEN = 0.5
"""A suggestion counts as taken where the labeler's own box has this IoU with it, or more."""

_Seen = tuple[str, str, str, str]
"""Labeler, batch, picture, model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestionUse:
    """One labeler and the suggestions that were on the screen."""

    labeler: str
    pairs: int
    """In which suggestions were shown."""
    shown: int
    """Suggestions, each counted once a pair and batch however often it was shown."""
    taken: int
    """Of these, with a standing box of the labeler's of IoU `TAKEN` or more; drawn before or after, it is not asked."""
    rate: Cell
    """taken / shown, with a 95 % interval that knows that suggestions of one photograph resemble each other."""
    boxes: int
    """That the labeler drew in these pairs and that stand."""
    equal: int
    """Of these boxes, with the very pixels of a suggestion."""
    like: int
    """Of these boxes, with IoU `TAKEN` or more with a suggestion; the equal ones are among them."""


@dataclass(slots=True)
class _Tally:
    pairs: int = 0
    taken: int = 0
    boxes: int = 0
    equal: int = 0
    like: int = 0


def suggestion_use(connection: Connection) -> list[SuggestionUse]:
    """Numbers per labeler, by name; those who were shown none are left out, as is what was shown in training.

    A suggestion counts as it was when it was shown, also if its detector has taken it back since. A rate says how often
    labeler and detector agree, not how often the one followed the other: compare it with pairs without suggestions.
    """
    shown: defaultdict[_Seen, dict[str, None]] = defaultdict(dict)
    for one in fetch(connection, Shown, counts(SHOWN.c.batch)):
        shown[one.labeler, one.batch, one.image_sha1, one.model][one.event] = None
    if not shown:
        return []
    suggested = {one.uuid: one for one in fetch(connection, LabelEvent, LABEL_EVENT.c.origin == "detector")}
    drawn: defaultdict[_Seen, list[LabelEvent]] = defaultdict(list)
    for event in current_labels(connection, within(LABEL_EVENT.c.labeler, sorted({one[0] for one in shown}))):
        if event.origin in PEOPLE:
            drawn[event.labeler, event.batch, event.image_sha1, event.model].append(event)
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    of_picture: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for key, names in shown.items():
        there = [suggested[name] for name in names if name in suggested]
        taken = _count(tallies[key[0]], there, drawn[key])
        both = of_picture[key[0]][key[2]]
        both[0] += taken
        both[1] += len(there)
    return [_use(labeler, tallies[labeler], of_picture[labeler]) for labeler in sorted(tallies)]


def _count(tally: _Tally, suggested: list[LabelEvent], drawn: list[LabelEvent]) -> int:
    """Count one pair; how many suggestions were taken."""
    tally.pairs += 1
    tally.boxes += len(drawn)
    if not suggested or not drawn:
        return 0
    _, iou = hits(_boxes(suggested), _boxes(drawn))
    taken = int((iou >= TAKEN).any(axis=1).sum())
    tally.taken += taken
    tally.like += int((iou >= TAKEN).any(axis=0).sum())
    tally.equal += int((iou == 1).any(axis=0).sum())
    return taken


def _boxes(events: list[LabelEvent]) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return box_array([Box(one.x, one.y, one.w, one.h) for one in events])


def _use(labeler: str, tally: _Tally, of_picture: dict[str, list[int]]) -> SuggestionUse:
    taken, shown = ([one[k] for one in of_picture.values()] for k in (0, 1))
    return SuggestionUse(
        labeler=labeler,
        pairs=tally.pairs,
        shown=sum(shown),
        taken=tally.taken,
        rate=share_cell(taken, shown),
        boxes=tally.boxes,
        equal=tally.equal,
        like=tally.like,
    )
