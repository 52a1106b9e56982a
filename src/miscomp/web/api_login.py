"""Logging in and out. Whoever guesses waits longer and longer, by name and by address."""

from __future__ import annotations

import math
from ipaddress import ip_address, ip_network

from anyio import CapacityLimiter
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from miscomp.annotate.accounts import check_password
from miscomp.annotate.messages import Message
from miscomp.annotate.people import Person
from miscomp.annotate.sessions import close_session
from miscomp.web.delays import Delays
from miscomp.web.identity import Someone, StoreOf, cookie_name, cookie_of, log_in
from miscomp.web.store import Mode, Store

router = APIRouter(prefix="/api")

WRONG = "name or password is wrong, or the account is closed"
"""One answer to all: nobody learns which names there are."""
MOST_WAITING = 32
"""Passwords that are checked or wait for it; more are sent away."""


class LoginTold(Message):
    """A name and a password. Lengths are those beyond which nothing is looked at."""

    name: str = Field(max_length=200)
    password: str = Field(max_length=2000)


class Gate:
    """How often passwords may be tried; one for each server, in memory."""

    def __init__(self) -> None:
        self.names = Delays(free=5, longest_s=60)
        """A minute at most: who guesses at a name must not shut its owner out."""
        self.addresses = Delays(free=20, longest_s=900)
        """A lab may sit behind one address."""
        # A hash takes 64 MiB and a tenth of a second: those who guess must not take memory and threads from work.
        self.limiter = CapacityLimiter(2)

    def wait(self, name: str, address: str) -> float:
        """Seconds until another password is looked at."""
        return max(self.names.wait(name), self.addresses.wait(address))


@router.post("/login")
async def login(request: Request, store: StoreOf, told: LoginTold) -> Response:
    """Begin a session with its cookie. 401 for whatever is wrong, 429 with `Retry-After` for who tries too often."""
    gate: Gate = request.app.state.gate
    address = network_of(request.client.host if request.client else "")
    wait = gate.wait(told.name, address)
    if wait > 0 or gate.limiter.statistics().tasks_waiting >= MOST_WAITING:
        seconds = max(1, math.ceil(wait))
        raise HTTPException(
            429, f"too many attempts; wait {seconds} s and try again", headers={"Retry-After": str(seconds)}
        )
    # Counted before the check, so that a hundred attempts at once are not one; forgotten when it was right.
    gate.names.failed(told.name)
    gate.addresses.failed(address)
    async with gate.limiter:
        person = await run_in_threadpool(_checked, store, told)
    if person is None:
        raise HTTPException(401, WRONG)
    gate.names.forget(told.name)
    gate.addresses.undo(address)  # an account of one's own does not buy guesses at those of others
    response = JSONResponse({"name": person.name})
    await run_in_threadpool(_begin, request, store, response, person)
    return response


def network_of(address: str) -> str:
    """Who counts as one: an IPv4 address, or an IPv6 network of 64 bits, in which one computer has all addresses."""
    try:
        read = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    read = getattr(read, "ipv4_mapped", None) or read
    return str(read) if read.version == 4 else str(ip_network((read, 64), strict=False))


def _checked(store: Store, told: LoginTold) -> Person | None:
    return check_password(store.corpus, told.name, told.password) if store.mode is Mode.LAB else None


def _begin(request: Request, store: Store, response: Response, person: Person) -> None:
    if old := cookie_of(request, store):
        close_session(store.corpus, old)
    log_in(store, response, person.name)


@router.post("/logout")
def logout(request: Request, store: StoreOf, found: Someone) -> Response:
    """End this session: its cookie is worth nothing any more, wherever it was copied to."""
    close_session(store.corpus, cookie_of(request, store))
    response = JSONResponse({"name": found.person.name})
    response.delete_cookie(cookie_name(store), path="/", secure=store.door.secure, httponly=True, samesite="strict")
    return response
