"""Store what browsers say: each event once, or not at all and with a reason; never over what another window stored.

An answer is given when everything that it acknowledges is on the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection
from sqlalchemy.exc import DataError, IntegrityError

from miscomp.annotate.events import (
    Conflict,
    Refused,
    Saying,
    box_rows,
    flag_rows,
    shown_rows,
    visit_rows,
)
from miscomp.annotate.known import first_uuid, look_up
from miscomp.annotate.looks import look_rows
from miscomp.annotate.messages import Outcome, Reply, Told
from miscomp.annotate.people import Person
from miscomp.annotate.screening import choice_rows
from miscomp.annotate.writer import write_together
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Decision, LabelEvent, MultiFlag, SecondLook, Shown, Visit
from miscomp.corpus.schema import add
from miscomp.errors import InputError

_REASON = 400
"""Characters of a reason."""
_UNTAKEN = "the database does not take it"
_TOLD: TypeAdapter[Any] = TypeAdapter(Told)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How a kind of event is stored."""

    rows: Callable[[Saying, Any], Sequence[Any]]
    record: type[Any]
    """Of the row that has the event's name."""
    who: str
    """That record's field for the person."""


_KINDS = {
    "box": _Kind(box_rows, LabelEvent, "labeler"),
    "flag": _Kind(flag_rows, MultiFlag, "labeler"),
    "visit": _Kind(visit_rows, Visit, "labeler"),
    "shown": _Kind(shown_rows, Shown, "labeler"),
    "choice": _Kind(choice_rows, Decision, "screener"),
    "look": _Kind(look_rows, SecondLook, "reviewer"),
}


@dataclass(frozen=True, slots=True)
class _Message:
    """What one person says at a time; an answer stands in place of what is no event."""

    config: Config
    person: Person
    received: datetime
    told: Sequence[Any]


@dataclass(slots=True)
class _Event:
    """One event on its way into the database."""

    saying: Saying
    told: Any
    reply: Reply | None = None
    rows: Sequence[Any] = ()

    @property
    def kind(self) -> _Kind:
        return _KINDS[self.told.kind]

    def touches(self) -> set[tuple[str, ...]]:
        """What it shares with events that must not be looked at before this one is stored."""
        names = {(self.told.uuid,), (getattr(self.told, "replaces", ""),)} - {("",)}
        return names | {(self.saying.person.name, getattr(self.told, "alias", "") or self.told.event)}


def save(corpus: Corpus, person: Person, messages: Sequence[Mapping[str, Any]], *, time: datetime) -> list[Reply]:
    """Store the events of a message; the answers are in their order.

    `messages` are `SaveTold.events`, of which nothing was checked; `time` is the server's, in UTC. May be called from
    any number of threads at once: those that wait are stored in one transaction.

    Raises `InputError` where the database cannot be used (a full disk, a stopped server): then nothing of this message
    was acknowledged; sent again, it is stored once.
    """
    if time.tzinfo is None:
        raise ValueError("the time of a message needs its zone")
    message = _Message(corpus.config, person, time, [_checked(one) for one in messages])
    return write_together(corpus, _store_messages, message, weight=len(messages))


def _checked(message: Mapping[str, Any]) -> Any:
    """The event, or the answer to what is none."""
    try:
        return _TOLD.validate_python(message)
    except ValidationError as error:
        name = message.get("uuid") if isinstance(message, Mapping) else None
        return Reply(uuid=_plain(name), outcome=Outcome.REFUSED, reason=_why(error))


def _why(error: ValidationError) -> str:
    """What is wrong with a message, without what stood there: that may be of any size and depth."""
    found = error.errors(include_url=False, include_input=False, include_context=False)
    said = [f"{'.'.join(map(str, one['loc'][1:])) or 'kind'}: {one['msg']}" for one in found]
    return "; ".join(said).encode(errors="replace").decode()[:_REASON]


def _plain(name: object) -> str:
    """What stood where a UUID belongs, as far as it can be sent back."""
    return name[:36].encode(errors="replace").decode() if isinstance(name, str) else ""


