"""The labelers' server in a thread of the test, on a free port of the loopback, and a browser's page on it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browser import BROWSER
from corpora import small_corpus
from fastapi import FastAPI
from uvicorn import Server

from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.corpus import Corpus
from miscomp.web.server import address_of, listen, make_server
from miscomp.web.store import Store, open_store

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NEEDS_BROWSER = [
    pytest.mark.browser,
    pytest.mark.loopback,
    pytest.mark.skipif(BROWSER is None, reason="Chromium is not installed; the pages are not tried in a browser"),
]
"""Marks of a module whose tests open a page."""


@dataclass
class Running:
    """A server that answers."""

    store: Store
    address: str
    """`http://127.0.0.1:PORT`."""
    port: int
    app: FastAPI = field(repr=False)
    _server: Server = field(repr=False)
    _thread: threading.Thread = field(repr=False)

    @property
    def entrance(self) -> str:
        """The address that lets the one labeler of single mode in."""
        return f"{self.address}/enter?key={self.store.keys.printed}"

    def stop(self) -> None:
        """Stop it as a signal does, and wait."""
        self._server.should_exit = True
        self._thread.join(30)
        if self._thread.is_alive():
            raise RuntimeError("the server did not stop")


def batched(folder: Path, *, images: int = 2, **settings: Any) -> Corpus:
    """A small corpus whose pairs are in batches, all of them given to somebody."""
    corpus = small_corpus(folder, images=images, labels=False, **settings)
    with corpus.writing() as connection:
        make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, corpus.config.batches.labelers)
    return corpus


def start(corpus: Corpus, *, port: int = 0, **options: Any) -> Running:
    """Start a server; `options` are those of `open_store`. With the `port` of one that was stopped, in its place."""
    store = open_store(corpus, **options)
    sock = listen("127.0.0.1", port)
    server = make_server(store)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        if not thread.is_alive() or time.monotonic() > until:
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
    address = address_of(sock, "127.0.0.1", secure=False)
    app: FastAPI = server.config.app  # type: ignore[assignment]
    return Running(store, address, sock.getsockname()[1], app, server, thread)


@contextmanager
def serve(corpus: Corpus, **options: Any) -> Iterator[Running]:
    """A server for as long as the block lasts. With an account in the corpus everybody logs in, else by the key."""
    running = start(corpus, **options)
    try:
        yield running
    finally:
        running.stop()


@contextmanager
def browser() -> Iterator[Browser]:
    """Debian's Chromium without a window. One for a module is enough: its pages share nothing."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=str(BROWSER), args=["--no-sandbox", "--disable-quic", "--disable-background-networking"]
        )
        try:
            yield chromium
        finally:
            chromium.close()


@contextmanager
def open_page(
    chromium: Browser,
    running: Running,
    path: str = "/",
    *,
    login: tuple[str, str] | None = None,
    size: tuple[int, int] = (1366, 768),
    expected: tuple[str, ...] = (),
) -> Iterator[Page]:
    """A page in a window of its own, logged in: by the key, or by name and password.

    What its scripts throw, print as an error or may not load fails the test at the end, but for texts with one of the
    `expected` in them.
    """
    context = chromium.new_context(viewport={"width": size[0], "height": size[1]})
    context.set_default_timeout(10_000)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
    try:
        # The forms are tried where coming in is; here each page would only be loaded twice for it.
        if login is None:
            answer = context.request.get(running.entrance)
        else:
            said = {"name": login[0], "password": login[1]}
            answer = context.request.post(f"{running.address}/api/login", data=said)
        assert answer.ok, answer.text()
        page.goto(running.address + path)
        yield page
        bad = [one for one in wrong if not any(part in one for part in expected)]
        assert bad == [], f"the page said: {bad}"
    finally:
        context.close()
