"""What all tests share: the network is closed, and data outside the project is found in one way."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import pytest

# Set before torch is imported: several threads that wait for each other make small tests slow on a busy machine,
# and one thread gives the same figures everywhere.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def _closed_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection that leaves the process; `ray` and `loopback`: this machine, `network`: the network."""
    if request.node.get_closest_marker("network"):
        return

    connect = socket.socket.connect
    own = any(request.node.get_closest_marker(name) for name in ("ray", "loopback"))

    def refuse(self: socket.socket, address: Any) -> None:
        if own and self.family == socket.AF_INET and address[0] == "127.0.0.1":
            connect(self, address)
        elif self.family != socket.AF_UNIX:
            raise AssertionError(f"a test reached for the network: {address}; mark it with pytest.mark.network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of data outside the project; the test is skipped where there is none."""
    folder = os.environ.get("MISCOMP_DATA")
    if not folder:
        pytest.skip("MISCOMP_DATA is not set")
    return Path(folder)
