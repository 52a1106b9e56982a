"""Disagreements on agreement batches. Oracles: boxes matched by hand; `agree` on the whole corpus, read another way."""

from __future__ import annotations

from pathlib import Path

import pytest
from corpora import label
from second import done, items, shared_corpus
from sqlalchemy import update

from miscomp.annotate.disagreements import RESAMPLES, Disagreements, disagreements
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.schema import RECONSTRUCTION, add
from miscomp.records import Box
from miscomp.stats.agreement import agree
from miscomp.stats.material import from_corpus

HERE, NEAR, THERE = Box(10, 10, 20, 20), Box(14, 12, 20, 20), Box(100, 100, 20, 20)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return shared_corpus(tmp_path / "corpus")


def found(corpus: Corpus) -> Disagreements:
    with corpus.reading() as connection:
        return disagreements(connection, corpus.config)


def drawn(corpus: Corpus, at: int, **boxes: tuple[Box, ...]) -> str:
    """Boxes of those who are done with a pair of the agreement batch; its alias."""
    item = items(corpus, agreement=True)[at]
    with corpus.writing() as connection:
        for who, theirs in boxes.items():
            add(connection, [*done(item, who)])
            add(connection, [label(item.image_sha1, item.model, box, who, origin="person") for box in theirs])
    return item.alias


def test_without_work_there_is_nothing_to_compare(corpus: Corpus) -> None:
    state = found(corpus)
    assert state.agreement is None and "two labelers" in state.why_none
    assert len(state.pairs) == 4 and {one.disagreement for one in state.pairs} == {None}


def test_pairs_are_sorted_by_the_share_of_boxes_that_the_other_has_not(corpus: Corpus) -> None:
    agreed = drawn(corpus, 0, ann=(HERE,), bob=(NEAR,))
    empty = drawn(corpus, 1, ann=(), bob=())
    apart = drawn(corpus, 2, ann=(HERE, THERE), bob=(NEAR,))
    half = drawn(corpus, 3, ann=(HERE,))
    state = found(corpus)
    by = {one.alias: one for one in state.pairs}
    assert state.pairs[0].alias == apart and state.pairs[-1].alias == half
    assert by[apart].disagreement == pytest.approx(1 / 3) and by[apart].unmatched == 1
    assert [(one.labeler, one.alone) for one in by[apart].boxes] == [("ann", False), ("ann", True), ("bob", False)]
    assert by[agreed].disagreement == by[empty].disagreement == 0
    assert by[half].disagreement is None and by[half].labelers == ("ann",)


def test_alpha_is_that_of_the_statistics(corpus: Corpus) -> None:
    for at in range(4):
        drawn(corpus, at, ann=(HERE, THERE)[: at + 1], bob=(NEAR,))
    state = found(corpus)
    wanted = agree(from_corpus(corpus), resamples=RESAMPLES, seed=corpus.config.seed)
    assert state.agreement is not None
    assert [one.alpha for one in state.agreement.rows] == [one.alpha for one in wanted.rows]
    assert state.agreement.rows[2].alpha.value is not None


def test_a_pair_that_somebody_is_still_at_shows_no_disagreement(corpus: Corpus) -> None:
    alias = drawn(corpus, 0, ann=(HERE,))
    item = items(corpus, agreement=True)[0]
    with corpus.writing() as connection:
        add(connection, [label(item.image_sha1, item.model, THERE, "bob", origin="person")])
    (pair,) = [one for one in found(corpus).pairs if one.alias == alias]
    assert pair.disagreement is None and [one.labeler for one in pair.boxes] == ["ann"]


def test_detectors_are_no_labelers(corpus: Corpus) -> None:
    alias = drawn(corpus, 0, ann=(HERE,), bob=(HERE,))
    item = items(corpus, agreement=True)[0]
    with corpus.writing() as connection:
        add(connection, [label(item.image_sha1, item.model, THERE, "rules", origin="detector", score=0.5)])
    state = found(corpus)
    (pair,) = [one for one in state.pairs if one.alias == alias]
    assert pair.disagreement == 0 and len(pair.boxes) == 2
    assert state.agreement is not None and [one.name for one in state.agreement.labelers] == ["ann", "bob"]


def test_pairs_whose_pixels_were_removed_are_left_out(corpus: Corpus) -> None:
    drawn(corpus, 0, ann=(HERE,), bob=(THERE,))
    drawn(corpus, 1, ann=(HERE,), bob=(HERE,))
    gone = items(corpus, agreement=True)[0]
    with corpus.writing() as connection:
        where = (RECONSTRUCTION.c.image_sha1 == gone.image_sha1, RECONSTRUCTION.c.model == gone.model)
        connection.execute(update(RECONSTRUCTION).where(*where).values(file=""))
    assert gone.alias not in {one.alias for one in found(corpus).pairs} and len(found(corpus).pairs) == 3
