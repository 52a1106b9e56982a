"""Second looks: which boxes a reviewer is to look at, in which order, and what becomes of a word on one.

A reviewer is told where a box is, never whose it is, nor codec, rate or source. Category and symbol of the labeler are
told only after the reviewer's own word, which they would sway. Pairs come in an order of the reviewer's own, so that
tiredness does not strike the same boxes in all reviews; a pair's boxes come together. Who labels too is shown boxes of
others only on pairs that are done: before, they would tell where to look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, and_, select

from miscomp.annotate.events import Conflict, Refused, Saying, tool_version
from miscomp.annotate.messages import LookTold
from miscomp.corpus.batches.planning import Pair, alias_of
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import meta
from miscomp.corpus.entries import Action, Batch, BatchKind, LabelEvent, Role, SecondLook, SourceImage
from miscomp.corpus.labels import PEOPLE, current_labels
from miscomp.corpus.remarks import current_looks
from miscomp.corpus.schema import ASSIGNMENT, BATCH, IMAGE, ITEM, LABEL_EVENT, RECONSTRUCTION, SEEN, fetch
from miscomp.corpus.selection import shuffled
from miscomp.errors import UsageError
from miscomp.taxonomy import Origin

AHEAD = 50
"""Pairs that the page is told of at a time."""
BACK = 20
"""Of the pairs that were looked at last, as many can be opened again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which boxes; all that people drew or that were imported, where nothing is said."""

    batch: str = ""
    source: str = ""
    uncategorised: bool = False
    """Only boxes that were given no category."""
    detectors: bool = False
    """What detectors found too."""
    share: float = 1.0
    """A sample: pairs drawn at random until they have this share (0 to 1) of the boxes, the same for every reviewer."""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise UsageError(f"the share of boxes lies above 0 and up to 1, got {self.share}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LookState:
    """A reviewer's own last word on a box, and what its labeler had said."""

    judgement: str
    category: str
    symbol: bool
    note: str
    first_category: str
    """The labeler's."""
    first_symbol: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxToLook:
    """A box without anything that could sway: no labeler, no category."""

    event: str
    x: int
    y: int
    w: int
    h: int
    look: LookState | None = None
    """None before the reviewer said anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairToLook:
    """A pair with the boxes that are to be looked at."""

    alias: str
    width: int
    height: int
    boxes: tuple[BoxToLook, ...]
    """From the top to the bottom."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewState:
    """What a reviewer has to do, and did."""

    boxes: int
    done: int
    pairs: int
    """Of all these boxes."""
    waiting: tuple[PairToLook, ...]
    """The next pairs with a box that is not looked at, at most `AHEAD`."""
    recent: tuple[PairToLook, ...]
    """The pairs that were looked at last, at most `BACK`; the latest comes last."""


def review_state(connection: Connection, config: Config, reviewer: str, wanted: Wanted) -> ReviewState:
    """What is wanted of a reviewer. Boxes of pictures whose pixels were removed are not."""
    own = _still_to_label(connection, reviewer)
    pairs = {pair: found for pair, found in _boxes(connection, config, wanted).items() if pair not in own}
    theirs = {pair: [one for one in found if not _same(one.labeler, reviewer)] for pair, found in pairs.items()}
    looks = {event: one for (event, who), one in current_looks(connection).items() if who == reviewer}
    order = _own_order(theirs, config, reviewer)
    waiting = [pair for pair in order if any(one.uuid not in looks for one in theirs[pair])]
    place = {event: number for number, event in enumerate(looks)}
    begun = [pair for pair in order if any(one.uuid in looks for one in theirs[pair])]
    begun.sort(key=lambda pair: max(place.get(one.uuid, -1) for one in theirs[pair]))
    secret = meta(connection, "secret")
    sizes = _sizes(connection)

    def told(pair: Pair) -> PairToLook:
        width, height = sizes[pair]
        boxes = sorted(theirs[pair], key=lambda one: (one.y, one.x, one.uuid))
        return PairToLook(
            alias=alias_of(secret, *pair),
            width=width,
            height=height,
            boxes=tuple(_told(one, looks.get(one.uuid)) for one in boxes),
        )

    every = [one for pair in order for one in theirs[pair]]
    return ReviewState(
        boxes=len(every),
        done=sum(one.uuid in looks for one in every),
        pairs=len(order),
        waiting=tuple(map(told, waiting[:AHEAD])),
        recent=tuple(map(told, begun[-BACK:])),
    )


def look_of(connection: Connection, event: str, reviewer: str) -> LookState | None:
    """A reviewer's word on a box with what its labeler had said; none while the reviewer has not said anything."""
    looks = [one for (which, who), one in current_looks(connection, event).items() if (which, who) == (event, reviewer)]
    boxes = fetch(connection, LabelEvent, LABEL_EVENT.c.uuid == event)
    return _look_state(boxes[0], looks[0]) if looks and boxes else None


