"""What becomes of an event: the rows that it is stored as, or why it is not.

One function for each kind: it gets who says it (`Saying`) and the checked message, and gives the rows. What screeners
say is `screening.choice_rows`, what reviewers say is `looks.look_rows`; what labelers say is here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from operator import attrgetter

from sqlalchemy import Connection

from miscomp.annotate.known import Known, place_of, shown_uuid
from miscomp.annotate.messages import ANSWERS, MAX_AGE_MS, BoxTold, FlagTold, ShownTold, VisitTold
from miscomp.annotate.people import Person
from miscomp.annotate.states import Pair
from miscomp.annotate.times import stamp
from miscomp.annotate.work import boxes_of, own_batches
from miscomp.corpus.config import Config
from miscomp.corpus.entries import Action, LabelEvent, MultiFlag, Role, Seen, Shown, Visit
from miscomp.corpus.schema import LABEL_EVENT, SEEN, count, fetch
from miscomp.folders import package_version
from miscomp.records import Box, display_id
from miscomp.taxonomy import Origin

_SIDES = ("x", "y", "w", "h")


class Refused(Exception):
    """An event that can never be stored; the text says why, for the person who made it."""


class Conflict(Exception):
    """What the event replaces was replaced by another event already."""


@dataclass(slots=True, kw_only=True)
class Saying:
    """Who says something, when, and the transaction that it is stored in."""

    connection: Connection
    config: Config
    person: Person
    received: datetime
    """The server's time."""
    known: Known = field(default_factory=Known)
    """Of the event that is looked at."""
    lost: set[str] = field(default_factory=set)
    """Events of the same message that were not stored for a conflict."""

    def time_of(self, age_ms: int) -> str:
        """When something of an age happened, as rows hold it; `messages.MAX_AGE_MS` ago at most."""
        return stamp(self.received - timedelta(milliseconds=min(age_ms, MAX_AGE_MS)))

    def need(self, role: Role) -> None:
        """Raise `Refused` unless the person has a role."""
        if not self.person.may(role):
            raise Refused(f"{self.person.name} is no {role} here; ask a supervisor")

    def pair(self, alias: str) -> Pair:
        """The pair of an alias. Raises `Refused` where it was not given to this person."""
        found = self.known.pairs.get((self.person.name, alias))
        if found is None:
            raise Refused("this pair is in no batch that was given to you; ask a supervisor")
        return found


@cache
def tool_version() -> str:
    """What an event says of the program that stored it."""
    return f"miscomp-annotate {package_version()}"


def kept_note(pair: Pair, note: str) -> str:
    """What is stored of a note: nothing on a picture that was removed, as notes may say whom it showed."""
    return note if pair.file else ""


def box_rows(saying: Saying, told: BoxTold) -> list[LabelEvent]:
    """A box that was drawn, changed or deleted; it lies inside the picture, and what it replaces is the labeler's."""
    saying.need(Role.LABELER)
    pair = saying.pair(told.alias)
    box = Box(told.x, told.y, told.w, told.h)
    event = LabelEvent(
        uuid=told.uuid,
        action=told.action,
        replaces=told.replaces,
        id=display_id(pair.image_sha1, pair.model, box),
        filename=f"{pair.image_sha1}.png",
        image_sha1=pair.image_sha1,
        model=pair.model,
        x=told.x,
        y=told.y,
        w=told.w,
        h=told.h,
        labeler=saying.person.name,
        origin=Origin.PERSON.value,
        version=tool_version(),
        category=told.category,
        symbol=told.symbol,
        changed=ANSWERS[told.changed],
        relevant=ANSWERS[told.relevant],
        suspicion=ANSWERS[told.suspicion],
        expected=ANSWERS[told.expected],
        note=kept_note(pair, told.note),
        time=saying.time_of(told.age_ms),
        batch=pair.batch,
    )
    try:
        event.annotation.box.check_inside(pair.width, pair.height)
    except ValueError as error:
        raise Refused(str(error)) from error
    if told.replaces:
        _check_replaced(saying, told, pair)
    elif place_of(pair.labeler, told) in saying.known.places and _stands(saying, event, pair):
        raise Refused("you have drawn the very same box already")
    return [event]


