"""What a labeler has to do: batches, the pairs in them, and what this labeler drew of one. Nobody else's boxes.

Nothing here tells picture, codec, rate or source: pairs go by their alias.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Set

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, select

from miscomp.annotate.aliases import ALIAS
from miscomp.annotate.messages import answer_word
from miscomp.annotate.people import Person
from miscomp.annotate.states import BatchState, BoxState, FlagState, ItemState, Pair, PairState, SuggestionState
from miscomp.annotate.suggestions import suggestions_of
from miscomp.corpus.config import Config
from miscomp.corpus.entries import BatchKind, LabelEvent, MultiFlag, Seen
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import (
    ASSIGNMENT,
    BATCH,
    IMAGE,
    ITEM,
    LABEL_EVENT,
    MULTI_FLAG,
    RECONSTRUCTION,
    SEEN,
    VISIT,
    count,
    fetch,
    within,
)
from miscomp.taxonomy import Origin

_BATCH = re.compile("[a-z][0-9]{1,20}")

# Made once: every event asks for its pair.
_FIND = (
    select(ASSIGNMENT.c.labeler, ITEM.c.alias, ITEM.c.batch, BATCH.c.kind, ITEM.c.position, BATCH.c.size)
    .add_columns(ITEM.c.image_sha1, ITEM.c.model)
    .add_columns(RECONSTRUCTION.c.width, RECONSTRUCTION.c.height, RECONSTRUCTION.c.file)
    .add_columns(RECONSTRUCTION.c.sha256.label("file_sha256"), IMAGE.c.sha256.label("original_sha256"))
    .join_from(ITEM, BATCH, BATCH.c.batch == ITEM.c.batch)
    .join(ASSIGNMENT, ASSIGNMENT.c.batch == ITEM.c.batch)
    .join(
        RECONSTRUCTION, and_(RECONSTRUCTION.c.image_sha1 == ITEM.c.image_sha1, RECONSTRUCTION.c.model == ITEM.c.model)
    )
    .join(IMAGE, IMAGE.c.image_sha1 == ITEM.c.image_sha1)
    .where(ITEM.c.alias.in_(bindparam("aliases", expanding=True)))
    .where(ASSIGNMENT.c.labeler.in_(bindparam("labelers", expanding=True)))
    .order_by(ITEM.c.batch)
)


def find_pairs(connection: Connection, wanted: Set[tuple[str, str]]) -> dict[tuple[str, str], Pair]:
    """The pairs of some labelers and aliases, without those that are none or in no batch of the labeler's."""
    asked = [(labeler, alias) for labeler, alias in wanted if ALIAS.fullmatch(alias)]
    if not asked:
        return {}
    labelers, aliases = (list(set(column)) for column in zip(*asked, strict=True))
    found: dict[tuple[str, str], Pair] = {}
    for row in connection.execute(_FIND, {"aliases": aliases, "labelers": labelers}).mappings():
        key = (row["labeler"], row["alias"])
        if key in wanted and key not in found:
            found[key] = Pair(**{**row, "kind": BatchKind(row["kind"])})
    return found


def find_pair(connection: Connection, alias: str, labeler: str) -> Pair | None:
    """The pair of an alias; none where there is none, or where its batch was not given to this labeler."""
    return find_pairs(connection, {(labeler, alias)}).get((labeler, alias))


def instances_of(kind: BatchKind, config: Config) -> int | None:
    """How many of several alike are drawn in a batch; none: all."""
    return None if kind == BatchKind.AGREEMENT else config.batches.instances


