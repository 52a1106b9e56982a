"""The server process: its socket, its patience with slow clients, its start and its end."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

import h11
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from miscomp.errors import InputError, UsageError
from miscomp.web.app import create_app
from miscomp.web.exposure import Tls
from miscomp.web.security import MAX_HEAD
from miscomp.web.store import Store

PORT = 8377
"""Where none is asked for; the next free one of twenty where it is taken."""
_PORTS = 20
HEADER_SECONDS = 15.0
"""In which a request's head must have come."""
READER_SECONDS = 60.0
"""In which a reader must take 64 KiB of an answer."""
CONNECTIONS = 256
"""More are told to come later."""
STOP_SECONDS = 20
"""That requests have to end when the server stops."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that gives up on who sends a head by drops, or does not read what was asked for."""

    _head: asyncio.TimerHandle | None = None
    _reader: asyncio.TimerHandle | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.access_log = False  # uvicorn's has the query, and with it the key

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE and not self.transport.is_closing():
            if self._head is None:
                self._wait_for_head()
        elif self._head is not None:
            self._head.cancel()
            self._head = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reader = self.loop.call_later(READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget(self._reader)

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget(self._head)
        self._forget(self._reader)
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        # What is left in the buffer may be for somebody who never reads it.
        self._reader = self.loop.call_later(READER_SECONDS, self.transport.abort)

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _forget(self, timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class CleanServer(Server):
    """A server that a signal stops after the requests at hand; a second one ends the process at once."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but the signal is not raised again afterwards: what is left to do is done then."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; on the second signal leave. Whatever was acknowledged is on the disk by then."""
        if self.should_exit:
            os._exit(128 + sig)
        self.should_exit = True


def listen(host: str, port: int | None) -> socket.socket:
    """A listening socket; with no port asked for, the first free one from `PORT` on, else any.

    Raises `UsageError` where the address is none of this computer's or the port asked for is taken.
    """
    wanted = [port] if port is not None else [*range(PORT, PORT + _PORTS), 0]
    taken: OSError | None = None
    for one in wanted:
        try:
            return _bound(host, one)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise UsageError(
                    f"cannot serve on {host}: {error}; give an address of this computer as --host"
                ) from error
            taken = error
    raise UsageError(f"cannot serve on port {port} of {host}: {taken}; give another --port, or none") from taken


def _bound(host: str, port: int) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, kind, protocol, _, address = found[0]
    # Without its protocol asyncio leaves Nagle's algorithm on, and busy connections wait 40 ms for each answer.
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it lets another program take the port over
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(128)
    except OSError:
        made.close()
        raise
    return made


def address_of(sock: socket.socket, host: str, *, secure: bool) -> str:
    """The URL under which a browser on this computer reaches a socket."""
    port = sock.getsockname()[1]
    name = "127.0.0.1" if host in ("0.0.0.0", "") else "::1" if host == "::" else host
    shown = f"[{name}]" if ":" in name else name
    return f"{'https' if secure else 'http'}://{shown}:{port}"


def make_server(store: Store, *, tls: Tls | None = None, proxies: Sequence[str] = ()) -> CleanServer:
    """A server for `run` with a socket of `listen`. `proxies`: whose word on a client's address is believed.

    Raises `InputError` for a certificate or key that cannot be used.
    """
    config = Config(
        create_app(store),
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),
        forwarded_allow_ips=list(proxies),
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=STOP_SECONDS,
        h11_max_incomplete_event_size=MAX_HEAD,
        ssl_certfile=tls.cert if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )
    try:
        config.load()
    except (OSError, ssl.SSLError) as error:
        raise InputError(
            tls.cert if tls else "TLS", f"cannot be used with its key: {error}; give PEM files to --cert and --key"
        ) from error
    return CleanServer(config)
