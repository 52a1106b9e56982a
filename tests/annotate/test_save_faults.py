"""Killed processes, full disks, many at once: what was acknowledged is in the database. Oracle: the rows by name."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import saver
from sqlalchemy import Connection
from telling import ANN, SERVER, aliases, batched, box, told

from miscomp.annotate.messages import Reply
from miscomp.annotate.people import everything
from miscomp.annotate.save import save
from miscomp.annotate.writer import MOST, write_together
from miscomp.corpus.corpus import DATABASE, Corpus, open_corpus
from miscomp.corpus.entries import LabelEvent, Meta
from miscomp.corpus.schema import add, count, fetch
from miscomp.errors import InputError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return batched(tmp_path / "corpus")


def stored(corpus: Corpus) -> Counter[str]:
    with corpus.reading() as connection:
        return Counter(one.uuid for one in fetch(connection, LabelEvent))


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(corpus: Corpus, tmp_path: Path) -> None:
    corpus.engine.dispose()
    acknowledged: list[str] = []
    for turn in range(4):
        with (tmp_path / f"{turn}.txt").open("w") as said:
            process = subprocess.Popen([sys.executable, saver.__file__, corpus.folder, str(turn)], stdout=said)
        lines: list[str] = []
        # Killed at another moment each time, in the middle of the saves of two labelers.
        until = time.monotonic() + 60
        while len(lines) < 20 + 13 * turn and process.poll() is None and time.monotonic() < until:
            time.sleep(0.003)
            lines = (tmp_path / f"{turn}.txt").read_text().splitlines()
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        whole = (tmp_path / f"{turn}.txt").read_text().rpartition("\n")[0].splitlines()
        assert {one.split()[0] for one in whole} == {"stored"}
        acknowledged += [one.split()[1] for one in whole]
    found = stored(open_corpus(corpus.folder))
    assert len(acknowledged) > 100
    assert not {*acknowledged} - found.keys()
    assert max(found.values()) == 1


def limit(corpus: Corpus, pages: int) -> None:
    """Let the database's file not grow over some pages more, as on a full disk; 0: no limit any more."""
    corpus.engine.dispose()
    with corpus.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        (have,) = raw.execute("PRAGMA page_count").fetchone()
        raw.execute(f"PRAGMA max_page_count = {have + pages if pages else 2**30}")