def batches_of(connection: Connection, labeler: str) -> list[BatchState]:
    """The batches that a labeler was given: those for training first, then by name.

    Pairs whose pixels were removed are counted neither as given nor as done.
    """
    given = and_(ASSIGNMENT.c.batch == BATCH.c.batch, ASSIGNMENT.c.labeler == labeler)
    asked = select(BATCH.c.batch, BATCH.c.kind, BATCH.c.size).join(ASSIGNMENT, given)
    seen = select(SEEN.c.batch, func.count()).where(SEEN.c.labeler == labeler).group_by(SEEN.c.batch)
    done = {batch: number for batch, number in connection.execute(seen)}
    gone, gone_done = _removed(connection, labeler)
    work = _work(connection, labeler)
    found = [
        BatchState(
            batch=batch,
            kind=BatchKind(kind),
            size=size - gone[batch],
            done=done.get(batch, 0) - gone_done[batch],
            active_s=math.fsum(seconds for seconds, _ in work[batch]),
            median_s=_median(seconds for seconds, finished in work[batch] if finished),
        )
        for batch, kind, size in connection.execute(asked)
    ]
    return sorted(found, key=lambda one: (one.kind != BatchKind.TRAINING, one.batch))


def _removed(connection: Connection, labeler: str) -> tuple[Counter[str], Counter[str]]:
    """By batch: pairs whose pixels were removed, and those of them that the labeler had done."""
    removed = connection.execute(select(IMAGE.c.image_sha1).where(IMAGE.c.removed != "")).scalars().all()
    item, seen = ITEM.c, SEEN.c
    same = and_(seen.image_sha1 == item.image_sha1, seen.model == item.model, seen.batch == item.batch)
    asked = select(item.batch, seen.labeler).outerjoin(SEEN, and_(same, seen.labeler == labeler))
    found = connection.execute(asked.where(within(item.image_sha1, removed))).all() if removed else []
    return Counter(batch for batch, _ in found), Counter(batch for batch, who in found if who is not None)


def _work(connection: Connection, labeler: str) -> defaultdict[str, list[tuple[float, bool]]]:
    """Seconds of work of each pair that a labeler looked at, and whether it is done, by batch."""
    visit = VISIT.c
    finished = func.max(case((visit.finished, 1), else_=0))
    asked = select(visit.batch, func.sum(visit.active_s), finished).where(visit.labeler == labeler)
    found: defaultdict[str, list[tuple[float, bool]]] = defaultdict(list)
    for batch, seconds, done in connection.execute(asked.group_by(visit.batch, visit.image_sha1, visit.model)):
        found[batch].append((seconds, bool(done)))
    return found


def _median(values: Iterable[float]) -> float | None:
    known = list(values)
    return statistics.median(known) if known else None


def kind_of(connection: Connection, batch: str, labeler: str) -> BatchKind | None:
    """What kind a batch of a labeler's is; none where it is not there, or was not given to this labeler."""
    if not _BATCH.fullmatch(batch):
        return None
    given = and_(ASSIGNMENT.c.batch == BATCH.c.batch, ASSIGNMENT.c.labeler == labeler)
    asked = select(BATCH.c.kind).join(ASSIGNMENT, given).where(BATCH.c.batch == batch)
    kind = connection.execute(asked).scalar_one_or_none()
    return BatchKind(kind) if kind else None


def items_of(connection: Connection, batch: str, labeler: str) -> list[ItemState] | None:
    """The pairs of a batch in their order, but for those whose pixels were removed.

    None where the batch is not there, or was not given to this labeler.
    """
    kind = kind_of(connection, batch, labeler)
    if kind is None:
        return None
    item, made, seen = ITEM.c, RECONSTRUCTION.c, SEEN.c
    same = and_(seen.image_sha1 == item.image_sha1, seen.model == item.model, seen.batch == item.batch)
    asked = (
        select(item.image_sha1, item.model, item.alias, item.position, made.width, made.height)
        .add_columns(seen.labeler.is_not(None).label("done"))
        .join(RECONSTRUCTION, and_(made.image_sha1 == item.image_sha1, made.model == item.model, made.file != ""))
        .outerjoin(SEEN, and_(same, seen.labeler == labeler))
        .where(item.batch == batch)
        .order_by(item.position)
    )
    pictures = LABEL_EVENT.c.image_sha1.in_(select(item.image_sha1).where(item.batch == batch))
    standing = own_boxes(connection, pictures, labeler=labeler, batch=batch, kind=kind)
    boxes = Counter((one.image_sha1, one.model) for one in standing)
    return [
        ItemState(
            alias=row.alias,
            position=row.position,
            width=row.width,
            height=row.height,
            done=bool(row.done),
            boxes=boxes[row.image_sha1, row.model],
        )
        for row in connection.execute(asked)
    ]


