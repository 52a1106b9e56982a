"""Second looks. Oracles: boxes written by the test, the database's rows, kappas and intervals worked out by hand."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from corpora import TIME, label
from second import done, items, number, person, pictures, reviewed_corpus, shared_corpus, tell
from sqlalchemy import update

from miscomp.annotate.aliases import find_reconstruction
from miscomp.annotate.look_summary import LookSummary, look_summary
from miscomp.annotate.looks import ReviewState, Wanted, look_of, review_state
from miscomp.annotate.messages import Outcome
from miscomp.corpus.batches.planning import alias_of
from miscomp.corpus.corpus import Corpus, meta
from miscomp.corpus.entries import Action, Batch, BatchItem, LabelEvent, Role, SecondLook
from miscomp.corpus.schema import IMAGE, RECONSTRUCTION, SECOND_LOOK, add, fetch
from miscomp.errors import InputError, UsageError
from miscomp.records import Box

BOX = Box(5, 6, 20, 21)


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return reviewed_corpus(tmp_path / "corpus")


def state(corpus: Corpus, reviewer: str = "eve", **wanted: object) -> ReviewState:
    with corpus.reading() as connection:
        return review_state(connection, corpus.config, reviewer, Wanted(**wanted))  # type: ignore[arg-type]


def summary(corpus: Corpus) -> LookSummary:
    with corpus.reading() as connection:
        return look_summary(connection)


def events(corpus: Corpus) -> list[LabelEvent]:
    with corpus.reading() as connection:
        return fetch(connection, LabelEvent)


def look(uuid: object, event: str, judgement: str = "confirm", **more: object) -> dict[str, object]:
    return {"kind": "look", "uuid": number(str(uuid)), "event": event, "judgement": judgement, **more}


def shown(found: ReviewState) -> set[str]:
    return {box.event for pair in found.waiting for box in pair.boxes}


def test_a_reviewer_looks_at_the_boxes_of_others(corpus: Corpus) -> None:
    every = {one.uuid for one in events(corpus)}
    assert len(every) == 9
    assert shown(state(corpus)) == every
    assert shown(state(corpus, "Ann")) == {one.uuid for one in events(corpus) if one.labeler == "bob"}
    found = state(corpus)
    assert (found.boxes, found.done, found.pairs) == (9, 0, 3)
    assert sorted(len(one.boxes) for one in found.waiting) == [1, 4, 4]
    assert len({one.alias for one in found.waiting}) == 3, "a pair is opened once"


def test_boxes_of_training_deleted_ones_and_those_of_removed_pictures_are_not_looked_at(corpus: Corpus) -> None:
    before = shown(state(corpus))
    first, second = pictures(corpus)[:2]
    old = next(one for one in events(corpus) if one.labeler == "bob")
    gone = label(old.image_sha1, old.model, BOX, "bob", action=Action.DELETE.value, replaces=old.uuid)
    training = label(first.image_sha1, "01H", BOX, "bob", batch="t1")
    with corpus.writing() as connection:
        add(connection, [Batch(batch="t1", bulk=1, kind="training", size=1), gone, training])
    assert shown(state(corpus)) == before - {old.uuid}
    assert tell(corpus, person("eve"), look(1, old.uuid), look(2, training.uuid), look(3, gone.uuid)) == [
        Outcome.CONFLICT,
        Outcome.REFUSED,
        Outcome.REFUSED,
    ]
    kept = [one for one in events(corpus) if one.image_sha1 != second.image_sha1 and one.uuid in before - {old.uuid}]
    with corpus.writing() as connection:
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == second.image_sha1).values(removed=TIME))
    assert shown(state(corpus)) == {one.uuid for one in kept}


def test_filters_leave_what_they_say(corpus: Corpus) -> None:
    by = {one.uuid: one for one in events(corpus)}
    sha1 = pictures(corpus)[0].image_sha1
    found = label(sha1, "01H", BOX, "rules", origin="detector", score=0.5)
    with corpus.writing() as connection:
        add(connection, [found, Batch(batch="b1", bulk=1, kind="normal", size=1)])
        one = next(one for one in by.values() if one.labeler == "bob")
        alias = alias_of(meta(connection, "secret"), one.image_sha1, one.model)
        add(connection, [BatchItem(batch="b1", position=1, image_sha1=one.image_sha1, model=one.model, alias=alias)])
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == one.image_sha1).values(source="street"))
    assert shown(state(corpus, detectors=True)) == {*by, found.uuid} and shown(state(corpus)) == {*by}
    assert shown(state(corpus, uncategorised=True)) == {uuid for uuid, one in by.items() if not one.category}
    pair = {uuid for uuid, other in by.items() if (other.image_sha1, other.model) == (one.image_sha1, one.model)}
    assert shown(state(corpus, batch="b1")) == pair
    assert shown(state(corpus, source="street")) == {u for u, o in by.items() if o.image_sha1 == one.image_sha1}
    assert shown(state(corpus, source="nowhere")) == set()


def test_a_sample_is_of_whole_pairs_and_the_same_for_all(corpus: Corpus) -> None:
    eve, fay = (state(corpus, who, share=0.4) for who in ("eve", "fay"))
    assert shown(eve) == shown(fay)
    sizes = sorted(len(one.boxes) for one in eve.waiting)
    assert sum(sizes) >= 0.4 * 9 and sum(sizes) - sizes[-1] < 0.4 * 9, "no pair more than it takes"
    for share in (0, -1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="share of boxes"):
            Wanted(share=share)


def test_reviewers_go_their_own_ways_and_the_same_way_each_time(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        more = [label(one.image_sha1, "02H", BOX, "bob") for one in pictures(corpus)]
        add(connection, [*more, *(label(one.image_sha1, "01H", BOX, "bob") for one in pictures(corpus))])
    orders = {who: [one.alias for one in state(corpus, who).waiting] for who in ("eve", "fay", "eve")}
    assert orders["eve"] == [one.alias for one in state(corpus).waiting]
    assert orders["eve"] != orders["fay"] and sorted(orders["eve"]) == sorted(orders["fay"])


def test_nothing_that_could_sway_is_told_before_the_word(corpus: Corpus) -> None:
    text = json.dumps(asdict(state(corpus)))
    for word in ("ann", "bob", "SHAPE", "01L", "02L", "ramps", *(one.image_sha1[:8] for one in pictures(corpus))):
        assert word not in text
    (box,) = [one for one in events(corpus) if one.category]
    with corpus.reading() as connection:
        assert look_of(connection, box.uuid, "eve") is None
    tell(corpus, person("eve"), look(1, box.uuid, category="AMPLITUDE", note="paler"))
    with corpus.reading() as connection:
        said = look_of(connection, box.uuid, "eve")
        assert look_of(connection, box.uuid, "fay") is None
    assert said is not None and (said.category, said.first_category, said.first_symbol) == ("AMPLITUDE", "SHAPE", True)
    found = state(corpus)
    assert (found.done, len(found.waiting)) == (1, 2)
    assert found.recent[0].boxes[0].look == said


def test_a_look_is_stored_once_and_the_last_one_counts(corpus: Corpus) -> None:
    box = next(one for one in events(corpus) if one.labeler == "bob")
    told = look(1, box.uuid, "reject", note="as it was", age_ms=1000)
    assert tell(corpus, person("eve"), told) == [Outcome.STORED]
    assert tell(corpus, person("eve"), told) == [Outcome.KNOWN]
    with corpus.reading() as connection:
        (row,) = fetch(connection, SecondLook)
    assert (row.event, row.image_sha1, row.model, row.reviewer) == (box.uuid, box.image_sha1, box.model, "eve")
    assert (row.judgement, row.note, row.time) == ("reject", "as it was", "2025-10-27T11:59:59.000000Z")
    assert row.version.startswith("miscomp-annotate ")
    tell(corpus, person("eve"), look(2, box.uuid, "unsure"))
    assert summary(corpus).verdicts == {"confirmed": 0, "rejected": 0, "disputed": 0, "unsure": 1}


def test_own_boxes_others_roles_and_what_is_not_there_are_refused(corpus: Corpus) -> None:
    box = next(one for one in events(corpus) if one.labeler == "bob")
    assert tell(corpus, person("bob"), look(1, box.uuid)) == [Outcome.REFUSED]
    assert tell(corpus, person("eve", Role.LABELER), look(2, box.uuid)) == [Outcome.REFUSED]
    assert tell(corpus, person("eve"), look(3, "../../x"), look(4, box.uuid, "maybe")) == [Outcome.REFUSED] * 2
    with corpus.reading() as connection:
        assert fetch(connection, SecondLook) == []


def test_a_changed_box_is_looked_at_anew(corpus: Corpus) -> None:
    box = next(one for one in events(corpus) if one.labeler == "bob")
    tell(corpus, person("eve"), look(1, box.uuid))
    with corpus.writing() as connection:
        add(connection, [label(box.image_sha1, box.model, BOX, "bob", action="change", replaces=box.uuid)])
    assert tell(corpus, person("eve"), look(2, box.uuid)) == [Outcome.CONFLICT]
    assert state(corpus).done == 0 and summary(corpus).looked_at == 0


def test_pairs_that_are_in_no_batch_have_names_that_lead_to_their_pictures(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        for pair in state(corpus).waiting:
            found = find_reconstruction(connection, pair.alias)
            assert found is not None and (found[1].width, found[1].height) == (pair.width, pair.height)
            secret = meta(connection, "secret")
            assert alias_of(secret, found[0].image_sha1, found[1].model) == pair.alias
        assert find_reconstruction(connection, "0" * 40) is None
        connection.execute(update(RECONSTRUCTION).values(file=""))
        assert find_reconstruction(connection, pair.alias) is None


def test_the_summary_counts_verdicts_by_labeler(corpus: Corpus) -> None:
    bobs = [one.uuid for one in events(corpus) if one.labeler == "bob"]
    tell(corpus, person("eve"), *(look(f"e{n}", one, "confirm" if n < 3 else "reject") for n, one in enumerate(bobs)))
    tell(corpus, person("fay"), look("f0", bobs[0], "reject"), look("f1", bobs[1], "unsure"))
    found = summary(corpus)
    assert (found.boxes, found.looked_at) == (9, 4)
    assert found.verdicts == {"confirmed": 2, "rejected": 1, "disputed": 1, "unsure": 0}
    assert found.reviewers == {"eve": 4, "fay": 2}
    ann, bob = found.labelers
    assert (ann.labeler, ann.boxes, ann.looked_at, ann.confirmed.total) == ("ann", 5, 0, 0)
    assert (bob.boxes, bob.looked_at, bob.confirmed.count, bob.confirmed.total) == (4, 4, 2, 4)
    # Wilson (1927) for 2 of 4 with z = 1.96: (0.15, 0.85).
    assert bob.confirmed.interval == pytest.approx((0.1500, 0.8500), abs=5e-4)


def test_agreement_of_reviewers_is_cohens_kappa(corpus: Corpus) -> None:
    sha1s = [one.image_sha1 for one in pictures(corpus)]
    # 50 boxes: both confirm 20, both reject 15, 5 and 10 mixed. Observed 0.7, by chance 0.5: kappa 0.4.
    said = [("confirm", "confirm")] * 20 + [("confirm", "reject")] * 5 + [("reject", "confirm")] * 10
    said += [("reject", "reject")] * 15
    boxes = [label(sha1s[n % 3], "01H", Box(n, 1, 5, 5), "bob") for n in range(50)]
    looks = [
        SecondLook(
            uuid=number(f"{who} {n}"),
            event=box.uuid,
            image_sha1=box.image_sha1,
            model=box.model,
            reviewer=who,
            judgement=pair[at],
            category="SHAPE+AMPLITUDE" if n % 2 else "AMPLITUDE",
            symbol=n < 10,
            time=TIME,
        )
        for n, (box, pair) in enumerate(zip(boxes, said, strict=True))
        for at, who in enumerate(("eve", "fay"))
    ]
    with corpus.writing() as connection:
        add(connection, [*boxes, *looks])
    (found,) = summary(corpus).agreement
    assert (found.first, found.second, found.boxes, found.photographs) == ("eve", "fay", 50, 3)
    assert found.judgement.value == pytest.approx(0.4) and found.judgement.interval is not None
    assert found.categorised == 20, "boxes that neither rejected"
    assert found.category.value == found.symbol.value == 1.0
    assert found.category.interval is None, "draws from perfect agreement say nothing"


def test_no_two_reviewers_no_agreement(corpus: Corpus) -> None:
    assert summary(corpus).agreement == () and summary(corpus).looked_at == 0


def test_a_look_that_was_spoilt_by_hand_is_named(corpus: Corpus) -> None:
    box = next(one for one in events(corpus) if one.labeler == "bob")
    tell(corpus, person("eve"), look(1, box.uuid))
    for spoilt in ({"judgement": "maybe"}, {"judgement": "confirm", "category": "COLOUR"}):
        with corpus.writing() as connection:
            connection.execute(update(SECOND_LOOK).values(spoilt))
        with pytest.raises(InputError, match="look that is none"):
            summary(corpus)


def test_who_labels_too_sees_boxes_of_others_only_on_pairs_that_are_done(tmp_path: Path) -> None:
    corpus = shared_corpus(tmp_path / "shared")
    (mine, *_), (shared, *_) = items(corpus, agreement=False), items(corpus, agreement=True)
    drawn = {"kind": "box", "action": "add", "x": 1, "y": 2, "w": 20, "h": 21, "uuid": number("of ann")}
    assert tell(corpus, person("ann"), {**drawn, "alias": shared.alias}) == [Outcome.STORED]
    assert shown(state(corpus, "eve")) == {number("of ann")}
    assert shown(state(corpus, "bob")) == set()
    with corpus.writing() as connection:
        add(connection, done(mine, "bob"))
    assert shown(state(corpus, "bob")) == set()
    with corpus.writing() as connection:
        add(connection, done(shared, "bob"))
    assert shown(state(corpus, "bob")) == {number("of ann")}
