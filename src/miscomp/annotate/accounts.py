"""Who may log in, with which roles. Passwords are stored as argon2id hashes; nobody can read them.

Functions that change something write for themselves, as hashing a password takes too long to hold up other writers.
"""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from sqlalchemy import Connection, delete

from miscomp.annotate.people import Person, join_roles, split_roles
from miscomp.corpus.batches.planning import check_labelers
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Account, Role, now
from miscomp.corpus.schema import ACCOUNT, SESSION, add, count, fetch, put
from miscomp.errors import MissingExtra, UsageError

SHORTEST, LONGEST = 10, 256
"""Characters of a password; longer ones would let strangers have the server hash megabytes."""
_AT_ONCE = threading.BoundedSemaphore(2)
"""A hash takes 64 MiB: a crowd at the door must not take the memory of those who work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An account as it may be shown."""

    name: str
    roles: frozenset[Role]
    added: str
    disabled: bool


def has_accounts(connection: Connection) -> bool:
    """Whether anybody has to log in; disabled accounts count, or disabling the last would open the doors."""
    return count(connection, Account) > 0


def find_account(connection: Connection, name: str) -> Account | None:
    """The account of a name, to the letter; none where there is none."""
    if "\0" in name or not name.isascii():
        return None
    found = fetch(connection, Account, ACCOUNT.c.name == name)
    return found[0] if found else None


def list_accounts(connection: Connection) -> list[Listed]:
    """All accounts by name, without what belongs to passwords."""
    return [
        Listed(name=one.name, roles=split_roles(one.roles), added=one.added, disabled=one.disabled)
        for one in fetch(connection, Account)
    ]


def add_account(corpus: Corpus, name: str, *, roles: Iterable[Role], password: str) -> None:
    """Make an account. Raises `UsageError` for a name that is taken or no name, and for a password that is none."""
    check_labelers([name])
    account = Account(name=name, roles=join_roles(roles), password=_hashed(password), added=now())
    with corpus.writing() as connection:
        names = [one.name for one in fetch(connection, Account)]
        if alike := [one for one in names if one.lower() == name.lower()]:
            raise UsageError(f"there is an account {alike[0]} already; choose another name, or change that one")
        add(connection, [account])


def set_password(corpus: Corpus, name: str, password: str) -> None:
    """Give an account another password, and log it out everywhere. Raises `UsageError` as `add_account` does."""
    hashed = _hashed(password)
    with corpus.writing() as connection:
        put(connection, [replace(_known(connection, name), password=hashed)])
        _log_out(connection, name)


def set_roles(corpus: Corpus, name: str, roles: Iterable[Role]) -> None:
    """Give an account other roles; they hold from its next request on. Raises `UsageError` for an unknown name."""
    joined = join_roles(roles)
    with corpus.writing() as connection:
        put(connection, [replace(_known(connection, name), roles=joined)])


def disable(corpus: Corpus, name: str, *, disabled: bool = True) -> None:
    """Shut an account out at once, or let it in again; what it drew stays. Raises `UsageError` for an unknown name."""
    with corpus.writing() as connection:
        put(connection, [replace(_known(connection, name), disabled=disabled)])
        _log_out(connection, name)


def check_password(corpus: Corpus, name: str, password: str) -> Person | None:
    """Who logs in; none for a wrong password, an unknown name or a disabled account, all after the same work.

    A hash that was made with other costs than today's is made anew.
    """
    hasher, nobodys = _hasher(), _nobodys()
    from argon2.exceptions import InvalidHashError, VerificationError

    with corpus.reading() as connection:
        account = find_account(connection, name)
    if len(password) > LONGEST:
        return None
    given = _normal(password)
    with _AT_ONCE:
        try:
            hasher.verify(account.password if account else nobodys, given)
        except (VerificationError, InvalidHashError):
            return None
    if account is None or account.disabled:
        return None
    if hasher.check_needs_rehash(account.password):
        _rehash(corpus, account, password)
    return Person(account.name, split_roles(account.roles))


def _rehash(corpus: Corpus, account: Account, password: str) -> None:
    hashed = _hashed(password, old=True)
    with corpus.writing() as connection:
        standing = find_account(connection, account.name)
        if standing is not None and standing.password == account.password:  # nobody changed it meanwhile
            put(connection, [replace(standing, password=hashed)])


def _known(connection: Connection, name: str) -> Account:
    account = find_account(connection, name)
    if account is None:
        names = [one.name for one in fetch(connection, Account)]
        raise UsageError(f"there is no account {name!r}; there are: {', '.join(names) or 'none'}")
    return account


def _log_out(connection: Connection, name: str) -> None:
    connection.execute(delete(SESSION).where(SESSION.c.account == name))


def _hashed(password: str, *, old: bool = False) -> str:
    if not old and not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(f"a password has {SHORTEST} to {LONGEST} characters, this one {len(password)}; choose another")
    with _AT_ONCE:
        return str(_hasher().hash(_normal(password)))


def _normal(password: str) -> bytes:
    # The same letters come as other characters from other keyboards (NIST SP 800-63B, 5.1.1.2).
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")


@cache
def _hasher() -> Any:
    try:
        from argon2 import PasswordHasher
    except ModuleNotFoundError as error:
        raise MissingExtra("argon2-cffi", "web", "accounts with passwords") from error
    return PasswordHasher()  # argon2id, RFC 9106's second choice: 64 MiB, three passes


@cache
def _nobodys() -> str:
    """A hash to check against where a name is not known: else the time of an answer would tell which names are."""
    return str(_hasher().hash(b"nobody's"))
