"""Who asks: cookies, sessions, roles, and the token that every change must carry."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from starlette.exceptions import HTTPException

from miscomp.annotate.people import Person
from miscomp.annotate.sessions import find_session, open_session
from miscomp.annotate.times import server_time
from miscomp.corpus.entries import Role, Session
from miscomp.web.store import Mode, Store

CSRF_HEADER = "X-Miscomp-CSRF"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who is logged in, and the session by which."""

    person: Person
    session: Session

    @property
    def csrf(self) -> str:
        """What this session's pages send with every change."""
        return self.session.csrf


# What waits for nothing is `async`: each plain function is handed to a thread of its own.
async def store_of(request: Request) -> Store:
    """What is served."""
    store: Store = request.app.state.store
    return store


StoreOf = Annotated[Store, Depends(store_of)]


def cookie_name(store: Store) -> str:
    """Of this corpus alone; under TLS browsers take it from no other host and no other path."""
    return f"{'__Host-' if store.door.secure else ''}miscomp-{store.identity}"


def log_in(store: Store, response: Response, account: str) -> Session:
    """Begin a session and give its cookie; whatever cookie the browser came with is worth nothing for it."""
    value, session = open_session(store.corpus, account, time=server_time())
    response.set_cookie(
        cookie_name(store),
        value,
        max_age=store.corpus.config.annotate.session_hours * 3600,
        path="/",
        secure=store.door.secure,
        httponly=True,
        samesite="strict",
    )
    return session


def cookie_of(request: Request, store: Store) -> str:
    """The session's cookie as it came; empty where none did, and where several did: another server on this host name
    put one of them there, perhaps with a session of its own.

    Read to the byte: frameworks strip more white space than browsers, who would let a neighbour set such a `__Host-`.
    """
    wanted = cookie_name(store).encode()
    parts = (part.strip(b" \t").partition(b"=") for one in _cookie_lines(request) for part in one.split(b";"))
    found = {value for name, _, value in parts if name == wanted}
    return found.pop().decode("latin-1") if len(found) == 1 else ""


def _cookie_lines(request: Request) -> list[bytes]:
    return [value for name, value in request.scope["headers"] if name == b"cookie"]


def sole_account(store: Store) -> str:
    """Whose sessions those of single mode are: no account can be called so, should one be made later."""
    return f"={store.labeler}"


def visitor_of(request: Request, store: StoreOf) -> Visitor | None:
    """Who asks; none for a stranger, an expired session, a disabled account. Looked up anew for every request."""
    value = cookie_of(request, store)
    if not value:
        return None
    with store.corpus.reading() as connection:
        found = find_session(connection, value, time=server_time())
    if found is None:
        return None
    session, person = found
    if store.mode is not Mode.LAB:
        person = store.person if session.account == sole_account(store) else None
    return Visitor(person, session) if person else None


def _admit(request: Request, found: Visitor | None) -> Visitor:
    if found is None:
        raise HTTPException(401, "nobody is logged in; log in again")
    if request.method != "GET":
        given = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(given.encode(), found.csrf.encode()):
            raise HTTPException(403, f"the header {CSRF_HEADER} is not that of this session; load the page again")
    return found


def _need_one_of(roles: Sequence[Role], found: Visitor) -> None:
    if not any(found.person.may(role) for role in roles):
        raise HTTPException(403, f"this is for a {' or '.join(roles)}; ask whoever keeps the accounts")


async def visitor(request: Request, found: Annotated[Visitor | None, Depends(visitor_of)]) -> Visitor:
    """Who asks. A stranger is refused with 401, a change without the session's token with 403."""
    return _admit(request, found)


Someone = Annotated[Visitor, Depends(visitor)]


@dataclass(frozen=True, slots=True)
class _Checked:
    """Lets through who has one of some roles."""

    roles: tuple[Role, ...]

    async def __call__(self, found: Someone) -> Visitor:
        _need_one_of(self.roles, found)
        return found


@dataclass(frozen=True, slots=True)
class _CheckedPerson:
    """The same, without the session."""

    checked: _Checked

    async def __call__(self, found: Someone) -> Person:
        return (await self.checked(found)).person


def admitted(request: Request, store: Store, *roles: Role) -> Person:
    """The person of `person_with`, for a route that asks by itself; it asks the database, so not in the event loop."""
    found = _admit(request, visitor_of(request, store))
    _need_one_of(roles, found)
    return found.person


def visitor_with(*roles: Role) -> Any:
    """A dependency: the visitor, who must have one of the roles, else 403."""
    return Depends(_Checked(roles))


def person_with(*roles: Role) -> Any:
    """A dependency: the person, who must have one of the roles, else 403."""
    return Depends(_CheckedPerson(_Checked(roles)))
