"""A server on the loopback for a test, with the rest of the network closed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from typing import Any

import pytest

_CONNECT = socket.socket.connect
"""The real one, taken before a test closes the network."""


@contextmanager
def alone(server: HTTPServer, stopping: threading.Event) -> Iterator[None]:
    """Serve until the block ends; no other port can be reached. `stopping` is set before the server is closed."""
    port = server.server_port

    def connect(self: socket.socket, address: Any) -> None:
        if address != ("127.0.0.1", port):
            raise AssertionError(f"a test reached for the network: {address}")
        _CONNECT(self, address)

    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            server.shutdown()
            server.server_close()
            thread.join()
