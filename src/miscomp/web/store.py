"""What a server serves, and for whom: one corpus, one labeler with a key or several with passwords."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from miscomp.annotate.accounts import has_accounts
from miscomp.annotate.people import Person, everything
from miscomp.corpus.batches.planning import shares
from miscomp.corpus.corpus import Corpus, meta
from miscomp.errors import UnknownName, UsageError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")


class Mode(StrEnum):
    """Who may come in."""

    SINGLE = "single"
    """One person, who was given the key in the printed address."""
    LAB = "lab"
    """Whoever has an account."""


@dataclass(frozen=True, slots=True)
class Door:
    """Under which names the server answers, and how its cookies travel."""

    names: frozenset[str] = frozenset(LOOPBACK_NAMES)
    """In lower case, without ports; IPv6 in brackets."""
    addresses: bool = False
    """Whether any numeric address is one of its names: a page that rebinds a name of its own has none."""
    secure: bool = False
    """Whether browsers reach it by TLS, its own or a proxy's."""

    def knows(self, host: str) -> bool:
        """Whether a `Host` header names this server; the port is not looked at."""
        name = host_name(host)
        return name in self.names or (self.addresses and _is_address(name))


class Keys:
    """What lets the one labeler of single mode in."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.printed = secrets.token_urlsafe(32)
        """Stands in the address on the terminal, and is good while the server runs."""
        self._clock = clock
        self._once: dict[str, float] = {}

    def make_once(self) -> str:
        """A key for one use within two minutes: a browser is started with it, and others see how programs are."""
        key = secrets.token_urlsafe(32)
        self._once[key] = self._clock() + 120
        return key

    def take(self, key: str) -> bool:
        """Whether a key lets in; one for one use is used up by this."""
        if hmac.compare_digest(key.encode(), self.printed.encode()):
            return True
        return self._once.pop(key, 0.0) > self._clock()


@dataclass(frozen=True, slots=True)
class Store:
    """A corpus that is served."""

    corpus: Corpus
    mode: Mode
    labeler: str = ""
    """Who works in single mode; empty in lab mode."""
    door: Door = Door()
    identity: str = ""
    """Eight hex digits of the corpus: two servers on one computer do not take each other's cookies."""
    keys: Keys = field(default_factory=Keys, repr=False)
    """Not used in lab mode."""

    @property
    def person(self) -> Person:
        """The one person of single mode, who may do all."""
        return everything(self.labeler)


def open_store(corpus: Corpus, *, labeler: str = "", door: Door | None = None) -> Store:
    """What to serve of a corpus: with an account in it, for those who have one, else for one labeler.

    `labeler`: who that is; empty: the only one of the settings. Raises `UsageError` where several are possible, and for
    a labeler beside accounts.
    """
    with corpus.reading() as connection:
        lab = has_accounts(connection)
        identity = hashlib.sha256(meta(connection, "corpus").encode()).hexdigest()[:8]
        given = {one.labeler for one in shares(connection)}
    if lab:
        if labeler:
            raise UsageError("this corpus has accounts, so that everybody logs in by name; leave --labeler away")
        return Store(corpus, Mode.LAB, door=door or Door(), identity=identity)
    names = sorted({*corpus.config.batches.labelers, *given})
    if not labeler and len(names) > 1:
        raise UsageError(
            f"this corpus has the labelers {', '.join(names)}; say who works with --labeler, or give each an account "
            "with: miscomp annotate user add"
        )
    if labeler and labeler not in names:
        raise UnknownName("labeler", labeler, names)
    return Store(corpus, Mode.SINGLE, labeler or names[0], door or Door(), identity)


def host_name(host: str) -> str:
    """The name in a `Host` header or of a bind address: without port, in lower case, without the root's dot."""
    text = host.strip().lower()
    if text.startswith("["):
        return text.partition("]")[0] + "]"
    name, _, _ = text.partition(":")
    return name.removesuffix(".")


def is_loopback(host: str) -> bool:
    """Whether only this computer reaches an address."""
    name = host_name(host) if ":" not in host or host.startswith("[") else f"[{host}]"
    if name == "localhost":
        return True
    return _is_address(name) and ipaddress.ip_address(name.strip("[]")).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
