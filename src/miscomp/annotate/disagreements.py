"""Where labelers disagree on what all of them were given, for the supervisor: each agreement pair, and alpha over all.

Only whoever said to be done with a pair counts on it: a pair that somebody is still at shows no disagreement.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from sqlalchemy import Connection

from miscomp.corpus.batches.planning import Pair, alias_of
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import meta
from miscomp.corpus.entries import Batch, BatchItem, BatchKind, LabelEvent, Reconstruction, Seen
from miscomp.corpus.labels import PEOPLE, annotation_rows, current_labels, image_rows, view_rows
from miscomp.corpus.schema import BATCH, SEEN, fetch
from miscomp.errors import UsageError
from miscomp.records import Box
from miscomp.stats.agreement import Agreement, agree
from miscomp.stats.boxmatch import match
from miscomp.stats.material import Material

LEAST_IOU = 0.1
"""From which two boxes mark the same place, as where findings are scored."""
RESAMPLES = 1000
PER_SIDE = (1, 2, 4, 8, 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnBox:
    """A box of a labeler's on a pair that others have seen too."""

    event: str
    labeler: str
    x: int
    y: int
    w: int
    h: int
    category: str
    symbol: bool
    note: str
    alone: bool
    """Whether some other who has seen the pair has no box there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedPair:
    """A pair that all labelers were given."""

    alias: str
    batch: str
    position: int
    width: int
    height: int
    labelers: tuple[str, ...]
    """Who is done with it, by name."""
    boxes: tuple[DrawnBox, ...]
    disagreement: float | None
    """Of all boxes of every two labelers, the share that matches no box of the other (IoU of at least `LEAST_IOU`, one
    to one): 0 to 1, 0 where nobody drew any; none where fewer than two are done."""
    unmatched: int
    """How many these are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreements:
    """The agreement batches as they are now."""

    pairs: tuple[SharedPair, ...]
    """Where labelers disagree most, first; last those that fewer than two are done with."""
    agreement: Agreement | None
    """Of tiles, for people alone; none where no pair was seen by two."""
    why_none: str = ""


def disagreements(connection: Connection, config: Config) -> Disagreements:
    """Everything about the agreement batches that a supervisor may see."""
    batches = {one.batch for one in fetch(connection, Batch, BATCH.c.kind == BatchKind.AGREEMENT.value)}
    items = [one for one in fetch(connection, BatchItem) if one.batch in batches]
    seen: defaultdict[Pair, set[str]] = defaultdict(set)
    for view in fetch(connection, Seen, SEEN.c.batch.in_(sorted(batches))):
        seen[view.image_sha1, view.model].add(view.labeler)
    wanted = {(one.image_sha1, one.model) for one in items}
    drawn: defaultdict[Pair, list[LabelEvent]] = defaultdict(list)
    for one in current_labels(connection):
        pair = (one.image_sha1, one.model)
        if pair in wanted and one.origin in PEOPLE and one.labeler in seen[pair]:
            drawn[pair].append(one)
    made = {(one.image_sha1, one.model): one for one in fetch(connection, Reconstruction)}
    secret = meta(connection, "secret")
    found = []
    for item in items:
        pair = (item.image_sha1, item.model)
        row = made.get(pair)
        # Pixels that were removed cannot be compared.
        if row is not None and row.file:
            found.append(_shared(item, row, drawn[pair], sorted(seen[pair]), alias_of(secret, *pair)))
    found.sort(key=lambda one: (one.disagreement is None, -(one.disagreement or 0), -one.unmatched, one.alias))
    agreement, why_none = _agreement(connection, config, seen, drawn)
    return Disagreements(pairs=tuple(found), agreement=agreement, why_none=why_none)


def _shared(
    item: BatchItem, made: Reconstruction, events: Sequence[LabelEvent], labelers: Sequence[str], alias: str
) -> SharedPair:
    boxes: dict[str, list[tuple[LabelEvent, Box]]] = {name: [] for name in labelers}
    for one in sorted(events, key=lambda one: (one.y, one.x, one.uuid)):
        boxes[one.labeler].append((one, Box(one.x, one.y, one.w, one.h)))
    total, lone, alone = 0, 0, set()
    for first, second in combinations(labelers, 2):
        mine, yours = boxes[first], boxes[second]
        matched = match([box for _, box in mine], [box for _, box in yours], LEAST_IOU)
        left = [event.uuid for at, (event, _) in enumerate(mine) if at not in {one for one, _, _ in matched}]
        left += [event.uuid for at, (event, _) in enumerate(yours) if at not in {one for _, one, _ in matched}]
        alone |= {*left}
        total, lone = total + len(mine) + len(yours), lone + len(left)
    return SharedPair(
        alias=alias,
        batch=item.batch,
        position=item.position,
        width=made.width,
        height=made.height,
        labelers=tuple(labelers),
        boxes=tuple(_drawn(one, one.uuid in alone) for name in labelers for one, _ in boxes[name]),
        disagreement=None if len(labelers) < 2 else lone / total if total else 0.0,
        unmatched=lone,
    )


def _drawn(one: LabelEvent, alone: bool) -> DrawnBox:
    return DrawnBox(
        event=one.uuid,
        labeler=one.labeler,
        x=one.x,
        y=one.y,
        w=one.w,
        h=one.h,
        category=one.category,
        symbol=one.symbol,
        note=one.note,
        alone=alone,
    )


def _agreement(
    connection: Connection,
    config: Config,
    seen: Mapping[Pair, set[str]],
    drawn: Mapping[Pair, Sequence[LabelEvent]],
) -> tuple[Agreement | None, str]:
    events = [one for boxes in drawn.values() for one in boxes]
    shared = {pair for pair, who in seen.items() if len(who) > 1}
    if not shared:
        return None, "no pair of the agreement batches was finished by two labelers yet"
    material = Material(
        images=tuple(one for one in image_rows(connection, events) if (one.image_sha1, one.model) in shared),
        annotations=tuple(one for one in annotation_rows(events) if (one.image_sha1, one.model) in shared),
        views=tuple(
            one
            for one in view_rows(connection)
            if (one.image_sha1, one.model) in shared and one.labeler in seen[one.image_sha1, one.model]
        ),
    )
    try:
        return agree(material, PER_SIDE, resamples=RESAMPLES, seed=config.seed), ""
    except UsageError as error:
        return None, str(error)