def _stands(saying: Saying, event: LabelEvent, pair: Pair) -> bool:
    """Whether the very same box stands: twice in the tables, it could not be told from the other."""
    sides = attrgetter(*_SIDES)
    return any(sides(one) == sides(event) for one in boxes_of(saying.connection, pair))


def _check_replaced(saying: Saying, told: BoxTold, pair: Pair) -> None:
    """Raise unless the event that is replaced is this labeler's, of this pair, and nobody replaced it yet."""
    if told.replaces in saying.lost:
        raise Conflict
    found = saying.known.rows.get((LabelEvent, told.replaces))
    if found is None or not (
        (found.labeler, found.origin) == (pair.labeler, Origin.PERSON)
        and (found.image_sha1, found.model) == (pair.image_sha1, pair.model)
        and found.batch in own_batches(pair.batch, pair.kind)
    ):
        raise Refused("the box that this changes is none of yours on this pair; it may have been refused before")
    if told.replaces in saying.known.replaced:
        raise Conflict
    if told.action == found.action == Action.DELETE:
        raise Refused("the box that this deletes is deleted")


def flag_rows(saying: Saying, told: FlagTold) -> list[MultiFlag]:
    """A word on the whole picture."""
    saying.need(Role.LABELER)
    pair = saying.pair(told.alias)
    if told.multi_kind and not told.multi:
        raise Refused("a kind of multi-miscompressions is given where there are said to be none")
    return [
        MultiFlag(
            uuid=told.uuid,
            image_sha1=pair.image_sha1,
            model=pair.model,
            labeler=saying.person.name,
            multi=told.multi,
            kind=told.multi_kind,
            note=kept_note(pair, told.note),
            time=saying.time_of(told.age_ms),
            overall=told.overall,
            batch=pair.batch,
            version=tool_version(),
        )
    ]


def visit_rows(saying: Saying, told: VisitTold) -> list[Visit | Seen]:
    """A visit; the first that ends with the pair being done is also when the pair was seen.

    Nobody is active for longer than a pair is open: more than that is cut off, as some clock jumped.
    """
    saying.need(Role.LABELER)
    pair = saying.pair(told.alias)
    open_ms = min(told.open_ms, MAX_AGE_MS)
    closed = saying.time_of(told.age_ms)
    opened = stamp(datetime.fromisoformat(closed) - timedelta(milliseconds=open_ms))
    whose = {"image_sha1": pair.image_sha1, "model": pair.model, "labeler": saying.person.name, "batch": pair.batch}
    visit = Visit(
        uuid=told.uuid,
        **whose,
        opened=opened,
        closed=closed,
        active_s=min(told.active_ms, open_ms) / 1000,
        finished=told.finished,
    )
    same = (SEEN.c[name] == value for name, value in whose.items())
    if not told.finished or count(saying.connection, Seen, *same):
        return [visit]
    return [visit, Seen(**whose, opened=opened, closed=closed)]


def shown_rows(saying: Saying, told: ShownTold) -> list[Shown]:
    """Suggestions that a labeler was shown, a row each; only where they are switched on."""
    saying.need(Role.LABELER)
    pair = saying.pair(told.alias)
    if not saying.config.annotate.suggestions:
        raise Refused("suggestions are not switched on in this corpus")
    event = LABEL_EVENT.c
    here = (event.image_sha1 == pair.image_sha1, event.model == pair.model, event.origin == Origin.DETECTOR.value)
    known = {one.uuid for one in fetch(saying.connection, LabelEvent, *here)}
    if {*told.events} - known:
        raise Refused("one of these suggestions is none of this pair's")
    return [
        Shown(
            uuid=shown_uuid(told.uuid, one),
            event=one,
            image_sha1=pair.image_sha1,
            model=pair.model,
            labeler=saying.person.name,
            batch=pair.batch,
            time=saying.time_of(told.age_ms),
        )
        for one in dict.fromkeys(told.events)
    ]
