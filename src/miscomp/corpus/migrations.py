"""How a corpus' database comes to the present form: one function a step, each in the transaction that opens it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, Table, inspect, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateColumn

from miscomp.corpus.schema import (
    DECISION,
    ITEM_BY_ALIAS,
    LABEL_EVENT,
    META,
    METADATA,
    MULTI_FLAG,
    REPLACED_ONCE,
    SEEN_BY_LABELER,
)
from miscomp.errors import InputError

SCHEMA = 2
"""Number of the present form."""


def _to_2(connection: Connection) -> None:
    """The labelers' tool: its tables, the batch in which a box was drawn, and one successor of an event at most."""
    METADATA.create_all(connection)  # those that are not there
    _add_column(connection, LABEL_EVENT, "batch", "''")
    _add_column(connection, MULTI_FLAG, "overall", "false")
    _add_column(connection, MULTI_FLAG, "batch", "''")
    _add_column(connection, MULTI_FLAG, "version", "''")
    _add_column(connection, DECISION, "version", "''")
    ITEM_BY_ALIAS.create(connection, checkfirst=True)
    SEEN_BY_LABELER.create(connection, checkfirst=True)
    try:
        REPLACED_ONCE.create(connection, checkfirst=True)
    except IntegrityError as error:
        raise InputError(
            "label_event", "two events there supersede the same one; delete one of the two, or restore from a copy"
        ) from error


def _add_column(connection: Connection, table: Table, name: str, default: str) -> None:
    if name in {one["name"] for one in inspect(connection).get_columns(table.name)}:
        return
    column = CreateColumn(table.c[name]).compile(dialect=connection.dialect)
    # Names and types are the schema's own; no value of a user's stands in this.
    connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {column} DEFAULT {default}")


STEPS: dict[int, Callable[[Connection], None]] = {1: _to_2}
"""From the number before to the one after."""


def create(connection: Connection) -> None:
    """Make all tables."""
    METADATA.create_all(connection)


def upgrade(connection: Connection, where: Path, *, read_only: bool) -> None:
    """Take every step that is missing.

    Raises `InputError` for a database of a later release or of another kind, and for an old one that is `read_only`.
    """
    found = connection.execute(select(META.c.value).where(META.c.name == "schema")).scalar_one_or_none()
    if found is None or not re.fullmatch("[0-9]{1,9}", found):
        raise InputError(where, "its database is not one of a corpus; name another, or restore it from a copy")
    number = int(found)
    if number > SCHEMA:
        raise InputError(where, f"its database has form {number}, this release knows up to {SCHEMA}; update miscomp")
    if number < SCHEMA and read_only:
        raise InputError(
            where,
            f"its database has form {number}, this release needs form {SCHEMA}, and nothing can be written here; "
            "open a copy that can be written",
        )
    for step in range(number, SCHEMA):
        STEPS[step](connection)
    if number < SCHEMA:
        connection.execute(update(META).where(META.c.name == "schema").values(value=str(SCHEMA)))
