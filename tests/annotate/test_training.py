"""Training: whom it is given to, that it counts nowhere, and that nobody sees others' boxes before the own pass."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from corpora import TIME, label, small_corpus
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from miscomp.annotate.discussion import SAME_PLACE, NotDone, discussion_of, same_places
from miscomp.annotate.messages import ANSWERS, answer_word
from miscomp.annotate.people import Person
from miscomp.annotate.training import assign_training, everybody, finished, make_training, read_pair, trainings
from miscomp.cli.annotate_training import training
from miscomp.corpus.batches.planning import assign, make_batches, shares
from miscomp.corpus.checks.rows import check_rows
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Account, Batch, BatchItem, BatchKind, LabelEvent, MultiFlag, Role, Seen, Visit
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.inventory import take_inventory
from miscomp.corpus.samples.draw import Kind, Request
from miscomp.corpus.samples.pool import Filters, make_pool
from miscomp.corpus.schema import BATCH, ITEM, add, fetch
from miscomp.errors import UsageError
from miscomp.records import Box
from miscomp.stats.material import from_corpus

PEOPLE = ("ann", "bob", "cem")
WHERE = Box(20, 30, 40, 24)


def corpus_of(folder: Path, **settings: Any) -> Corpus:
    """Three pictures by four models, nothing labelled, three labelers."""
    return small_corpus(folder, labels=False, batches={"labelers": list(PEOPLE), "batch_size": 4}, **settings)


def made(corpus: Corpus, **options: Any) -> tuple[Batch, list[BatchItem]]:
    """A training batch that everybody is given, and its pairs."""
    with corpus.writing() as connection:
        batch = make_training(connection, corpus.config, **options)
        assign_training(connection, everybody(connection, corpus.config))
    with corpus.reading() as connection:
        return batch, fetch(connection, BatchItem, ITEM.c.batch == batch.batch)


def drawn(item: BatchItem, labeler: str, box: Box = WHERE, **values: Any) -> LabelEvent:
    """A box that a labeler draws in training."""
    return label(item.image_sha1, item.model, box, labeler, batch=item.batch, origin="person", **values)


def visit(item: BatchItem, labeler: str, *, done: bool = True) -> Visit:
    """A look at a pair."""
    about = f"{item.alias} {labeler} {done}"
    return Visit(
        uuid=hashlib.sha256(about.encode()).hexdigest()[:32],
        image_sha1=item.image_sha1,
        model=item.model,
        labeler=labeler,
        batch=item.batch,
        opened=TIME,
        closed=TIME,
        active_s=1.0,
        finished=done,
    )


def person(name: str, *roles: Role) -> Person:
    return Person(name, frozenset(roles or (Role.LABELER,)))


def test_a_training_batch_is_given_to_all_labelers_and_has_a_name_of_its_own(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    batch, items = made(corpus, count=3, seed=1)
    assert re.fullmatch(r"t\d{6}", batch.batch)
    assert (batch.kind, batch.bulk, batch.size, len(items)) == (BatchKind.TRAINING, 0, 3, 3)
    with corpus.reading() as connection:
        assert dict(trainings(connection)[0].done) == dict.fromkeys(PEOPLE, 0)


def test_pairs_of_different_pictures_are_drawn_first_and_the_seed_says_which(tmp_path: Path) -> None:
    drawn_by_seed = []
    for number, seed in enumerate((5, 5, 6)):
        _, items = made(corpus_of(tmp_path / str(number)), count=3, seed=seed)
        assert len({one.image_sha1 for one in items}) == 3
        drawn_by_seed.append([(one.image_sha1, one.model) for one in items])
    assert drawn_by_seed[0] == drawn_by_seed[1] != drawn_by_seed[2]


def test_later_batches_leave_training_pairs_out_and_say_how_many(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    _, items = made(corpus, count=2)
    with corpus.writing() as connection:
        result = make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, PEOPLE)
    with corpus.reading() as connection:
        others = fetch(connection, BatchItem, ITEM.c.batch != items[0].batch)
        problems = [str(one) for one in check_rows(connection, corpus)]
    trained = {(one.image_sha1, one.model) for one in items}
    assert result.training == 2
    assert len(others) == 3 * 4 - 2
    assert not trained & {(one.image_sha1, one.model) for one in others}
    assert not {one.alias for one in items} & {one.alias for one in others}
    assert problems == []


def test_an_alias_in_training_is_not_the_one_that_the_pair_has_for_labeling(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    with corpus.writing() as connection:
        make_batches(connection, corpus.config, unscreened=True)
    with corpus.reading() as connection:
        normal = fetch(connection, BatchItem)[0]
    pair = (normal.image_sha1, normal.model)
    with pytest.raises(UsageError, match="--labelled-too"):
        made(corpus, pairs=[pair])
    _, items = made(corpus, pairs=[pair], labelled_too=True)
    assert (items[0].image_sha1, items[0].model) == pair
    assert items[0].alias != normal.alias
    with corpus.writing() as connection:
        assert make_batches(connection, corpus.config, unscreened=True).training == 0  # it is labelled all the same


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "which pairs"),
        ({"pairs": [("0" * 40, "01L")], "count": 1}, "which pairs"),
        ({"pairs": [("0" * 40, "01L")]}, "no pair"),
        ({"count": 13}, "12 are free"),
        ({"count": 1001}, "1 to 1000"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(tmp_path: Path, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        made(corpus_of(tmp_path / "c"), **options)


def test_a_pair_is_trained_on_once(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    _, items = made(corpus, count=1)
    pair = (items[0].image_sha1, items[0].model)
    with pytest.raises(UsageError, match="already"):
        made(corpus, pairs=[pair], labelled_too=True)
    other = (pair[0], next(name for name in ("01L", "01H") if name != pair[1]))
    with pytest.raises(UsageError, match="twice"):
        made(corpus, pairs=[other, other])


def test_everybody_is_who_may_label_or_was_given_batches(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    with corpus.writing() as connection:
        assert everybody(connection, corpus.config) == PEOPLE  # of the settings, as there is nobody yet
        accounts = [("dan", "labeler+reviewer", False), ("eve", "supervisor", False), ("fay", "labeler", True)]
        add(connection, [Account(name=n, roles=r, password="x", added=TIME, disabled=d) for n, r, d in accounts])
        assert everybody(connection, corpus.config) == ("dan",)
        make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, ["gus"])
        assert everybody(connection, corpus.config) == ("dan", "gus")


def test_what_is_drawn_in_training_counts_nowhere(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    with corpus.writing() as connection:
        make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, PEOPLE)

    def state() -> tuple[Any, ...]:
        snapshot = take_snapshot(corpus, labelers=True)
        stats = from_corpus(corpus)
        with corpus.reading() as connection:
            manifest = take_inventory(connection, corpus.config, title="c").model_dump(exclude={"corpus"})
            faults = [str(one) for one in check_rows(connection, corpus)]
            given = shares(connection)
            request = Request(kind=Kind.FREE, width=32, height=32)
            pool = make_pool(corpus, connection, request, Filters(unviewed=True)).state
        tables = (snapshot.annotations, snapshot.images, snapshot.views)
        return tables, (stats.annotations, stats.views, stats.images), manifest, faults, given, pool

    before = state()
    assert before[2]["batches"]["pairs"] == 12
    _, items = made(corpus, count=2, labelled_too=True)
    with corpus.writing() as connection:
        for one in items:
            for name in PEOPLE:
                flag = f"{one.alias[:20]}{name}"
                add(connection, [drawn(one, name, multi=True), visit(one, name)])
                seen: dict[str, Any] = {"image_sha1": one.image_sha1, "model": one.model, "labeler": name}
                add(connection, [Seen(**seen, batch=one.batch, opened=TIME, closed=TIME)])
                add(connection, [MultiFlag(uuid=flag, **seen, batch=one.batch, multi=True, kind="color", time=TIME)])
    assert state() == before


def test_nobody_sees_others_boxes_before_the_own_pass_is_done(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    _, (item,) = made(corpus, count=1)
    with corpus.writing() as connection:
        add(connection, [drawn(item, name) for name in ("ann", "bob")])
        add(connection, [visit(item, "bob"), visit(item, "ann", done=False)])
    with corpus.reading() as connection:
        with pytest.raises(NotDone, match="own pass"):
            discussion_of(connection, item.alias, person("ann"))
        with pytest.raises(NotDone):  # a supervisor who labels is a labeler here
            discussion_of(connection, item.alias, person("ann", Role.LABELER, Role.SUPERVISOR))
        seen = discussion_of(connection, item.alias, person("bob"))
        led = discussion_of(connection, item.alias, person("eve", Role.SUPERVISOR))
        assert discussion_of(connection, item.alias, person("dan")) is None
    assert seen is not None
    assert [one.labeler for one in seen.drawn] == ["bob"]  # ann has boxes, and is not done
    assert seen.waiting == ("ann", "cem")
    assert led == seen


def test_a_pair_of_another_batch_has_no_discussion(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    with corpus.writing() as connection:
        make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, PEOPLE)
    with corpus.reading() as connection:
        agreement = fetch(connection, Batch, BATCH.c.kind == BatchKind.AGREEMENT.value)[0]
        item = fetch(connection, BatchItem, ITEM.c.batch == agreement.batch)[0]
    with corpus.writing() as connection:
        add(connection, [visit(item, "ann"), drawn(item, "bob")])
    with corpus.reading() as connection:
        assert discussion_of(connection, item.alias, person("ann")) is None
        assert discussion_of(connection, item.alias, person("eve", Role.SUPERVISOR)) is None


def test_a_handed_in_batch_folder_is_a_pass_too(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    _, (item,) = made(corpus, count=1)
    seen = {"image_sha1": item.image_sha1, "model": item.model, "labeler": "cem", "batch": item.batch}
    with corpus.writing() as connection:
        add(connection, [Seen(**seen, opened="", closed=TIME)])
        assert finished(connection, item) == {"cem"}


def test_the_last_word_counts_and_deleted_boxes_are_not_discussed(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    _, (item,) = made(corpus, count=1)
    first = drawn(item, "ann")
    gone = drawn(item, "ann", Box(1, 1, 5, 5), uuid="gone")
    deleted = drawn(item, "ann", Box(1, 1, 5, 5), uuid="deleted", action="delete", replaces="gone")
    flags = [
        MultiFlag(uuid=f"f{k}", image_sha1=item.image_sha1, model=item.model, labeler="ann", multi=bool(k), time=TIME,
                  batch=item.batch)
        for k in (1, 0)
    ]  # fmt: skip
    with corpus.writing() as connection:
        add(connection, [first, gone, deleted, *flags, visit(item, "ann")])
    with corpus.reading() as connection:
        found = discussion_of(connection, item.alias, person("ann"))
    assert found is not None
    (ann,) = found.drawn
    assert [one.uuid for one in ann.boxes] == [first.uuid]
    assert ann.flag is not None
    assert not ann.flag.multi


def box_of(labeler: str, x: int, y: int, w: int, h: int) -> LabelEvent:
    return label("0" * 40, "01L", Box(x, y, w, h), labeler)


def test_boxes_that_mean_the_same_are_one_place() -> None:
    boxes = [
        box_of("ann", 10, 10, 40, 40), box_of("bob", 12, 10, 40, 40), box_of("cem", 10, 14, 36, 36),
        box_of("ann", 100, 100, 20, 20), box_of("cem", 150, 20, 9, 9),
    ]  # fmt: skip
    places = same_places(boxes)
    assert [one.labelers for one in places] == [("ann", "bob", "cem"), ("cem",), ("ann",)]
    assert places[0].box == Box(10, 10, 42, 40)


def test_two_boxes_of_one_labeler_are_never_one_place() -> None:
    places = same_places([box_of("ann", 0, 0, 40, 40), box_of("ann", 2, 2, 40, 40), box_of("bob", 1, 1, 40, 40)])
    assert sorted(one.labelers for one in places) == [("ann",), ("ann", "bob")]
    # The closest two first: IoU of (1, 1) with (0, 0) and with (2, 2) are equal, the first in order is taken.


coordinates = st.tuples(st.sampled_from(PEOPLE), *[st.integers(0, 60)] * 2, *[st.integers(1, 60)] * 2)


@given(st.lists(coordinates, max_size=9, unique=True), st.randoms())
def test_places_part_the_boxes_whatever_their_order(rows: list[Any], chance: Any) -> None:
    boxes = [box_of(*row) for row in rows]
    places = same_places(boxes)
    assert sorted(name for one in places for name in one.events) == sorted(one.uuid for one in boxes)
    assert all(len(one.labelers) == len(one.events) for one in places)
    by_event = {one.uuid: Box(one.x, one.y, one.w, one.h) for one in boxes}
    for one in places:
        if len(one.events) > 1:  # each has a near one in its place, by the definition of IoU written out
            for event in one.events:
                assert max(iou(by_event[event], by_event[o]) for o in one.events if o != event) >= SAME_PLACE
    chance.shuffle(boxes)
    assert same_places(boxes) == places


def iou(a: Box, b: Box) -> float:
    """Counted in pixels, as an oracle."""
    canvas = np.zeros((130, 130), int)
    canvas[a.y : a.bottom, a.x : a.right] += 1
    canvas[b.y : b.bottom, b.x : b.right] += 1
    return float((canvas == 2).sum() / (canvas > 0).sum())


def test_answers_are_said_as_they_were_given() -> None:
    assert [answer_word(stored) for stored in ANSWERS.values()] == list(ANSWERS)
    assert answer_word(0.3) == "unsure"


def test_a_pair_is_named_by_the_beginning_of_its_sha1(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path / "c")
    _, (item,) = made(corpus, count=1)
    with corpus.reading() as connection:
        assert read_pair(connection, f"{item.image_sha1[:8]}:01L") == (item.image_sha1, "01L")
        for wrong in ("01L", f"{item.image_sha1[:8]}", "ABCDEF:01L", "%:01L", "ffffff:"):
            with pytest.raises(UsageError, match="SHA1:MODEL"):
                read_pair(connection, wrong)
        with pytest.raises(UsageError, match="0 pictures"):
            read_pair(connection, "000000:01L")


def test_the_command_makes_lists_and_gives_to_those_who_join(tmp_path: Path) -> None:
    import typer

    corpus = corpus_of(tmp_path / "c")
    app = typer.Typer()
    app.command()(training)
    first = CliRunner().invoke(app, [str(corpus.folder), "--count", "2", "--seed", "3"])
    assert first.exit_code == 0, first.output
    assert "2 pairs; done: ann 0 of 2, bob 0 of 2, cem 0 of 2" in first.stdout
    joined = CliRunner().invoke(app, [str(corpus.folder), "--labelers", "dan", "--json"])
    assert '"dan": 0' in joined.stdout
    listed = CliRunner().invoke(app, [str(corpus.folder), "--list", "--json"])
    assert listed.stdout == joined.stdout
