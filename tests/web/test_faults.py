"""Faults under a server process of its own, while several people save: killed, a full disk, PostgreSQL stopped.

Oracle: the names of the rows in the database, against the names that were acknowledged over HTTP.
"""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from annotating_process import Sender, at_work, free_port, process, said, senders, until
from postgres import needed
from telling import batched

from miscomp.corpus.corpus import DATABASE, Corpus, open_corpus
from miscomp.corpus.entries import LabelEvent
from miscomp.corpus.schema import fetch

pytestmark = pytest.mark.loopback

NAMES = ("ann", "bob", "cem")


def total(people: Sequence[Sender]) -> int:
    return sum(len(one.stored) for one in people)


def check(corpus: Corpus, people: Sequence[Sender]) -> None:
    """All that was acknowledged is there, once, and nothing besides: whatever was sent was answered in the end."""
    assert [one.strange for one in people] == [[]] * len(people)
    with corpus.reading() as connection:
        found = Counter(one.uuid for one in fetch(connection, LabelEvent))
    assert found == Counter(name for one in people for name in one.stored)


def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", labelers=NAMES, images=6)
    port = free_port()
    people = senders(corpus, NAMES, port)
    corpus.engine.dispose()
    with ExitStack() as working:
        working.enter_context(at_work(people))
        for turn in range(3):
            with process(corpus.folder, port) as running:
                # At another moment each time; who was not answered sends again to the next server, in the old session.
                enough = total(people) + 20 + 17 * turn
                until(lambda enough=enough: total(people) > enough)
                if turn == 2:
                    working.close()
                running.send_signal(signal.SIGTERM if turn == 2 else signal.SIGKILL)
                assert running.wait(30) == (0 if turn == 2 else -signal.SIGKILL)
    assert sum(one.lost for one in people) > 0
    check(open_corpus(corpus.folder), people)
    with sqlite3.connect(corpus.folder / DATABASE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def limit(running: subprocess.Popen[str], size: int) -> None:
    """Let no file of a process grow over some bytes: its writes fail in the middle, as on a full disk."""
    resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_is_answered_503_and_saving_goes_on_when_there_is_space(tmp_path: Path) -> None:
    corpus = batched(tmp_path / "corpus", labelers=NAMES, images=6)
    port = free_port()
    people = senders(corpus, NAMES, port, note="x" * 1500)
    corpus.engine.dispose()
    with process(corpus.folder, port) as running:
        with at_work(people):
            until(lambda: total(people) > 60)
            limit(running, max(one.stat().st_size for one in corpus.folder.glob(f"{DATABASE}*")))
            until(lambda: min(len(one.refused) for one in people) > 3)
            assert httpx.get(f"http://127.0.0.1:{port}/login").status_code == 200
            with people[0].client() as client:  # what was stored before is still shown
                assert client.get("/api/me").json()["name"] == "ann"
                assert client.get(f"/api/pairs/{people[0].pairs[0]}").status_code == 200
            limit(running, resource.RLIM_INFINITY)
            enough = total(people) + 30
            until(lambda: total(people) > enough)
        running.send_signal(signal.SIGTERM)
        assert running.wait(30) == 0
    assert said([text for one in people for text in one.refused]) == {
        "the database cannot be used at the moment; nothing is lost, try again"
    }
    check(open_corpus(corpus.folder), people)


@pytest.mark.postgres
def test_a_stopped_postgresql_is_answered_503_and_saving_goes_on_when_it_is_back(tmp_path: Path) -> None:
    with needed() as database:
        corpus = batched(tmp_path / "corpus", labelers=NAMES, images=6, database={"url": database.database("faults")})
        port = free_port()
        people = senders(corpus, NAMES, port)
        with process(corpus.folder, port), at_work(people):
            until(lambda: total(people) > 30)
            database.stop()
            until(lambda: min(len(one.refused) for one in people) > 2)
            assert httpx.get(f"http://127.0.0.1:{port}/login").status_code == 200
            database.start()
            enough = total(people) + 30
            until(lambda: total(people) > enough)
        assert all("cannot be used at the moment" in text for one in people for text in one.refused)
        assert not any(database.folder.name in text for one in people for text in one.refused)
        check(corpus, people)
