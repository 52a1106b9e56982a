"""Who reaches a server, and what must be there before strangers or eavesdroppers can."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from pathlib import Path

from miscomp.errors import UsageError
from miscomp.web.store import LOOPBACK_NAMES, Door, Mode, host_name, is_loopback


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate with its chain, and its key, as PEM files."""

    cert: Path
    key: Path | None = None
    """None where it is in the certificate's file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Who reaches the server, as it was asked for."""

    host: str = "127.0.0.1"
    names: tuple[str, ...] = ()
    """Under which it is reached besides."""
    proxies: tuple[str, ...] = ()
    tls: Tls | None = None
    insecure: bool = False

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS."""
        return self.tls is not None or (bool(self.proxies) and not self.insecure)

    @property
    def local(self) -> bool:
        """Whether this computer alone reaches it."""
        return is_loopback(self.host) and not self.proxies

    def door(self) -> Door:
        """Which names it answers to. Raises `UsageError` behind a proxy without a name."""
        if self.proxies and not self.names:
            raise UsageError("behind a proxy the server must be told its name: --public-name labels.example.org")
        names = {host_name(one) for one in self.names}
        if is_loopback(self.host):
            return Door(frozenset({*LOOPBACK_NAMES, *names}), addresses=False, secure=self.secure)
        own = {host_name(socket.gethostname()), host_name(self.host)} - {""}
        return Door(frozenset({*LOOPBACK_NAMES, *names, *own}), addresses=True, secure=self.secure)

    def check(self, mode: Mode) -> None:
        """Raise `UsageError` for a server that strangers would reach, or whose passwords others would read."""
        if self.local:
            return
        if mode is Mode.SINGLE:
            raise UsageError(
                "others would reach this server, and there are no accounts; make some with: miscomp annotate user add, "
                "or serve on 127.0.0.1 without a proxy"
            )
        if not self.secure and not self.insecure:
            raise UsageError(
                "passwords would cross the network readable; give --cert and --key, or --behind-proxy ADDRESS of a "
                "proxy that has TLS (--insecure serves all the same)"
            )
