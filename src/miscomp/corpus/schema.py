"""The tables of a corpus' database, one for each record of `miscomp.corpus.entries`, and how rows come and go.

Every table is made from its record's fields; both SQLite and PostgreSQL hold it.
"""

from __future__ import annotations

import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    and_,
    delete,
    func,
    insert,
    select,
)
from sqlalchemy.types import TypeEngine

from miscomp.corpus.entries import (
    Account,
    Assignment,
    Batch,
    BatchItem,
    Copied,
    Decision,
    Environment,
    FailedTask,
    LabelEvent,
    Meta,
    ModelEntry,
    MultiFlag,
    Reconstruction,
    Rejected,
    SecondLook,
    Seen,
    Session,
    Shown,
    SourceImage,
    Suggestion,
    Visit,
)
from miscomp.errors import InputError

METADATA = MetaData()
_TYPES: dict[type, TypeEngine[Any]] = {
    # Sorted by bytes in both databases, whatever language the server speaks.
    str: Text().with_variant(Text(collation="C"), "postgresql"),
    int: BigInteger(),
    float: Double(),
    bool: Boolean(),
}

_WORDS: dict[type, str] = {str: "text", int: "whole number", float: "number", bool: "0 or 1"}

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class _Kind:
    """A record's table: events are numbered as they come, other rows have a key."""

    table: Table
    key: tuple[str, ...]
    """What rows are ordered by: the key, or `number`."""
    kinds: Mapping[str, tuple[type, ...]]
    """Of which types the values of each column are."""


_KINDS: dict[type[Any], _Kind] = {}


def _make(name: str, record: type[Any], *key: str, index: tuple[str, ...] = ()) -> Table:
    hints = typing.get_type_hints(record)
    columns: list[Any] = []
    kinds: dict[str, tuple[type, ...]] = {}
    if not key:
        # Only this type numbers itself in SQLite.
        columns.append(Column("number", Integer, primary_key=True, autoincrement=True))
    for field in fields(record):
        hint = hints[field.name]
        optional = isinstance(hint, types.UnionType)
        plain = next(part for part in hint.__args__ if part is not type(None)) if optional else hint
        unique = not key and field.name == "uuid"
        # A whole number is stored where a share is 0 or 1.
        kinds[field.name] = (plain, *((int,) if plain is float else ()), *((type(None),) if optional else ()))
        columns.append(
            Column(field.name, _TYPES[plain], primary_key=field.name in key, nullable=optional, unique=unique)
        )
    table = Table(name, METADATA, *columns)
    if index:
        Index(f"{name}_by_{'_'.join(index)}", *(table.c[column] for column in index))
    _KINDS[record] = _Kind(table, key or ("number",), kinds)
    return table


META = _make("meta", Meta, "name")
IMAGE = _make("image", SourceImage, "image_sha1")
REJECTED = _make("rejected", Rejected)
DECISION = _make("decision", Decision, index=("image_sha1", "screener"))
SUGGESTION = _make("suggestion", Suggestion, "image_sha1", "detector", "kind")
MODEL = _make("model", ModelEntry, "model")
ENVIRONMENT = _make("environment", Environment, "environment")
RECONSTRUCTION = _make("reconstruction", Reconstruction, "image_sha1", "model")
FAILED = _make("failed_task", FailedTask, "image_sha1", "model")
BATCH = _make("batch", Batch, "batch")
ITEM = _make("batch_item", BatchItem, "batch", "position", index=("image_sha1", "model"))
ITEM_BY_ALIAS = Index("batch_item_by_alias", ITEM.c.alias)
ASSIGNMENT = _make("assignment", Assignment, "batch", "labeler")
LABEL_EVENT = _make("label_event", LabelEvent, index=("image_sha1", "model"))
_ONCE = LABEL_EVENT.c.replaces != ""
# Two who change the same box at once would else leave two of it standing: the second is an `IntegrityError`.
REPLACED_ONCE = Index(
    "label_event_replaced_once", LABEL_EVENT.c.replaces, unique=True, sqlite_where=_ONCE, postgresql_where=_ONCE
)
MULTI_FLAG = _make("multi_flag", MultiFlag, index=("image_sha1", "model"))
SEEN = _make("seen", Seen, "image_sha1", "model", "labeler", "batch")
SEEN_BY_LABELER = Index("seen_by_labeler_batch", SEEN.c.labeler, SEEN.c.batch)
# All that a labeler's times per pair need, so that the rows themselves are not read.
VISIT = _make("visit", Visit, index=("labeler", "batch", "image_sha1", "model", "active_s", "finished"))
SHOWN = _make("shown", Shown, index=("labeler", "image_sha1"))
SECOND_LOOK = _make("second_look", SecondLook, index=("event",))
ACCOUNT = _make("account", Account, "name")
SESSION = _make("web_session", Session, "token")
COPIED = _make("copied", Copied)


