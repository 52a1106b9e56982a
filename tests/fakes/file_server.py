"""A server of files on the loopback that misbehaves as a test asks. It keeps what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from loopback import alone


@dataclass(kw_only=True)
class Behaviour:
    """How the server answers; may be changed between requests."""

    files: dict[str, bytes] = field(default_factory=dict)
    """By path, with the leading slash."""
    etag: str = '"one"'
    ranges: bool = True
    """Whether it knows Range."""
    heed_if_range: bool = True
    lengths: bool = True
    chunked: bool = False
    cut: int | None = None
    """Bytes of a body after which it hangs up."""
    status: int = 200
    wait: float = 0.0
    """Seconds before it answers."""
    drip: float = 0.0
    """Seconds between the bytes of the body."""
    drip_head: float = 0.0
    """Seconds between the bytes of an endless head."""
    redirect: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None
    """What the body waits for."""


class Server:
    """A running server."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.first = threading.Event()
        """Set by the first request."""
        self.stopping = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, dict(self.headers)))
                server.first.set()
                with suppress(ConnectionError):
                    server._answer(self)

            def log_message(self, *arguments: object) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.root = f"http://127.0.0.1:{self._http.server_port}"

    def _answer(self, to: BaseHTTPRequestHandler) -> None:
        how = self.behaviour
        self.stopping.wait(how.wait)
        if how.drip_head:
            to.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
            while not self.stopping.wait(how.drip_head):
                to.wfile.write(b"x")
            return
        if to.path in how.redirect:
            to.send_response(302)
            to.send_header("Location", how.redirect[to.path])
            to.end_headers()
            return
        if how.status != 200 or to.path not in how.files:
            to.send_error(how.status if how.status != 200 else 404)
            return
        self._send(to, how.files[to.path])

    def _send(self, to: BaseHTTPRequestHandler, content: bytes) -> None:
        how, start = self.behaviour, self._start(to)
        if start >= len(content) > 0:
            to.send_response(416)
            to.send_header("Content-Range", f"bytes */{len(content)}")
            to.end_headers()
            return
        to.send_response(206 if start else 200)
        if start:
            to.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        body = content[start:]
        heads = {"ETag": how.etag, "Content-Length": str(len(body)) if how.lengths and not how.chunked else ""}
        heads |= {"Transfer-Encoding": "chunked" if how.chunked else "", **how.headers}
        for name, value in heads.items():
            if value:
                to.send_header(name, value)
        to.end_headers()
        if how.gate is not None:
            how.gate.wait(10)
        self._send_body(to, body[: how.cut], whole=how.cut is None)

    def _start(self, to: BaseHTTPRequestHandler) -> int:
        how, wanted = self.behaviour, to.headers.get("Range", "")
        if not how.ranges or not wanted or (how.heed_if_range and to.headers.get("If-Range") != how.etag):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send_body(self, to: BaseHTTPRequestHandler, body: bytes, *, whole: bool) -> None:
        if self.behaviour.drip:
            for byte in body:
                to.wfile.write(bytes([byte]))
                if self.stopping.wait(self.behaviour.drip):
                    return
        elif self.behaviour.chunked:
            to.wfile.write(b"%x\r\n%s\r\n" % (len(body), body) + (b"0\r\n\r\n" if whole else b""))
        else:
            to.wfile.write(body)

    @contextmanager
    def running(self) -> Iterator[Server]:
        """Serve until the block ends; the network is closed but for this server's port."""
        with alone(self._http, self.stopping):
            yield self