def test_a_full_disk_refuses_cleanly_and_saving_goes_on_when_there_is_space(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    limit(corpus, 4)
    acknowledged, waiting = [], []
    for number in range(200):
        message = [box(alias, number, note="x" * 1000), box(alias, number, 100, note="y" * 1000)]
        try:
            replies = save(corpus, ANN, message, time=SERVER)
            acknowledged += [one.uuid for one in replies if one.outcome == "stored"]
        except InputError as error:
            assert "full" in str(error) and "space" in str(error)
            waiting.append(message)
            if len(waiting) == 3:
                break
    assert len(waiting) == 3 and acknowledged
    # Of a message that was not acknowledged nothing is there: it was one transaction.
    assert stored(corpus) == Counter(acknowledged)
    limit(corpus, 0)
    for message in waiting:
        assert told(corpus, *message) == ["stored", "stored"]
    assert len(stored(corpus)) == len(acknowledged) + 6


def test_a_full_disk_that_cuts_files_off_refuses_cleanly(corpus: Corpus, tmp_path: Path) -> None:
    """The system's own limit on the size of files, in a process of its own: writes fail in the middle."""
    corpus.engine.dispose()
    size = (corpus.folder / DATABASE).stat().st_size
    program = (
        "import resource, signal, sys\n"
        "sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\n"
        "from telling import ANN, SERVER, aliases, box\n"
        "from miscomp.annotate.save import save\n"
        "from miscomp.corpus.corpus import open_corpus\n"
        "from miscomp.errors import InputError\n"
        "corpus = open_corpus(Path(sys.argv[1]))\n"
        "pairs = aliases(corpus, 'ann')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "kept, failed = [], 0\n"
        "for number in range(300):\n"
        "    if failed == 2:\n"
        "        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "    said = box(pairs[0], number, note='x' * 1500)\n"
        "    try:\n"
        "        (reply,) = save(corpus, ANN, [said], time=SERVER)\n"
        "        kept.append(reply.uuid)\n"
        "        if failed >= 2 and len(kept) > 20: break\n"
        "    except InputError as error:\n"
        "        failed += 1\n"
        "print(failed, *kept)\n"
    )
    command = [sys.executable, "-c", program, str(corpus.folder), str(size // 2), *sys.path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    failed, *kept = done.stdout.split()
    assert int(failed) == 2 and len(kept) > 20
    assert stored(open_corpus(corpus.folder)) == Counter(kept)


def test_a_database_that_must_not_be_written_is_told(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    with corpus.engine.connect() as connection:
        raw: Any = connection.connection.driver_connection
        raw.execute("PRAGMA query_only = 1")
    with pytest.raises(InputError, match="cannot be used: attempt to write a readonly database"):
        told(corpus, box(alias))
    corpus.engine.dispose()
    assert told(corpus, box(alias)) == ["stored"]


def test_twenty_at_once_lose_nothing_and_store_nothing_twice(tmp_path: Path) -> None:
    people = [f"labeler-{number}" for number in range(20)]
    corpus = batched(tmp_path / "c", labelers=people, images=24)
    acknowledged: list[str] = []
    failed: list[object] = []

    def work(name: str) -> None:
        (alias, *_) = aliases(corpus, name)
        for number in range(10):
            said = box(alias, number)
            # Sent twice, as after a lost answer.
            replies = [*save(corpus, everything(name), [said], time=SERVER), *_again(corpus, name, said)]
            failed.extend(one for one in replies if one.outcome not in ("stored", "known"))
            acknowledged.append(replies[0].uuid)

    threads = [threading.Thread(target=work, args=(name,)) for name in people]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert not failed
    assert len(acknowledged) == 200 and stored(corpus) == Counter(acknowledged)


def _again(corpus: Corpus, name: str, said: dict[str, Any]) -> list[Reply]:
    return save(corpus, everything(name), [said], time=SERVER)


def test_two_windows_at_once_leave_one_change(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    outcomes: list[list[str]] = []
    for number in range(5):
        first = box(alias, number)
        assert told(corpus, first) == ["stored"]
        barrier = threading.Barrier(4)
        found: list[str] = []

        def change(x: int, first: dict[str, Any] = first, barrier: Any = barrier, found: list[str] = found) -> None:
            said = {**first, "uuid": box(alias)["uuid"], "action": "change", "replaces": first["uuid"], "x": x}
            barrier.wait()
            found += told(corpus, said)

        threads = [threading.Thread(target=change, args=(100 + x,)) for x in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        outcomes.append(sorted(found))
    assert outcomes == [["conflict", "conflict", "conflict", "stored"]] * 5


def test_work_that_fails_takes_nothing_of_others_with_it(corpus: Corpus) -> None:
    begun, go = threading.Event(), threading.Event()
    errors: list[str] = []
    results: list[str] = []

    def store(connection: Connection, names: Sequence[str]) -> list[str]:
        add(connection, [Meta(name=one, value="") for one in names])
        if "first" in names:
            begun.set()
            go.wait(30)
        if "half" in names:
            raise ZeroDivisionError
        return [f"{one} of {len(names)}" for one in names]

    def run(name: str) -> None:
        try:
            results.append(write_together(corpus, store, name, weight=1))
        except ZeroDivisionError:
            errors.append("told")

    threads = [threading.Thread(target=run, args=(one,)) for one in ("first", "a", "half", "b")]
    threads[0].start()
    assert begun.wait(30)
    for one in threads[1:]:
        one.start()
    go.set()
    for one in threads:
        one.join(30)
    with corpus.reading() as connection:
        names = {one.name for one in fetch(connection, Meta)}
    assert errors == ["told"] and {"first", "a", "b"} <= names and "half" not in names
    assert sorted(results) == ["a of 1", "b of 1", "first of 1"]


def test_a_message_larger_than_a_transaction_of_many_is_stored(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    said = [box(alias, number % 600, number // 600) for number in range(MOST + 1)]
    assert {*told(corpus, *said)} == {"stored"}
    with corpus.reading() as connection:
        assert count(connection, LabelEvent) == MOST + 1
