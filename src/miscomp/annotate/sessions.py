"""Browsers that are logged in. The database has the hash of a cookie, never the cookie."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, delete, select

from miscomp.annotate.people import Person, split_roles
from miscomp.annotate.times import stamp
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Session
from miscomp.corpus.schema import ACCOUNT, SESSION, add

_BYTES = 32
_LONGEST = 128
"""Characters of a cookie that is looked up at all."""


def open_session(corpus: Corpus, account: str, *, time: datetime) -> tuple[str, Session]:
    """Log somebody in: the cookie's value, and what is stored. Sessions that have expired are forgotten.

    `account` is a name that was checked; in a corpus without accounts it is the one person's.
    """
    value = secrets.token_urlsafe(_BYTES)
    session = Session(
        token=_hashed(value),
        account=account,
        csrf=secrets.token_urlsafe(_BYTES),
        opened=stamp(time),
        expires=stamp(time + timedelta(hours=corpus.config.annotate.session_hours)),
    )
    with corpus.writing() as connection:
        connection.execute(delete(SESSION).where(SESSION.c.expires <= session.opened))
        add(connection, [session])
    return value, session


# Made once: every request asks.
_FIND = (
    select(*SESSION.c, ACCOUNT.c.name.label("known_as"), ACCOUNT.c.roles, ACCOUNT.c.disabled)
    .join_from(SESSION, ACCOUNT, ACCOUNT.c.name == SESSION.c.account, isouter=True)
    .where(SESSION.c.token == bindparam("token"), SESSION.c.expires > bindparam("now"))
)


def find_session(connection: Connection, value: str, *, time: datetime) -> tuple[Session, Person | None] | None:
    """The session of a cookie's value, which a stranger may have made up; none where there is none, or it expired.

    With it whose it is, with the roles of this moment; nobody's where the account is gone or disabled.
    """
    if not value or len(value) > _LONGEST or not value.isascii():
        return None
    row = connection.execute(_FIND, {"token": _hashed(value), "now": stamp(time)}).first()
    if row is None:
        return None
    session = Session(token=row.token, account=row.account, csrf=row.csrf, opened=row.opened, expires=row.expires)
    nobody = row.known_as is None or row.disabled
    return session, None if nobody else Person(row.known_as, split_roles(row.roles))


def close_session(corpus: Corpus, value: str) -> None:
    """Log out: the cookie is worth nothing any more. One that is not known is none already."""
    with corpus.writing() as connection:
        connection.execute(delete(SESSION).where(SESSION.c.token == _hashed(value)))


def _hashed(value: str) -> str:
    # 256 random bits need no slow hash.
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
