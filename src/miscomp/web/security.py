"""The guard before every route: which requests come in at all, how much of them, and what every answer says.

What it refuses it refuses before any route, any database and any reading of JSON. Written against ASGI itself, since
frameworks' wrappers read whole bodies before they count them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from miscomp.report.wording import one_line
from miscomp.web.store import Door

MAX_BODY = 512 * 1024
"""Bytes of a request's body."""
MAX_HEAD = 16 * 1024
"""Bytes of its head."""
MAX_TARGET = 2048
"""Bytes of a path, and of a query."""
BODY_SECONDS = 30.0
"""In which a body must have come."""

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
    "worker-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = (
    (b"content-security-policy", CONTENT_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (
        b"permissions-policy",
        b"accelerometer=(), camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
)
_DRAINED = 16 * MAX_BODY
_ALLOWED = ("GET", "HEAD", "POST")
_LOG = logging.getLogger(__name__)


class Refused(Exception):
    """A request that no route sees."""

    def __init__(self, status: int, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.headers = headers


class Guard:
    """Around the app: checks a request, reads its body, adds the headers, writes the log."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; other kinds than HTTP are closed."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(scope, send)
        begun = time.monotonic()
        try:
            headers = _headers(scope)
            self._check(scope, headers)
            body = await _body(scope, headers, receive)
            # Routes know GET; what answers HEAD is the same without its body.
            inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
            await self._app(inner, _replay(body, receive), answer.send)
        except Refused as refused:
            await answer.refuse(refused)
        except Exception as error:
            _LOG.error("%s %s: %s", scope["method"], one_line(scope["path"]), type(error).__name__, exc_info=error)
            await answer.refuse(Refused(500, "the server made a mistake; its log says which"))
        finally:
            spent = 1000 * (time.monotonic() - begun)
            who = (scope.get("client") or ("-",))[0]
            # Never the query: it may hold the key. Never a body: it may hold a password.
            _LOG.info("%s %s %s %d %.0f ms", who, scope["method"], one_line(scope["path"]), answer.status, spent)

    def _check(self, scope: Scope, headers: dict[str, list[str]]) -> None:
        """Raise `Refused` for a request that does not come from a page of this server or asks for nothing it has."""
        # The parser counts what is incomplete; a head that came in one piece it takes at any length.
        if sum(len(name) + len(value) + 4 for name, value in scope["headers"]) > MAX_HEAD:
            raise Refused(431, f"a request's head has at most {MAX_HEAD} bytes")
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._door.knows(hosts[0]):
            raise Refused(421, "this server does not go by that name; see --public-name")
        if scope["method"] not in _ALLOWED:
            raise Refused(405, "only GET, HEAD and POST are answered", allow=", ".join(_ALLOWED))
        if len(scope.get("raw_path") or b"") > MAX_TARGET or len(scope["query_string"]) > MAX_TARGET:
            raise Refused(414, f"an address has at most {MAX_TARGET} bytes here")
        if not scope["path"].isprintable():
            raise Refused(400, "the address has control characters in it")
        self._check_origin(scope, headers, hosts[0])

    def _check_origin(self, scope: Scope, headers: dict[str, list[str]], host: str) -> None:
        """Browsers say where a request comes from; programs that say nothing still need the session's token."""
        changes = scope["method"] == "POST"
        site = headers.get("sec-fetch-site", ["none"])[0]
        if site not in ("same-origin", "none") and (changes or headers.get("sec-fetch-mode") != ["navigate"]):
            raise Refused(403, "the request came from a page of another site")
        for origin in headers.get("origin", []):
            if not self._is_own(origin, host):
                raise Refused(403, "the request came from a page of another site")

    def _is_own(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        schemes = ("https",) if self._door.secure else ("http", "https")
        return parts.scheme in schemes and parts.netloc.lower() == host.strip().lower()


class _Answer:
    """Adds headers to what is sent."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._head = scope["method"] == "HEAD"
        self._send = send
        self.begun = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            there = {name.lower() for name, _ in message["headers"]}
            more = [] if b"cache-control" in there else [(b"cache-control", b"no-store")]
            more += [(name, value) for name, value in HEADERS if name not in there]
            message = {**message, "headers": [*message["headers"], *more]}
        elif self._head and message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await self._send(message)

    async def refuse(self, refused: Refused) -> None:
        if self.begun:
            return
        body = json.dumps({"error": refused.reason}).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        headers += [(name.encode(), value.encode()) for name, value in refused.headers.items()]
        if refused.status in (408, 413):
            headers.append((b"connection", b"close"))  # the rest of the body is not read
        await self.send({"type": "http.response.start", "status": refused.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


def _headers(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


async def _body(scope: Scope, headers: dict[str, list[str]], receive: Receive) -> bytes:
    """The whole body, counted while it comes. Raises `Refused` for one that is too long, too slow or no JSON."""
    length = headers.get("content-length", ["0"])[-1]
    long = not length.isdecimal() or int(length[:20]) > MAX_BODY
    kind = headers.get("content-type", [""])[-1].partition(";")[0].strip().lower()
    if scope["method"] == "POST" and kind != "application/json" and not long:
        raise Refused(415, "only JSON is taken (Content-Type: application/json)")
    body = bytearray()
    thrown = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "the connection was closed")
                piece = message.get("body", b"")
                long = long or len(body) + len(piece) > MAX_BODY
                thrown += len(piece)
                if not long:
                    body += piece
                # Some of what is too long is read and thrown away: who is still sending would not read the answer.
                if long and (thrown > _DRAINED or not message.get("more_body", False)):
                    raise Refused(413, f"a request has at most {MAX_BODY} bytes")
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        raise Refused(408, "the request came too slowly") from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """What the app reads: the body that was read, then whatever comes after it."""
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def told(error: Any) -> str:
    """An error as the one line that the browser is told."""
    return one_line(str(error))[:500]
