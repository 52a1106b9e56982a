"""Progress of labelers. Oracle: numbers worked out by hand from rows that the test wrote."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from corpora import label
from second import done, items, number, shared_corpus

from miscomp.annotate.progress import Day, Progress, progress
from miscomp.annotate.work import batches_of
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Assignment, Batch, BatchItem, Seen, SourceImage, Visit
from miscomp.corpus.schema import add, fetch, put
from miscomp.records import Box


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return shared_corpus(tmp_path / "corpus")


def found(corpus: Corpus) -> dict[str, Progress]:
    with corpus.reading() as connection:
        overall, labelers = progress(connection)
    return {"": overall, **{one.labeler: one for one in labelers}}


def test_nobody_has_begun(corpus: Corpus) -> None:
    state = found(corpus)
    assert set(state) == {"", "ann", "bob"}
    for one in (state["ann"], state["bob"]):
        assert (one.batches, one.pairs, one.pairs_done, one.pairs_left) == (2, 8, 0, 8)
        assert (one.pairs_per_hour, one.median_s, one.hours_left, one.days_left) == (None, None, None, None)
    assert (state[""].pairs, state[""].hours_left, state[""].days_left) == (16, None, None)


def test_pairs_time_and_estimates(corpus: Corpus) -> None:
    mine = items(corpus, agreement=True)
    rows = [*done(mine[0], "ann", active_s=30), *done(mine[1], "ann", active_s=60)]
    rows += [*done(mine[2], "ann", day="2025-10-28", active_s=120), *done(mine[0], "bob", active_s=100)]
    # A second look at a pair that is done adds to its time; a visit of a pair that is not is work all the same.
    again = {"image_sha1": mine[0].image_sha1, "model": mine[0].model, "labeler": "ann", "batch": mine[0].batch}
    open_one = {**again, "image_sha1": mine[3].image_sha1, "model": mine[3].model}
    later = "2025-10-28T10:00:00Z"
    rows += [
        Visit(uuid=number(one), **values, opened=later, closed=later, active_s=seconds, finished=False)
        for one, values, seconds in ((1, again, 60.0), (2, open_one, 15.0))
    ]
    with corpus.writing() as connection:
        add(connection, [*rows, label(mine[0].image_sha1, mine[0].model, Box(1, 2, 3, 4), "ann", origin="person")])
    ann = found(corpus)["ann"]
    assert (ann.batches_done, ann.pairs_done, ann.boxes, ann.timed) == (0, 3, 1, 3)
    assert ann.active_s == 30 + 60 + 120 + 60 + 15
    assert ann.median_s == 90, "of 90, 60 and 120"
    assert ann.pairs_per_hour == pytest.approx(3600 / 90)
    assert ann.days == (Day(day="2025-10-27", pairs=2, active_s=90.0), Day(day="2025-10-28", pairs=1, active_s=195.0))
    assert ann.hours_left == pytest.approx(5 * 90 / 3600)
    assert ann.days_left == 4, "5 pairs at 1.5 a day"
    overall = found(corpus)[""]
    assert (overall.pairs_done, overall.timed, overall.median_s) == (4, 4, 95)
    assert overall.days[0] == Day(day="2025-10-27", pairs=3, active_s=190.0)
    assert overall.hours_left == pytest.approx((5 * 90 + 7 * 100) / 3600) and overall.days_left == 7


def test_what_was_done_as_tables_has_no_time_and_what_is_finished_is(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        for item in (*items(corpus, agreement=True), *items(corpus, agreement=False)):
            for who in ("ann", "bob"):
                add(connection, [one for one in done(item, who) if isinstance(one, Seen)])
    ann = found(corpus)["ann"]
    assert (ann.batches_done, ann.pairs_done, ann.pairs_left) == (2, 8, 0), "batches of others do not count"
    assert (ann.timed, ann.median_s, ann.hours_left, ann.days_left) == (0, None, 0.0, 0)
    assert found(corpus)[""].days_left == 0


def test_training_counts_nowhere(corpus: Corpus) -> None:
    before = found(corpus)
    item = items(corpus, agreement=True)[0]
    pair = {"image_sha1": item.image_sha1, "model": item.model, "labeler": "ann", "batch": "t1"}
    time = "2025-10-27T09:30:00Z"
    with corpus.writing() as connection:
        add(connection, [Batch(batch="t1", bulk=1, kind="training", size=1)])
        add(connection, [Seen(**pair, opened=time, closed=time)])
        add(connection, [Visit(uuid=number(1), **pair, opened=time, closed=time, active_s=9.0, finished=True)])
    assert found(corpus) == before


def test_pairs_of_a_removed_picture_are_neither_to_do_nor_done(corpus: Corpus) -> None:
    mine = items(corpus, agreement=True)
    with corpus.writing() as connection:
        add(connection, [*done(mine[0], "ann"), *done(mine[1], "ann")])
        gone = [one for one in fetch(connection, SourceImage) if one.image_sha1 == mine[0].image_sha1]
        put(connection, [replace(one, removed="2025-11-01T00:00:00Z") for one in gone])
        batches = {one.batch for one in fetch(connection, Assignment) if one.labeler == "ann"}
        given = [one for one in fetch(connection, BatchItem) if one.batch in batches]
        page = batches_of(connection, "ann")
    removed = sum(one.image_sha1 == mine[0].image_sha1 for one in given)
    left = sum(one.image_sha1 != mine[0].image_sha1 for one in mine[:2])
    ann = found(corpus)["ann"]
    assert removed > 0
    assert (ann.pairs, ann.pairs_done) == (8 - removed, left)
    assert (ann.pairs, ann.pairs_done) == (sum(one.size for one in page), sum(one.done for one in page))
    assert ann.days[0].pairs == 2, "the work was done all the same"
