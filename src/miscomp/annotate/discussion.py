"""What labelers drew on a training pair, side by side, for those who have drawn theirs.

Nothing of it can be seen before one's own pass is done: who knows what others marked looks for that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import ColumnElement, Connection, select

from miscomp.annotate.aliases import ALIAS
from miscomp.annotate.people import Person
from miscomp.annotate.training import finished
from miscomp.benchmark.matching import box_array, hits
from miscomp.corpus.entries import Assignment, BatchItem, BatchKind, LabelEvent, MultiFlag, Role
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import ASSIGNMENT, BATCH, ITEM, LABEL_EVENT, MULTI_FLAG, fetch
from miscomp.records import Box

SAME_PLACE = 0.25
"""Boxes of different labelers with this IoU or more are taken to mean the same; tight boxes reach it easily."""
MOST_BOXES = 2000
"""With more on a pair they are not compared: every two of them would be."""


class NotDone(Exception):
    """Whoever asks has not finished the pair; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What a labeler who finished says of a pair."""

    labeler: str
    boxes: tuple[LabelEvent, ...]
    flag: MultiFlag | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Boxes that mean the same: at most one of each labeler."""

    box: Box
    """The smallest that holds them all."""
    events: tuple[str, ...]
    labelers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Discussion:
    """A training pair as all who finished it see it."""

    alias: str
    batch: str
    drawn: tuple[Drawn, ...]
    """By name."""
    waiting: tuple[str, ...]
    """Who was given the pair and has not finished it."""
    places: tuple[Place, ...]
    """Those that most labelers marked first, then from top to bottom."""
    compared: bool
    """Whether boxes were compared; else every box is a place of its own."""


def discussion_of(connection: Connection, alias: str, person: Person) -> Discussion | None:
    """What all who finished a training pair drew there; none where there is no such pair for this person.

    Supervisors who are not among its labelers may look at any time. Raises `NotDone` for a labeler's own pass that is
    not finished.
    """
    found = fetch(connection, BatchItem, ITEM.c.alias == alias, _of_training()) if ALIAS.fullmatch(alias) else []
    item = next(iter(found), None)
    if item is None:
        return None
    given = [one.labeler for one in fetch(connection, Assignment, ASSIGNMENT.c.batch == item.batch)]
    if person.name not in given and not person.may(Role.SUPERVISOR):
        return None
    done = finished(connection, item)
    if person.name in given and person.name not in done:
        raise NotDone("finish your own pass over this pair first, then you see what everybody marked")
    drawn = tuple(_drawn(connection, item, sorted(done)))
    boxes = [box for one in drawn for box in one.boxes]
    compared = len(boxes) <= MOST_BOXES
    return Discussion(
        alias=alias,
        batch=item.batch,
        drawn=drawn,
        waiting=tuple(sorted({*given} - done)),
        places=tuple(same_places(boxes) if compared else [_place([one]) for one in boxes]),
        compared=compared,
    )


def _of_training() -> ColumnElement[bool]:
    return ITEM.c.batch.in_(select(BATCH.c.batch).where(BATCH.c.kind == BatchKind.TRAINING.value))


def _drawn(connection: Connection, item: BatchItem, labelers: Sequence[str]) -> Iterable[Drawn]:
    event, flag = LABEL_EVENT.c, MULTI_FLAG.c
    here = (event.batch == item.batch, event.image_sha1 == item.image_sha1, event.model == item.model)
    boxes = current_labels(connection, *here, training=True)
    said = (flag.batch == item.batch, flag.image_sha1 == item.image_sha1, flag.model == item.model)
    flags = {one.labeler: one for one in fetch(connection, MultiFlag, *said)}  # the last one counts
    for name in labelers:
        yield Drawn(labeler=name, boxes=tuple(one for one in boxes if one.labeler == name), flag=flags.get(name))


def same_places(boxes: Sequence[LabelEvent]) -> list[Place]:
    """Boxes joined where they mean the same, the closest two first; never two of one labeler.

    Two boxes are in one place if a chain of boxes joins them, each of an IoU of `SAME_PLACE` or more with the next.
    Those that most labelers marked come first, then from top to bottom. The order of the boxes does not matter.
    """
    ordered = sorted(boxes, key=lambda one: (one.labeler, one.y, one.x, one.h, one.w, one.uuid))
    array = box_array([Box(one.x, one.y, one.w, one.h) for one in ordered])
    iou = np.triu(hits(array, array)[1], 1)
    first, second = np.nonzero(iou >= SAME_PLACE)
    groups = [{place} for place in range(len(ordered))]
    for k in np.argsort(-iou[first, second], kind="stable"):
        one, other = groups[first[k]], groups[second[k]]
        if {ordered[i].labeler for i in one}.isdisjoint({ordered[i].labeler for i in other}):
            one |= other
            for place in other:
                groups[place] = one
    joined = {id(group): _place([ordered[place] for place in sorted(group)]) for group in groups}
    return sorted(joined.values(), key=lambda one: (-len(one.labelers), one.box.y, one.box.x, one.events))


def _place(boxes: Sequence[LabelEvent]) -> Place:
    whole = Box(boxes[0].x, boxes[0].y, boxes[0].w, boxes[0].h)
    for one in boxes[1:]:
        whole = whole.union_box(Box(one.x, one.y, one.w, one.h))
    return Place(
        box=whole, events=tuple(one.uuid for one in boxes), labelers=tuple(sorted({one.labeler for one in boxes}))
    )
