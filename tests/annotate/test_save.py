"""Saving: every event once, nobody's over another's. Oracle: the rows, and what other readers make of them."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from corpora import label
from telling import ANN, BOB, HEIGHT, SERVER, WIDTH, aliases, batched, box, changed, deleted, flag, told, visit

from miscomp.annotate.messages import MAX_AGE_MS, MAX_NOTE
from miscomp.annotate.people import Person
from miscomp.annotate.save import save
from miscomp.annotate.work import boxes_of, find_pair, pair_of
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import BatchKind, LabelEvent, MultiFlag, Role, Seen, Shown, Visit
from miscomp.corpus.labels import current_flags, current_labels
from miscomp.corpus.schema import LABEL_EVENT, RECONSTRUCTION, add, count, fetch
from miscomp.records import Box


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return batched(tmp_path / "corpus")


def events(corpus: Corpus) -> list[LabelEvent]:
    with corpus.reading() as connection:
        return fetch(connection, LabelEvent)


def standing(corpus: Corpus) -> list[tuple[str, int, int, int, int]]:
    with corpus.reading() as connection:
        return [(one.labeler, one.x, one.y, one.w, one.h) for one in current_labels(connection)]


def test_a_box_is_stored_with_everything_that_was_said_of_it(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    said = box(
        alias,
        age_ms=1500,
        category="SHAPE+AMPLITUDE",
        symbol=True,
        changed="yes",
        relevant="yes",
        suspicion="unsure",
        expected="no",
        note="a letter \U0001f600",
    )
    (reply,) = save(corpus, ANN, [said], time=SERVER)
    assert (reply.uuid, reply.outcome, reply.reason) == (said["uuid"], "stored", "")
    (event,) = events(corpus)
    with corpus.reading() as connection:
        pair = find_pair(connection, alias, "ann")
    assert pair is not None
    assert (event.image_sha1, event.model, event.batch) == (pair.image_sha1, pair.model, pair.batch)
    assert (event.x, event.y, event.w, event.h) == (10, 20, 30, 40)
    assert (event.changed, event.relevant, event.suspicion, event.expected) == (1.0, 1.0, 0.5, 0.0)
    assert (event.category, event.symbol, event.note) == ("SHAPE+AMPLITUDE", True, "a letter \U0001f600")
    assert (event.labeler, event.origin, event.action, event.replaces) == ("ann", "person", "add", "")
    assert event.time == "2026-05-04T08:59:58.500000Z"
    assert event.version.startswith("miscomp-annotate ")


def test_a_message_that_is_sent_again_is_known_and_stored_once(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    first = box(alias)
    message = [first, changed(first, x=11), flag(alias), visit(alias, finished=True)]
    assert told(corpus, *message) == ["stored"] * 4
    before = events(corpus)
    # The browser was away for a while: the ages are others now.
    assert told(corpus, *({**one, "age_ms": 99_000} for one in message)) == ["known"] * 4
    assert events(corpus) == before
    with corpus.reading() as connection:
        assert [count(connection, record) for record in (MultiFlag, Visit, Seen)] == [1, 1, 1]


def test_a_name_of_another_event_is_refused(corpus: Corpus) -> None:
    alias, other = aliases(corpus, "ann")[0], aliases(corpus, "bob")[0]
    first = box(alias)
    assert told(corpus, first) == ["stored"]
    assert told(corpus, {**first, "x": 11}) == ["refused"]
    assert told(corpus, {**first, "alias": other}, person=BOB) == ["refused"]
    assert len(events(corpus)) == 1


def test_changes_deletion_and_undo_in_one_message_leave_what_was_meant(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    first = box(alias)
    moved = changed(first, x=12)
    gone = deleted(moved)
    back = changed(gone, note="back")
    assert told(corpus, first, moved, gone, back) == ["stored"] * 4
    assert standing(corpus) == [("ann", 12, 20, 30, 40)]
    with corpus.reading() as connection:
        state = pair_of(connection, alias, person=ANN, config=corpus.config)
    assert state is not None
    assert [(one.event, one.note) for one in state.boxes] == [(back["uuid"], "back")]
    assert told(corpus, deleted(back)) == ["stored"]
    assert standing(corpus) == []


def test_two_windows_that_change_one_box_are_told_of_the_conflict(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    first = box(alias)
    assert told(corpus, first) == ["stored"]
    here, there = changed(first, x=1), changed(first, x=2)
    assert told(corpus, here) == ["stored"]
    # What follows from the change that was not stored is not stored either, and is no mistake of the labeler's.
    reply = save(corpus, ANN, [there, changed(there, x=3), box(alias, 200)], time=SERVER)
    assert [one.outcome for one in reply] == ["conflict", "conflict", "stored"]
    assert "another window" in reply[0].reason
    assert told(corpus, deleted(first)) == ["conflict"]
    assert standing(corpus) == [("ann", 1, 20, 30, 40), ("ann", 200, 20, 30, 40)]


def test_nobody_touches_another_s_box(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann", BatchKind.AGREEMENT)[0]
    assert alias in aliases(corpus, "bob", BatchKind.AGREEMENT)
    first = box(alias)
    assert told(corpus, first) == ["stored"]
    assert told(corpus, changed(first, x=1), deleted(first), box(alias), person=BOB) == ["refused", "refused", "stored"]
    assert standing(corpus) == [("ann", 10, 20, 30, 40), ("bob", 10, 20, 30, 40)]


def test_a_box_of_another_pair_is_not_changed_from_here(corpus: Corpus) -> None:
    one, other = aliases(corpus, "ann")[:2]
    first = box(one)
    assert told(corpus, first, changed({**first, "alias": other})) == ["stored", "refused"]


def test_detectors_boxes_are_not_changed_by_whoever_has_their_name(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    with corpus.writing() as connection:
        pair = find_pair(connection, alias, "ann")
        assert pair is not None
        found = label(pair.image_sha1, pair.model, Box(0, 0, 9, 9), "ann", origin="detector", uuid=str(uuid.uuid4()))
        add(connection, [found])
    assert told(corpus, changed(box(alias, uuid=found.uuid))) == ["refused"]


def test_only_who_was_given_a_pair_says_something_of_it(corpus: Corpus) -> None:
    others = [one for one in aliases(corpus, "bob") if one not in aliases(corpus, "ann")]
    supervisor = Person("ann", frozenset({Role.SUPERVISOR}))
    assert others
    assert told(corpus, box(others[0]), flag(others[0]), visit(others[0], finished=True)) == ["refused"] * 3
    assert told(corpus, box("0" * 40)) == ["refused"]
    assert told(corpus, box(aliases(corpus, "ann")[0]), person=supervisor) == ["refused"]
    assert events(corpus) == []


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"x": WIDTH - 30 + 1}, "reaches outside"),
        ({"y": HEIGHT - 40 + 1}, "reaches outside"),
        ({"w": 0}, "greater than or equal to 1"),
        ({"x": -1}, "greater than or equal to 0"),
        ({"x": 1.5}, "valid integer"),
        ({"x": True}, "valid integer"),
        ({"x": 10**30}, "less than"),
        ({"category": "SHAPES"}, "SHAPES"),
        ({"changed": "maybe"}, "changed"),
        ({"note": "a\0b"}, "NUL"),
        ({"note": "\ud800"}, "unicode"),
        ({"note": "x" * (MAX_NOTE + 1)}, "at most"),
        ({"uuid": "x"}, "uuid"),
        ({"uuid": None}, "uuid"),
        ({"kind": "boxes"}, "kind"),
        ({"labeler": "bob"}, "labeler"),
        ({"replaces": str(uuid.UUID(int=7))}, "replaces"),
        ({"action": "change"}, "replaces"),
        ({"action": "change", "replaces": str(uuid.UUID(int=7))}, "none of yours"),
        ({"alias": "../../etc/passwd"}, "alias"),
        ({"age_ms": -1}, "age_ms"),
    ],
)
def test_what_can_never_be_stored_is_refused_and_the_rest_of_the_message_is_stored(
    values: dict[str, Any], word: str, corpus: Corpus
) -> None:
    alias = aliases(corpus, "ann")[0]
    replies = save(corpus, ANN, [{**box(alias), **values}, box(alias, 100)], time=SERVER)
    assert [one.outcome for one in replies] == ["refused", "stored"]
    assert word in replies[0].reason and len(replies[0].reason) <= 400
    replies[0].model_dump_json()  # it can be sent
    assert standing(corpus) == [("ann", 100, 20, 30, 40)]


def test_a_box_may_touch_the_picture_s_edge(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    assert told(corpus, box(alias, WIDTH - 1, HEIGHT - 1, 1, 1), box(alias, 0, 0, WIDTH, HEIGHT)) == ["stored"] * 2


def test_the_very_same_box_is_stored_once(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    first = box(alias)
    assert told(corpus, first, box(alias), box(alias, 11)) == ["stored", "refused", "stored"]
    assert told(corpus, deleted(first), box(alias)) == ["stored", "stored"]


def test_messages_of_any_shape_never_raise(corpus: Corpus) -> None:
    rng = random.Random(8)
    alias = aliases(corpus, "ann")[0]
    deep: Any = "x"
    for _ in range(200):
        deep = [deep]
    values = [None, 0, -1, 2**70, 1e308, float("nan"), "", "\0", "\ud800", [], {}, deep, True, "add", alias]
    samples = [box(alias), flag(alias), visit(alias, finished=True), {"kind": "shown", "uuid": "", "events": []}]
    messages = [{**one, key: value} for one in samples for key in one for value in values]
    messages += [{}, {"kind": []}, {1: 2}, {"kind": "look", "uuid": 1}]  # type: ignore[dict-item]
    rng.shuffle(messages)
    for start in range(0, len(messages), 50):
        part = messages[start : start + 50]
        replies = save(corpus, ANN, part, time=SERVER)
        assert len(replies) == len(part)
        for one in replies:
            one.model_dump_json()
    with corpus.reading() as connection:
        for label_event in current_labels(connection):
            assert label_event.annotation  # what is stored can be published


def test_times_follow_from_ages_and_no_clock_of_a_browser_reaches_back_for_ever(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    ages = (0, 250, MAX_AGE_MS, MAX_AGE_MS + 1, 10**40)
    assert told(corpus, *(box(alias, x, age_ms=age) for x, age in enumerate(ages))) == ["stored"] * 5
    times = [datetime.fromisoformat(one.time) for one in events(corpus)]
    assert [(SERVER - one).total_seconds() for one in times] == [0, 0.25, *(90 * 86400,) * 3]
    with pytest.raises(ValueError, match="zone"):
        save(corpus, ANN, [], time=SERVER.replace(tzinfo=None))


def test_the_last_flag_counts(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    first = flag(alias, multi_kind="color", note="many")
    assert told(corpus, first, flag(alias, multi=False, overall=True)) == ["stored"] * 2
    with corpus.reading() as connection:
        ((key, found),) = current_flags(connection).items()
        state = pair_of(connection, alias, person=ANN, config=corpus.config)
    assert state is not None and state.flag is not None
    assert (key[2], found.multi, found.overall, state.flag.overall, state.flag.multi) == (
        "ann",
        False,
        True,
        True,
        False,
    )
    assert told(corpus, flag(alias, multi=False, multi_kind="color")) == ["refused"]


def test_visits_add_up_and_the_first_that_finished_is_the_view(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    assert told(corpus, visit(alias, finished=False, age_ms=120_000)) == ["stored"]
    with corpus.reading() as connection:
        assert count(connection, Seen) == 0
    assert told(corpus, visit(alias, finished=True, age_ms=1000), visit(alias, finished=True)) == ["stored"] * 2
    with corpus.reading() as connection:
        visits, (seen,) = fetch(connection, Visit), fetch(connection, Seen)
    assert [one.finished for one in visits] == [False, True, True]
    assert {one.active_s for one in visits} == {30.0}
    assert (seen.opened, seen.closed) == (visits[1].opened, visits[1].closed)
    assert (seen.opened, seen.closed) == ("2026-05-04T08:58:59.000000Z", "2026-05-04T08:59:59.000000Z")


def test_nobody_is_active_for_longer_than_a_pair_is_open(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    assert told(corpus, visit(alias, finished=False, open_ms=1000, active_ms=10**9)) == ["stored"]
    with corpus.reading() as connection:
        assert [one.active_s for one in fetch(connection, Visit)] == [1.0]


def test_suggestions_are_recorded_as_shown_only_where_they_are_switched_on(tmp_path: Path, corpus: Corpus) -> None:
    shown = {"kind": "shown", "uuid": str(uuid.uuid4()), "events": []}
    assert told(corpus, {**shown, "alias": aliases(corpus, "ann")[0]}) == ["refused"]
    other = batched(tmp_path / "other", annotate={"suggestions": True})
    alias = aliases(other, "ann")[0]
    with other.writing() as connection:
        pair = find_pair(connection, alias, "ann")
        assert pair is not None
        boxes = [Box(x, 0, 9, 9) for x in (0, 50)]
        found = [
            label(pair.image_sha1, pair.model, one, "machine", origin="detector", uuid=str(uuid.uuid4()), score=0.5)
            for one in boxes
        ]
        add(connection, found)
    with other.reading() as connection:
        state = pair_of(connection, alias, person=ANN, config=other.config)
    assert state is not None and {one.event for one in state.suggestions} == {one.uuid for one in found}
    message = {**shown, "alias": alias, "events": [one.uuid for one in found]}
    assert told(other, message, message) == ["stored", "known"]
    strange = {**message, "uuid": str(uuid.uuid4()), "events": [str(uuid.uuid4())]}
    assert told(other, strange) == ["refused"]
    with other.reading() as connection:
        assert [one.event for one in fetch(connection, Shown)] == message["events"]


def test_boxes_from_tables_before_events_had_batches_can_be_changed(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    with corpus.writing() as connection:
        pair = find_pair(connection, alias, "ann")
        assert pair is not None
        old = label(pair.image_sha1, pair.model, Box(1, 2, 3, 4), "ann", origin="person", uuid=str(uuid.uuid4()))
        add(connection, [old, replace(old, uuid=str(uuid.uuid4()), x=50, labeler="bob")])
    with corpus.reading() as connection:
        assert [one.uuid for one in boxes_of(connection, pair)] == [old.uuid]
    assert told(corpus, changed(box(alias, uuid=old.uuid), x=5)) == ["stored"]
    with corpus.reading() as connection:
        assert [one.x for one in boxes_of(connection, pair)] == [5]
        assert count(connection, LabelEvent, LABEL_EVENT.c.batch == pair.batch) == 1


def test_a_writer_past_the_lock_is_a_conflict_too(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    # Such as a program of somebody's own: what was looked up is not true any more when it is stored.
    alias = aliases(corpus, "ann")[0]
    first = box(alias)
    assert told(corpus, first, changed(first, x=1)) == ["stored"] * 2
    monkeypatch.setattr("miscomp.annotate.events._check_replaced", lambda *_: None)
    assert told(corpus, changed(first, x=2), box(alias, 90)) == ["conflict", "stored"]
    assert len(standing(corpus)) == 2


def test_a_note_that_comes_after_its_picture_was_removed_is_not_stored(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    before = box(alias, note="whom it shows")
    assert told(corpus, before) == ["stored"]
    with corpus.writing() as connection:  # as `miscomp corpus remove` does
        connection.execute(RECONSTRUCTION.update().values(file=""))
        connection.execute(LABEL_EVENT.update().values(note=""))
    late = [box(alias, 50, note="whom it shows"), flag(alias, note="whom it shows")]
    assert told(corpus, *late) == ["stored", "stored"]
    assert [one.note for one in events(corpus)] == ["", ""]
    with corpus.reading() as connection:
        assert [one.note for one in fetch(connection, MultiFlag)] == [""]
    # Sent again after a lost answer, they are the events that are stored.
    assert told(corpus, before, *late) == ["known"] * 3
    assert told(corpus, {**before, "x": 11}) == ["refused"]
