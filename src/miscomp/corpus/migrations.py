"""How a corpus' database comes to the present form: one function a step, each in the transaction that opens it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Connection, select, update

from miscomp.corpus.schema import META, METADATA
from miscomp.errors import InputError

SCHEMA = 1
"""Number of the present form."""

STEPS: dict[int, Callable[[Connection], None]] = {}
"""From the number before to the one after; none yet."""


def create(connection: Connection) -> None:
    """Make all tables."""
    METADATA.create_all(connection)


def upgrade(connection: Connection, where: Path) -> None:
    """Take every step that is missing. Raises `InputError` for a database of a later release or of another kind."""
    found = connection.execute(select(META.c.value).where(META.c.name == "schema")).scalar_one_or_none()
    if found is None or not re.fullmatch("[0-9]{1,9}", found):
        raise InputError(where, "its database is not one of a corpus; name another, or restore it from a copy")
    number = int(found)
    if number > SCHEMA:
        raise InputError(where, f"its database has form {number}, this release knows up to {SCHEMA}; update miscomp")
    for step in range(number, SCHEMA):
        STEPS[step](connection)
    if number < SCHEMA:
        connection.execute(update(META).where(META.c.name == "schema").values(value=str(SCHEMA)))