def _store_messages(connection: Connection, messages: Sequence[_Message]) -> list[list[Reply]]:
    """The answers to some messages, in one transaction."""
    every: list[list[_Event]] = []
    for one in messages:
        saying = Saying(connection=connection, config=one.config, person=one.person, received=one.received)
        every.append([_Event(saying, told, told if isinstance(told, Reply) else None) for told in one.told])
    for turn in _turns(one for message in every for one in message if one.reply is None):
        _store(connection, turn)
    return [[one.reply for one in message if one.reply] for message in every]


def _turns(events: Iterable[_Event]) -> list[list[_Event]]:
    """Events that know nothing of each other are stored together; each comes after all that it could depend on."""
    turns: list[list[_Event]] = []
    last: dict[tuple[str, ...], int] = {}
    for one in events:
        touched = one.touches()
        turn = 1 + max(last.get(what, -1) for what in touched)
        last.update(dict.fromkeys(touched, turn))
        if turn == len(turns):
            turns.append([])
        turns[turn].append(one)
    return turns


def _store(connection: Connection, events: Sequence[_Event]) -> None:
    """Answer events: what is known is asked for all, and what is new is inserted at once."""
    known = look_up(connection, [(one.saying.person.name, one.kind.record, one.told) for one in events])
    for one in events:
        one.saying.known = known
        _decide(one)
    new = [one for one in events if one.reply is None]
    try:
        with connection.begin_nested():
            add(connection, [row for one in new for row in one.rows])
    except (IntegrityError, DataError, InputError):
        for one in new:
            _store_alone(one)
    else:
        for one in new:
            one.reply = Reply(uuid=one.told.uuid, outcome=Outcome.STORED)


def _decide(one: _Event) -> None:
    """The rows of an event, or the answer where it is not to be stored."""
    one.reply = _known(one)
    if one.reply is None:
        try:
            one.rows = one.kind.rows(one.saying, one.told)
        except Conflict:
            one.reply = _conflict(one)
        except Refused as error:
            one.reply = _refused(one, str(error))
        except InputError as error:
            one.reply = _refused(one, error.problem)
        except (DataError, UnicodeError):  # a name that no database can have
            one.reply = _refused(one, _UNTAKEN)


def _store_alone(one: _Event) -> None:
    """Store one event in a savepoint of its own: some event of the transaction cannot be stored."""
    connection = one.saying.connection
    try:
        with connection.begin_nested():
            add(connection, one.rows)
    except InputError as error:
        one.reply = _refused(one, error.problem)
    except (IntegrityError, DataError):
        # Somebody wrote between the question and the answer, past the lock that writers take.
        one.saying.known = look_up(connection, [(one.saying.person.name, one.kind.record, one.told)])
        late = getattr(one.told, "replaces", "")
        one.reply = _known(one) or (_conflict(one) if late else _refused(one, _UNTAKEN))
    else:
        one.reply = Reply(uuid=one.told.uuid, outcome=Outcome.STORED)


def _conflict(one: _Event) -> Reply:
    one.saying.lost.add(one.told.uuid)
    why = "another window changed this box meanwhile"
    return Reply(uuid=one.told.uuid, outcome=Outcome.CONFLICT, reason=why)


def _refused(one: _Event, why: str) -> Reply:
    return Reply(uuid=one.told.uuid, outcome=Outcome.REFUSED, reason=why[:_REASON])


def _known(one: _Event) -> Reply | None:
    """The answer to an event that is stored; none where it is not. The name of another's event is refused."""
    row = one.saying.known.rows.get((one.kind.record, first_uuid(one.told)))
    if row is None:
        return None
    if getattr(row, one.kind.who) != one.saying.person.name or not _same(one, row):
        return _refused(one, "another event has this name")
    return Reply(uuid=one.told.uuid, outcome=Outcome.KNOWN)


_SHARED = ("action", "replaces", "x", "y", "w", "h", "category", "symbol", "multi", "overall", "finished", "note")


def _same(one: _Event, row: Any) -> bool:
    """Whether a row can be what became of an event, as far as both have the same fields."""
    told = one.told
    pair = one.saying.known.pairs.get((one.saying.person.name, getattr(told, "alias", "")))
    gone = pair is not None and not pair.file  # its notes were emptied
    shared = (name for name in _SHARED if hasattr(told, name) and hasattr(row, name))
    return all(getattr(told, name) == getattr(row, name) or (gone and name == "note") for name in shared)
