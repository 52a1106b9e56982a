"""Saving into a real PostgreSQL server, and without it for a while."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import Server, needed
from sqlalchemy import text
from telling import ANN, BOB, SERVER, aliases, batched, box, changed, deleted, flag, told, visit

from miscomp.annotate.accounts import add_account, check_password
from miscomp.annotate.people import everything
from miscomp.annotate.save import save
from miscomp.annotate.sessions import find_session, open_session
from miscomp.annotate.work import batches_of, items_of, pair_of
from miscomp.corpus.corpus import Corpus, open_corpus
from miscomp.corpus.entries import BatchKind, LabelEvent, Role, new_uuid
from miscomp.corpus.schema import fetch
from miscomp.errors import InputError

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with needed() as made:
        yield made


@pytest.fixture
def corpus(running: Server, tmp_path: Path, request: pytest.FixtureRequest) -> Corpus:
    url = running.database(f"t{abs(hash(request.node.name))}")
    return batched(tmp_path / "corpus", images=6, database={"url": url})


def stored(corpus: Corpus) -> Counter[str]:
    with corpus.reading() as connection:
        return Counter(one.uuid for one in fetch(connection, LabelEvent))


def test_everything_that_is_said_and_asked_is_as_in_sqlite(corpus: Corpus, tmp_path: Path) -> None:
    found = []
    for one in (corpus, batched(tmp_path / "file", images=6)):
        mine, shared = aliases(one, "ann"), aliases(one, "bob", BatchKind.AGREEMENT)
        first, second = box(mine[0], changed="unsure", note="ä"), box(mine[0], 50)
        moved = changed(first, x=11)
        said = [first, second, moved, deleted(second), changed(first, x=12), flag(mine[0]), {"kind": "x"}]
        outcomes = told(one, *said, visit(mine[0], finished=True), visit(mine[0], finished=True))
        outcomes += told(one, *said)
        outcomes += told(one, box(shared[0]), changed(first), person=BOB)
        # What PostgreSQL cannot hold is refused, and the rest of the message is stored.
        look = {"kind": "look", "uuid": new_uuid(), "event": "\0", "judgement": "confirm"}
        outcomes += told(one, look, box(mine[0], 70), person=everything("ann"))
        assert outcomes[-2:] == ["refused", "stored"]
        with one.reading() as connection:
            batches = [
                (row.kind, row.size, row.done, row.active_s, row.median_s) for row in batches_of(connection, "ann")
            ]
            names = [row.batch for row in batches_of(connection, "ann")]
            items = [[(row.done, row.boxes) for row in items_of(connection, name, "ann") or []] for name in names]
            state = pair_of(connection, mine[0], person=ANN, config=one.config)
        assert state is not None
        drawn = [(row.x, row.changed, row.note, row.time) for row in state.boxes]
        found.append((outcomes, sorted(batches), sorted(items), drawn, state.flag, state.done, state.position))
    assert found[0] == found[1]
    assert found[0][0][:9] == [*["stored"] * 4, "conflict", "stored", "refused", "stored", "stored"]


def test_accounts_and_sessions_are_kept_there(corpus: Corpus) -> None:
    add_account(corpus, "ann", roles=[Role.LABELER], password="a long password")
    assert check_password(corpus, "ann", "a long password") is not None
    cookie, session = open_session(corpus, "ann", time=SERVER)
    with corpus.reading() as connection:
        assert find_session(connection, cookie, time=SERVER) == (session, ANN)


@pytest.mark.parametrize("kept", [False, True])
def test_a_server_that_stops_in_the_middle_loses_nothing_that_was_acknowledged(
    corpus: Corpus, running: Server, kept: bool
) -> None:
    corpus = open_corpus(corpus.folder, serving=kept)
    acknowledged: list[str] = []
    refused: list[str] = []
    strange: list[BaseException] = []
    enough, again = threading.Event(), threading.Event()

    def work(name: str) -> None:
        (alias, *_) = pairs[name]
        number = 0
        while not again.is_set() or number < 40:
            said = box(alias, number % 600, number // 600 % 400)
            number += 1
            while True:  # as a browser's queue does
                try:
                    (reply,) = save(corpus, everything(name), [said], time=SERVER)
                except InputError as error:
                    refused.append(str(error))
                    time.sleep(0.05)
                    continue
                except BaseException as error:
                    strange.append(error)
                    return
                break
            acknowledged.append(reply.uuid)
            if len(acknowledged) > 30:
                enough.set()

    pairs = {name: aliases(corpus, name) for name in ("ann", "bob")}
    threads = [threading.Thread(target=work, args=(name,), daemon=True) for name in pairs]
    for one in threads:
        one.start()
    assert enough.wait(60)
    running.stop()
    try:
        until = time.monotonic() + 30
        while not refused and time.monotonic() < until:
            time.sleep(0.01)
    finally:
        running.start()
    before = len(acknowledged)
    while len(acknowledged) < before + 20 and time.monotonic() < until + 30:
        time.sleep(0.01)
    again.set()
    for one in threads:
        one.join(60)
    assert not strange and refused
    assert all("the database cannot be used" in one and "not-to-be-shown" not in one for one in refused)
    assert len(acknowledged) >= before + 20
    assert stored(corpus) == Counter(acknowledged)
    corpus.engine.dispose()


def test_a_corpus_that_is_served_keeps_its_connections(corpus: Corpus) -> None:
    served = open_corpus(corpus.folder, serving=True)
    found = []
    for number in range(3):
        assert told(served, box(aliases(corpus, "ann")[0], number)) == ["stored"]
        with served.reading() as connection, corpus.reading() as other:
            asked = text("SELECT pg_backend_pid(), current_setting('transaction_isolation') AS level")
            found.append((connection.execute(asked).one(), other.execute(asked).one()))
    assert len({kept for kept, _ in found}) == 1 and len({fresh for _, fresh in found}) == 3
    assert {one.level for both in found for one in both} == {"repeatable read"}
    served.engine.dispose()


def test_ten_at_once_lose_nothing(running: Server, tmp_path: Path) -> None:
    people = [f"labeler-{number}" for number in range(10)]
    corpus = batched(tmp_path / "c", labelers=people, images=12, database={"url": running.database("ten")})
    acknowledged: list[str] = []

    def work(name: str) -> None:
        (alias, *_) = aliases(corpus, name)
        for number in range(10):
            acknowledged.extend(
                one.uuid
                for one in save(corpus, everything(name), [box(alias, number)], time=SERVER)
                if one.outcome == "stored"
            )

    threads = [threading.Thread(target=work, args=(name,)) for name in people]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert len(acknowledged) == 100 and stored(corpus) == Counter(acknowledged)