def own_boxes(
    connection: Connection, *conditions: ColumnElement[bool], labeler: str, batch: str, kind: BatchKind
) -> list[LabelEvent]:
    """A labeler's own boxes that stand in a batch, in the order in which they came."""
    event = LABEL_EVENT.c
    own = (event.labeler == labeler, event.origin == Origin.PERSON.value)
    return current_labels(connection, *conditions, *own, within(event.batch, own_batches(batch, kind)), training=True)


def own_batches(batch: str, kind: BatchKind) -> list[str]:
    """Which batches a labeler's events on a pair of this batch have.

    What came from tables before events had batches belongs to it too, but not to one for training.
    """
    return [batch] if kind == BatchKind.TRAINING else ["", batch]


def boxes_of(connection: Connection, pair: Pair) -> list[LabelEvent]:
    """The boxes of a pair's labeler that stand."""
    event = LABEL_EVENT.c
    here = (event.image_sha1 == pair.image_sha1, event.model == pair.model)
    return own_boxes(connection, *here, labeler=pair.labeler, batch=pair.batch, kind=pair.kind)


def pair_of(connection: Connection, alias: str, *, person: Person, config: Config) -> PairState | None:
    """A pair as its labeler left it; none where there is none, or where its batch was not given to this person.

    None as well where its pixels were removed.
    """
    pair = find_pair(connection, alias, person.name)
    if pair is None or not pair.file:
        return None
    seen = SEEN.c
    here = (seen.image_sha1 == pair.image_sha1, seen.model == pair.model, seen.batch == pair.batch)
    suggested = suggestions_of(connection, config, pair.image_sha1, pair.model, kind=pair.kind)
    return PairState(
        alias=alias,
        batch=pair.batch,
        kind=pair.kind,
        position=pair.position,
        size=pair.size,
        width=pair.width,
        height=pair.height,
        done=bool(count(connection, Seen, *here, seen.labeler == person.name)),
        instances=instances_of(pair.kind, config),
        boxes=tuple(_box_state(one) for one in boxes_of(connection, pair)),
        flag=_flag_of(connection, pair),
        suggestions=tuple(_suggestion_state(one) for one in suggested),
    )


def _flag_of(connection: Connection, pair: Pair) -> FlagState | None:
    flag = MULTI_FLAG.c
    here = (flag.image_sha1 == pair.image_sha1, flag.model == pair.model, flag.labeler == pair.labeler)
    found = fetch(connection, MultiFlag, *here, within(flag.batch, own_batches(pair.batch, pair.kind)))
    if not found:
        return None
    last = found[-1]
    return FlagState(multi=last.multi, multi_kind=last.kind, overall=last.overall, note=last.note)


def _box_state(one: LabelEvent) -> BoxState:
    return BoxState(
        event=one.uuid,
        x=one.x,
        y=one.y,
        w=one.w,
        h=one.h,
        category=one.category,
        symbol=one.symbol,
        changed=answer_word(one.changed),
        relevant=answer_word(one.relevant),
        suspicion=answer_word(one.suspicion),
        expected=answer_word(one.expected),
        note=one.note,
        time=one.time,
    )


def _suggestion_state(one: LabelEvent) -> SuggestionState:
    return SuggestionState(event=one.uuid, x=one.x, y=one.y, w=one.w, h=one.h, category=one.category, score=one.score)