def table_of(record: type[Any]) -> Table:
    """The table of a record."""
    return _KINDS[record].table


def add(connection: Connection, rows: Iterable[Any]) -> None:
    """Insert records, of one kind or several. A key that is there is an `IntegrityError` of SQLAlchemy's.

    Raises `InputError` for values that cannot be stored: text that is not Unicode or holds NUL, nan, huge numbers.
    """
    for record, values in _grouped(rows).items():
        connection.execute(insert(table_of(record)), values)


def put(connection: Connection, rows: Iterable[Any]) -> None:
    """Insert records with a key, and replace those that are there."""
    for record, values in _grouped(rows).items():
        kind = _KINDS[record]
        for value in values:
            same = and_(*(kind.table.c[name] == value[name] for name in kind.key))
            connection.execute(delete(kind.table).where(same))
        connection.execute(insert(kind.table), values)


def _grouped(rows: Iterable[Any]) -> dict[type[Any], list[dict[str, Any]]]:
    groups: dict[type[Any], list[dict[str, Any]]] = {}
    for row in rows:
        values = {field.name: getattr(row, field.name) for field in fields(row)}
        for name, value in values.items():
            if problem := _problem(value):
                raise InputError(f"{table_of(type(row)).name}.{name}", f"cannot be stored: {problem}")
        groups.setdefault(type(row), []).append(values)
    return groups


def _problem(value: Any) -> str:
    """Why a value would be refused by one of the databases, or come back as another."""
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"the text {value[:80]!r} is not Unicode; as a file's name, rename the file"
    if isinstance(value, str) and "\0" in value:
        return f"the text {value[:80]!r} has a NUL in it; remove it"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return "the number has more than 64 bits"
    if isinstance(value, float) and math.isnan(value):
        return "the value is not a number (nan)"
    return ""


def fetch(connection: Connection, record: type[R], *conditions: ColumnElement[bool]) -> list[R]:
    """Records that meet the conditions, in the order of their key (events: in which they came)."""
    kind = _KINDS[record]
    names = [field.name for field in fields(record)]  # type: ignore[arg-type]
    asked = select(*(kind.table.c[name] for name in names)).where(*conditions)
    found = connection.execute(asked.order_by(*(kind.table.c[name] for name in kind.key)))
    rows = [dict(zip(names, row, strict=True)) for row in found]
    for row in rows:
        _check_kinds(kind, row)
    return [record(**row) for row in rows]


def _check_kinds(kind: _Kind, row: Mapping[str, Any]) -> None:
    """Raise `InputError` for a value of another type than its column's: SQLite keeps whatever was written by hand."""
    for name, allowed in kind.kinds.items():
        if type(row[name]) not in allowed:
            raise InputError(
                f"{kind.table.name}.{name}",
                f"the database holds {str(row[name])[:80]!r} there, which is no {_WORDS[allowed[0]]}; correct it, or "
                "restore the database from a copy",
            )


def count(connection: Connection, record: type[Any], *conditions: ColumnElement[bool]) -> int:
    """How many rows meet the conditions."""
    return int(connection.execute(select(func.count()).select_from(table_of(record)).where(*conditions)).scalar_one())


def within(column: ColumnElement[str], values: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column is one of a few values; databases take some ten thousands at most."""
    return column.in_(list(values))
