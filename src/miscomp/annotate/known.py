"""What the database knows about events before they are stored: asked for many of them together, in a few questions.

Each question is a statement that is made once; making one takes longer than its answer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import Connection, Row, Select, Table, and_, bindparam, select

from miscomp.annotate.messages import BoxTold, ShownTold
from miscomp.annotate.states import Pair
from miscomp.annotate.work import find_pairs
from miscomp.corpus.entries import LabelEvent
from miscomp.corpus.schema import ITEM, LABEL_EVENT, table_of

Place = tuple[str, str, int, int, int, int]
"""Of a box: labeler, alias, x, y, w, h."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What stands in the database, as far as some events need it."""

    pairs: Mapping[tuple[str, str], Pair] = field(default_factory=dict)
    """By labeler and alias; those that were not given to the labeler are not there."""
    rows: Mapping[tuple[type[Any], str], Row[Any]] = field(default_factory=dict)
    """By record and name: the events that are stored already, and the boxes that are replaced."""
    replaced: Set[str] = frozenset()
    """Of the boxes that are replaced, those that another event replaced already."""
    places: Set[Place] = frozenset()
    """Where the labeler drew at any time exactly what is drawn now, and perhaps other places."""


def look_up(connection: Connection, told: Sequence[tuple[str, type[Any], Any]]) -> Known:
    """What is known about events, each with who says it and the record that it is stored as."""
    boxes = [(who, one) for who, _, one in told if isinstance(one, BoxTold)]
    old = {one.replaces for _, one in boxes if one.replaces}
    names: defaultdict[type[Any], set[str]] = defaultdict(set)
    for _, record, one in told:
        names[record].add(first_uuid(one))
    if old:
        names[LabelEvent] |= old
    return Known(
        pairs=find_pairs(connection, {(who, one.alias) for who, _, one in told if hasattr(one, "alias")}),
        rows={
            (record, row.uuid): row
            for record, wanted in names.items()
            for row in connection.execute(_by_name(table_of(record)), {"names": list(wanted)})
        },
        replaced=_replaced(connection, old),
        places=_places(connection, [(who, one) for who, one in boxes if not one.replaces]),
    )


def first_uuid(told: Any) -> str:
    """The name of the first row of an event, by which it is found again; empty where it has no rows."""
    if isinstance(told, ShownTold):
        return shown_uuid(told.uuid, told.events[0]) if told.events else ""
    return str(told.uuid)


def shown_uuid(message: str, event: str) -> str:
    """The name of a row of a message that has several: the same whenever the message is sent."""
    return str(uuid5(UUID(message), event))


@cache
def _by_name(table: Table) -> Select[Any]:
    return select(table).where(table.c.uuid.in_(bindparam("names", expanding=True)))


# SQLite uses the index only where it is told that no empty one is looked for.
_REPLACED = select(LABEL_EVENT.c.replaces).where(
    LABEL_EVENT.c.replaces.in_(bindparam("names", expanding=True)), LABEL_EVENT.c.replaces != ""
)


def _replaced(connection: Connection, names: Collection[str]) -> Set[str]:
    return set(connection.execute(_REPLACED, {"names": list(names)}).scalars()) if names else frozenset()


_event = LABEL_EVENT.c
# Each side by itself: for places as a whole SQLite would read every box that there is.
_PLACES = (
    select(_event.labeler, ITEM.c.alias, _event.x, _event.y, _event.w, _event.h)
    .join_from(ITEM, LABEL_EVENT, and_(_event.image_sha1 == ITEM.c.image_sha1, _event.model == ITEM.c.model))
    .where(ITEM.c.alias.in_(bindparam("alias", expanding=True)))
    .where(*(_event[name].in_(bindparam(name, expanding=True)) for name in ("labeler", "x", "y", "w", "h")))
)


def _places(connection: Connection, boxes: Sequence[tuple[str, BoxTold]]) -> Set[Place]:
    if not boxes:
        return frozenset()
    columns = zip(*(place_of(who, one) for who, one in boxes), strict=True)
    values = (list(set(column)) for column in columns)
    asked = dict(zip(("labeler", "alias", "x", "y", "w", "h"), values, strict=True))
    return {tuple(row) for row in connection.execute(_PLACES, asked)}


def place_of(labeler: str, told: BoxTold) -> Place:
    """Where a box is."""
    return labeler, told.alias, told.x, told.y, told.w, told.h
