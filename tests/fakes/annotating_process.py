"""The labelers' server as a process of its own, and people who send what they did until they are answered."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from telling import aliases, box

from miscomp.annotate.accounts import add_account
from miscomp.annotate.sessions import open_session
from miscomp.annotate.times import server_time
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Role
from miscomp.web.identity import cookie_name
from miscomp.web.server import listen
from miscomp.web.store import open_store

PASSWORD = "correct horse battery"


def free_port() -> int:
    """A port that was free a moment ago."""
    with listen("127.0.0.1", 0) as sock:
        port: int = sock.getsockname()[1]
    return port


@contextmanager
def process(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`miscomp annotate FOLDER` on a port, from its first answer on; killed at the end if it still runs."""
    command = [sys.executable, "-m", "miscomp", "annotate", str(folder), "--no-browser", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as started:
        try:
            assert started.stdout is not None
            printed = started.stdout.readline()
            assert printed, started.communicate(timeout=10)[1]
            assert httpx.get(f"http://127.0.0.1:{port}/login", timeout=30).status_code == 200
            yield started
        finally:
            if started.poll() is None:
                started.kill()


@dataclass
class Sender:
    """A labeler's browser: a message is sent again and again until it is answered, then the next one."""

    address: str
    cookies: dict[str, str]
    csrf: str
    pairs: Sequence[str]
    note: str = ""
    stored: list[str] = field(default_factory=list)
    """Names of what was acknowledged."""
    lost: int = 0
    """Messages whose answer never came."""
    refused: list[str] = field(default_factory=list)
    """What came with 503."""
    strange: list[str] = field(default_factory=list)
    _number: int = 0

    def client(self) -> httpx.Client:
        """Logged in."""
        headers = {"X-Miscomp-CSRF": self.csrf}
        return httpx.Client(base_url=self.address, cookies=self.cookies, headers=headers, timeout=20)

    def run(self, stop: threading.Event) -> None:
        """Send three boxes at a time until told to stop, and end when all that was begun is answered."""
        with self.client() as client:
            while not stop.is_set() and not self.strange:
                self.send(client)

    def send(self, client: httpx.Client, *, tries: int = 2000) -> bool:
        """Send one message of three new boxes; whether it was acknowledged."""
        message = [self._box() for _ in range(3)]
        for _ in range(tries):
            try:
                answer = client.post("/api/save", json={"events": message})
            except httpx.TransportError:
                self.lost += 1
                time.sleep(0.02)
                continue
            if answer.status_code == 503:
                self.refused.append(answer.text)
                time.sleep(0.02)
                continue
            self._heard(answer)
            return True
        return False

    def _heard(self, answer: httpx.Response) -> None:
        replies = answer.json().get("replies", []) if answer.status_code == 200 else []
        if not replies or {one["outcome"] for one in replies} - {"stored", "known"}:
            self.strange.append(answer.text)
        self.stored += [one["uuid"] for one in replies]

    def _box(self) -> dict[str, Any]:
        number = self._number
        self._number += 1
        alias = self.pairs[number % len(self.pairs)]
        return box(alias, number % 600, number // 600 % 400, note=self.note)


def senders(corpus: Corpus, names: Sequence[str], port: int, *, note: str = "") -> list[Sender]:
    """Labelers with accounts who are logged in at the server that will run on a port."""
    for name in names:
        add_account(corpus, name, roles=[Role.LABELER], password=PASSWORD)
    store = open_store(corpus)
    found = []
    for name in names:
        value, session = open_session(corpus, name, time=server_time())
        address = f"http://127.0.0.1:{port}"
        found.append(Sender(address, {cookie_name(store): value}, session.csrf, aliases(corpus, name), note))
    return found


@contextmanager
def at_work(people: Sequence[Sender]) -> Iterator[None]:
    """All of them send for as long as the block lasts; at its end everybody is answered."""
    stop = threading.Event()
    threads = [threading.Thread(target=one.run, args=(stop,), daemon=True) for one in people]
    for one in threads:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in threads:
            one.join(30)
    assert not any(one.is_alive() for one in threads), "somebody still waits for an answer"


def until(true: Any, *, seconds: float = 30.0) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.005)


def said(answers: Sequence[str]) -> set[str]:
    """The messages of refused saves, once each."""
    return {str(json.loads(one)["error"]) for one in answers}
