"""Saves that share a transaction: in which order, answered when, and what they ask the database."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from telling import ANN, SERVER, aliases, batched, box, changed, told, visit

from miscomp.annotate.people import everything
from miscomp.annotate.save import save
from miscomp.annotate.writer import MOST, _Job, _Queue, write_together
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import BatchKind, LabelEvent
from miscomp.corpus.schema import fetch


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return batched(tmp_path / "corpus", images=12)


@contextmanager
def asked(corpus: Corpus) -> Iterator[list[tuple[str, Any]]]:
    """What the database is asked meanwhile."""
    found: list[tuple[str, Any]] = []

    def note(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        found.append((statement, parameters))

    event.listen(corpus.engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(corpus.engine, "before_cursor_execute", note)


def echo(_: Connection, said: Sequence[str]) -> Sequence[str]:
    return said


def test_who_came_first_is_stored_first_and_a_transaction_has_an_end() -> None:
    queue = _Queue()
    jobs = [_Job(echo, number, weight) for number, weight in enumerate((1, MOST - 1, 1, MOST + 1, 2))]
    for one in jobs:
        queue.join(one)
    turns = []
    while not jobs[-1].done:
        writer = next(one for one in jobs if not one.done)
        assert [one.said for one in jobs if one.woken.is_set() and not one.done] == [writer.said]
        taken = queue.take()
        turns.append([one.said for one in taken])
        queue.leave(taken)
    assert turns == [[0, 1], [2], [3], [4]]
    assert not queue.busy


def test_an_answer_is_given_after_the_transaction_was_committed(corpus: Corpus) -> None:
    committing, go = threading.Event(), threading.Event()
    answered: list[str] = []

    def hold(_: Connection) -> None:
        committing.set()
        assert go.wait(30)

    def run(name: str) -> None:
        answered.append(write_together(corpus, echo, name, weight=1))

    event.listen(corpus.engine, "commit", hold)
    threads = [threading.Thread(target=run, args=(name,)) for name in "abc"]
    for one in threads:
        one.start()
    assert committing.wait(30)
    threads[0].join(0.1)
    assert answered == []
    go.set()
    for one in threads:
        one.join(30)
    assert sorted(answered) == ["a", "b", "c"]


def test_messages_of_several_people_are_stored_together_each_with_its_own_answers(corpus: Corpus) -> None:
    mine, shared = aliases(corpus, "ann"), aliases(corpus, "ann", BatchKind.AGREEMENT)
    begun, go = threading.Event(), threading.Event()
    sizes: list[int] = []
    answers: dict[str, list[str]] = {}
    first = box(mine[0])
    assert told(corpus, first) == ["stored"]

    def hold(_: Connection, said: Sequence[str]) -> Sequence[str]:
        begun.set()
        assert go.wait(30)
        return said

    def run(name: str, *messages: dict[str, Any]) -> None:
        answers[name] = [one.outcome.value for one in save(corpus, everything(name), messages, time=SERVER)]

    def count(_: Connection) -> None:
        sizes.append(1)

    holder = threading.Thread(target=write_together, args=(corpus, hold, ""), kwargs={"weight": 1})
    holder.start()
    assert begun.wait(30)
    event.listen(corpus.engine, "commit", count)
    said = {
        "ann": [box(shared[0]), changed(first, x=11), changed(first, x=12), first, {"kind": "x"}],
        "bob": [box(shared[0]), changed(first, x=13), box(mine[0]), visit(shared[0], finished=True)],
    }
    threads = [threading.Thread(target=run, args=(name, *messages)) for name, messages in said.items()]
    for one in threads:
        one.start()
    threads[0].join(0.2)  # both stand in line
    go.set()
    for one in (holder, *threads):
        one.join(30)
    assert len(sizes) == 2  # the first one's, and one for both
    assert answers["ann"] == ["stored", "stored", "conflict", "known", "refused"]
    assert answers["bob"] == ["stored", "refused", "refused", "stored"]
    with corpus.reading() as connection:
        assert sorted(one.labeler for one in fetch(connection, LabelEvent)) == ["ann", "ann", "ann", "bob"]


def test_a_message_on_many_pairs_asks_no_more_than_one_on_a_single_pair(corpus: Corpus) -> None:
    pairs = aliases(corpus, "ann")
    assert len(pairs) >= 8
    with asked(corpus) as one:
        assert told(corpus, box(pairs[0])) == ["stored"]
    with asked(corpus) as many:
        assert {*told(corpus, *(box(alias, 50) for alias in pairs))} == {"stored"}
    assert len(many) == len(one) <= 9


def test_no_question_of_a_save_reads_every_box_that_there_is(corpus: Corpus) -> None:
    first, other = box(aliases(corpus, "ann")[0]), box(aliases(corpus, "ann")[1])
    with asked(corpus) as found:
        assert told(corpus, first, other, changed(first, x=11), person=ANN) == ["stored"] * 3
    plans = []
    with corpus.reading() as connection:
        for statement, parameters in found:
            if statement.startswith("SELECT"):
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                plans += [row.detail for row in rows]
    assert any("label_event_replaced_once" in one for one in plans)
    assert any("USING INDEX label_event_by_image_sha1_model" in one for one in plans)
    assert not [one for one in plans if one.startswith("SCAN") and "CONSTANT ROW" not in one]
