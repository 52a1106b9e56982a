"""What a labeler is shown: own batches, own boxes, nothing else. Oracle: the rows that the test made."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from corpora import TIME, label
from planned import planned_corpus
from sqlalchemy import update
from telling import ANN, BOB, HEIGHT, WIDTH, aliases, batched, box, changed, deleted, flag, told, visit

from miscomp.annotate.work import batches_of, find_pair, instances_of, items_of, kind_of, pair_of
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.config import Config, Model
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Assignment, Batch, BatchItem, BatchKind, Seen, Visit
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION, add, fetch
from miscomp.records import Box


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return batched(tmp_path / "corpus")


def test_a_labeler_sees_the_batches_that_were_given_and_how_far_they_are(corpus: Corpus) -> None:
    mine = aliases(corpus, "ann")
    times = [(mine[0], 10_000, True), (mine[0], 5_000, False), (mine[1], 40_000, True), (mine[2], 99_000, False)]
    said = [visit(alias, finished=done, open_ms=100_000, active_ms=ms) for alias, ms, done in times]
    assert told(corpus, *said) == ["stored"] * 4
    with corpus.reading() as connection:
        given = {one.batch for one in fetch(connection, Assignment) if one.labeler == "ann"}
        found = batches_of(connection, "ann")
        kinds = {one.batch: one.kind for one in fetch(connection, Batch)}
        assert batches_of(connection, "nobody") == []
    assert [one.batch for one in found] == sorted(given)
    assert {one.batch: one.kind for one in found} == {name: kinds[name] for name in given}
    (worked,) = [one for one in found if one.done]
    assert (worked.size, worked.done, worked.active_s) == (4, 2, 154.0)
    assert worked.median_s == 27.5  # of 15 s and 40 s
    assert {(one.active_s, one.median_s) for one in found if not one.done} == {(0.0, None)}


def test_a_batch_lists_its_pairs_in_order_with_own_boxes_alone(corpus: Corpus) -> None:
    shared = aliases(corpus, "ann", BatchKind.AGREEMENT)
    first = box(shared[1])
    said = [first, box(shared[1], 50), changed(first, x=11), visit(shared[1], finished=True)]
    assert told(corpus, *said) == ["stored"] * 4
    assert told(corpus, box(shared[0]), visit(shared[0], finished=True), person=BOB) == ["stored"] * 2
    with corpus.reading() as connection:
        name = next(one.batch for one in batches_of(connection, "ann") if one.kind == BatchKind.AGREEMENT)
        items = items_of(connection, name, "ann")
        theirs = items_of(connection, name, "bob")
        assert kind_of(connection, name, "ann") == BatchKind.AGREEMENT
        for batch, labeler in ((name, "eve"), ("b1", "ann"), ("", "ann"), ("\0", "ann"), ("../x", "ann")):
            assert items_of(connection, batch, labeler) is None and kind_of(connection, batch, labeler) is None
    assert items is not None and theirs is not None
    assert [one.position for one in items] == [1, 2, 3, 4]
    assert [(one.done, one.boxes) for one in items] == [(False, 0), (True, 2), (False, 0), (False, 0)]
    assert [(one.done, one.boxes) for one in theirs] == [(True, 1), (False, 0), (False, 0), (False, 0)]
    assert {(one.width, one.height) for one in items} == {(WIDTH, HEIGHT)}


def test_a_pair_is_as_its_labeler_left_it(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann", BatchKind.AGREEMENT)[2]
    first = box(alias, changed="yes", relevant="no", note="one")
    gone = box(alias, 90)
    said = [first, gone, deleted(gone), flag(alias, multi_kind="color", note="two")]
    assert told(corpus, *said) == ["stored"] * 4
    assert told(corpus, box(alias, 200), flag(alias, multi=False), person=BOB) == ["stored"] * 2
    with corpus.reading() as connection:
        state = pair_of(connection, alias, person=ANN, config=corpus.config)
    assert state is not None and state.flag is not None
    (drawn,) = state.boxes
    assert (drawn.event, drawn.x, drawn.y, drawn.w, drawn.h) == (first["uuid"], 10, 20, 30, 40)
    assert (drawn.changed, drawn.relevant, drawn.suspicion, drawn.expected) == ("yes", "no", "", "")
    assert (state.flag.multi, state.flag.multi_kind, state.flag.note) == (True, "color", "two")
    assert (state.position, state.size, state.done, state.suggestions) == (3, 4, False, ())
    assert (state.kind, state.instances) == (BatchKind.AGREEMENT, None)
    assert instances_of(BatchKind.NORMAL, corpus.config) == 3


def test_nothing_tells_picture_model_source_or_anybody_else(corpus: Corpus) -> None:
    assert told(corpus, *(box(one) for one in aliases(corpus, "bob")), person=BOB).count("stored")
    with corpus.reading() as connection:
        states: list[Any] = [*batches_of(connection, "ann")]
        for one in batches_of(connection, "ann"):
            states += items_of(connection, one.batch, "ann") or []
        states += [
            pair_of(connection, one.alias, person=ANN, config=corpus.config) for one in states if hasattr(one, "alias")
        ]
        secrets = {one.image_sha1 for one in fetch(connection, BatchItem)} | {
            "01L",
            "02H",
            "jpeg",
            "webp",
            "made",
            "bob",
        }
    shown = repr([asdict(one) for one in states])
    assert not [one for one in secrets if one in shown]


def test_pairs_of_others_and_made_up_names_are_not_there(corpus: Corpus) -> None:
    others = [one for one in aliases(corpus, "bob") if one not in aliases(corpus, "ann")]
    with corpus.reading() as connection:
        for alias in (others[0], "0" * 40, "", "x", "\0" * 40, "\ud800", "A" * 40, "' or 1=1 --", "0" * 10**6):
            assert find_pair(connection, alias, "ann") is None
            assert pair_of(connection, alias, person=ANN, config=corpus.config) is None


def test_training_is_by_itself_and_comes_first(corpus: Corpus) -> None:
    alias = aliases(corpus, "ann")[0]
    assert told(corpus, box(alias)) == ["stored"]
    with corpus.writing() as connection:
        pair = find_pair(connection, alias, "ann")
        assert pair is not None
        item = BatchItem(batch="t1", position=1, image_sha1=pair.image_sha1, model=pair.model, alias="f" * 40)
        batch = Batch(batch="t1", bulk=0, kind="training", size=1)
        old = label(pair.image_sha1, pair.model, Box(300, 0, 5, 5), "ann", origin="person", uuid=str(uuid4()))
        add(connection, [batch, item, Assignment(batch="t1", labeler="ann", time=TIME), old])
    first = box("f" * 40)  # the very same box, in training
    assert told(corpus, first, changed(box(alias, uuid=old.uuid, x=1), alias="f" * 40)) == ["stored", "refused"]
    with corpus.reading() as connection:
        states = [pair_of(connection, one, person=ANN, config=corpus.config) for one in (alias, "f" * 40)]
        assert batches_of(connection, "ann")[0].batch == "t1"
        assert [one.boxes for one in items_of(connection, "t1", "ann") or []] == [1]
    assert [sorted(one.x for one in state.boxes) for state in states if state] == [[10, 300], [10]]


def test_pairs_whose_pixels_were_removed_are_no_work_any_more(corpus: Corpus) -> None:
    mine = aliases(corpus, "ann")
    assert told(corpus, visit(mine[0], finished=True), visit(mine[1], finished=True)) == ["stored"] * 2
    with corpus.writing() as connection:
        pair = find_pair(connection, mine[0], "ann")
        assert pair is not None
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == pair.image_sha1).values(removed=TIME))
        connection.execute(update(RECONSTRUCTION).where(RECONSTRUCTION.c.image_sha1 == pair.image_sha1).values(file=""))
        left = [one for one in fetch(connection, BatchItem) if one.batch == pair.batch]
        left = [one for one in left if one.image_sha1 != pair.image_sha1]
    with corpus.reading() as connection:
        (state,) = [one for one in batches_of(connection, "ann") if one.batch == pair.batch]
        items = items_of(connection, pair.batch, "ann") or []
        assert pair_of(connection, mine[0], person=ANN, config=corpus.config) is None
    assert state.size == len(items) == len(left) < 4
    assert [one.alias for one in items] == [one.alias for one in left]
    assert state.done == sum(one.done for one in items)


def _fastest(work: Callable[[], object], times: int = 7) -> float:
    found = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        found.append(time.perf_counter() - begun)
    return min(found)


@pytest.mark.slow
def test_pages_of_a_corpus_as_large_as_the_published_one_are_asked_for_in_a_blink(tmp_path: Path) -> None:
    models = [Model(model=f"{n:02d}{rate}", codec=f"C{n}", spec="jpeg@q10") for n in range(1, 7) for rate in "LH"]
    settings = {"models": [one.model_dump() for one in models], "batches": {"labelers": ["ann", "bob", "cid"]}}
    corpus = planned_corpus(tmp_path / "c", Config.model_validate(settings), range(1042))
    with corpus.writing() as connection:
        make_batches(connection, corpus.config)
        assign(connection, corpus.config, ["ann", "bob", "cid"])
        _finish(connection, "ann")
    with corpus.reading() as connection:
        batches = batches_of(connection, "ann")
        assert sum(one.done for one in batches) == sum(one.size for one in batches) > 4000
        assert statistics.median(one.median_s or 0 for one in batches) == 30.0
        (item, *_) = items_of(connection, batches[0].batch, "ann") or []
        # Twenty milliseconds on a core that does nothing else; three times that on one that does.
        assert _fastest(lambda: batches_of(connection, "ann")) < 0.06
        assert _fastest(lambda: items_of(connection, batches[0].batch, "ann")) < 0.06
        assert _fastest(lambda: pair_of(connection, item.alias, person=ANN, config=corpus.config)) < 0.06


def _finish(connection: Any, labeler: str) -> None:
    mine = {one.batch for one in fetch(connection, Assignment) if one.labeler == labeler}
    rows: list[Any] = []
    for one in fetch(connection, BatchItem):
        if one.batch in mine:
            whose = {"image_sha1": one.image_sha1, "model": one.model, "labeler": labeler, "batch": one.batch}
            rows.append(Seen(**whose, opened=TIME, closed=TIME))
            rows.append(Visit(uuid=str(uuid4()), **whose, opened=TIME, closed=TIME, active_s=30.0, finished=True))
            rows.append(label(one.image_sha1, one.model, Box(1, 2, 3, 4), labeler, origin="person", batch=one.batch))
    add(connection, rows)