def look_rows(saying: Saying, told: LookTold) -> list[Any]:
    """The second look that a word is stored as; the last one of a reviewer on a box counts.

    Raises `Refused` for who is no reviewer, for a box that is not there, one's own and one of training; `Conflict` for
    one that its labeler changed or deleted since: the reviewer is to see what stands now.
    """
    reviewer = saying.person.name
    saying.need(Role.REVIEWER)
    boxes = fetch(saying.connection, LabelEvent, LABEL_EVENT.c.uuid == told.event)
    if not boxes or boxes[0].action == Action.DELETE or _in_training(saying.connection, boxes[0]):
        raise Refused("there is no such box to look at; nothing was stored for it")
    if _same(boxes[0].labeler, reviewer):
        raise Refused("this box is your own; a second look is somebody else's")
    if fetch(saying.connection, LabelEvent, LABEL_EVENT.c.replaces == told.event, LABEL_EVENT.c.replaces != ""):
        raise Conflict("its labeler changed or deleted this box since; what stands now is shown next time")
    return [
        SecondLook(
            uuid=told.uuid,
            event=told.event,
            image_sha1=boxes[0].image_sha1,
            model=boxes[0].model,
            reviewer=reviewer,
            judgement=told.judgement,
            category=told.category,
            symbol=told.symbol,
            note="" if _is_removed(saying.connection, boxes[0]) else told.note,
            version=tool_version(),
            time=saying.time_of(told.age_ms),
        )
    ]


def _same(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _is_removed(connection: Connection, box: LabelEvent) -> bool:
    images = fetch(connection, SourceImage, IMAGE.c.image_sha1 == box.image_sha1)
    return any(one.removed for one in images)


def _in_training(connection: Connection, box: LabelEvent) -> bool:
    kinds = fetch(connection, Batch, BATCH.c.batch == box.batch)
    return any(one.kind == BatchKind.TRAINING for one in kinds)


def _still_to_label(connection: Connection, reviewer: str) -> set[Pair]:
    """Pairs that a reviewer was given to label and is not done with."""
    item, seen = ITEM.c, SEEN.c
    given = and_(ASSIGNMENT.c.batch == item.batch, ASSIGNMENT.c.labeler == reviewer)
    same = and_(seen.image_sha1 == item.image_sha1, seen.model == item.model, seen.batch == item.batch)
    asked = select(item.image_sha1, item.model).join(ASSIGNMENT, given)
    asked = asked.outerjoin(SEEN, and_(same, seen.labeler == reviewer)).where(seen.labeler.is_(None))
    return {(sha1, model) for sha1, model in connection.execute(asked)}


def _boxes(connection: Connection, config: Config, wanted: Wanted) -> dict[Pair, list[LabelEvent]]:
    """The boxes that stand and are wanted, by pair; with a sample, of the pairs that were drawn."""
    origins = (*PEOPLE, Origin.DETECTOR) if wanted.detectors else PEOPLE
    images = [IMAGE.c.removed == "", *([IMAGE.c.source == wanted.source] if wanted.source else [])]
    allowed = {one.image_sha1 for one in fetch(connection, SourceImage, *images)}
    asked = select(ITEM.c.image_sha1, ITEM.c.model).where(ITEM.c.batch == wanted.batch)
    batch = {(sha1, model) for sha1, model in connection.execute(asked)} if wanted.batch else None
    there = _sizes(connection)
    found: defaultdict[Pair, list[LabelEvent]] = defaultdict(list)
    for one in current_labels(connection):
        pair = (one.image_sha1, one.model)
        fits = one.origin in origins and one.image_sha1 in allowed and pair in there
        if fits and (batch is None or pair in batch) and not (wanted.uncategorised and one.category):
            found[pair].append(one)
    return _sample(found, config, wanted.share)


def _sample(found: Mapping[Pair, list[LabelEvent]], config: Config, share: float) -> dict[Pair, list[LabelEvent]]:
    """Whole pairs until they have the share of the boxes. One reviewer's sample is every reviewer's: they overlap."""
    if share == 1:
        return dict(found)
    left = share * sum(map(len, found.values()))
    drawn = {}
    for pair in _shuffled(found, config, "sample of second looks"):
        if left <= 0:
            break
        drawn[pair] = found[pair]
        left -= len(found[pair])
    return drawn


def _own_order(theirs: Mapping[Pair, Sequence[LabelEvent]], config: Config, reviewer: str) -> list[Pair]:
    return _shuffled([pair for pair, boxes in theirs.items() if boxes], config, f"second looks {reviewer}")


def _shuffled(pairs: Iterable[Pair], config: Config, purpose: str) -> list[Pair]:
    known = {f"{sha1} {model}": (sha1, model) for sha1, model in pairs}
    return [known[key] for key in shuffled(known, seed=config.seed, purpose=purpose)]


def _sizes(connection: Connection) -> dict[Pair, tuple[int, int]]:
    """Width and height of the reconstructions whose pixels are there."""
    made = RECONSTRUCTION.c
    asked = select(made.image_sha1, made.model, made.width, made.height).where(made.file != "")
    return {(sha1, model): (width, height) for sha1, model, width, height in connection.execute(asked)}


def _told(box: LabelEvent, look: SecondLook | None) -> BoxToLook:
    return BoxToLook(event=box.uuid, x=box.x, y=box.y, w=box.w, h=box.h, look=_look_state(box, look) if look else None)


def _look_state(box: LabelEvent, look: SecondLook) -> LookState:
    return LookState(
        judgement=look.judgement,
        category=look.category,
        symbol=look.symbol,
        note=look.note,
        first_category=box.category,
        first_symbol=box.symbol,
    )
