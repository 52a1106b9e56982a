"""A whole project, worked through by everybody and then asked about. Oracle: PostgreSQL answers as SQLite does."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from corpora import small_corpus
from postgres import Server, needed
from second import NOW, number, person
from sqlalchemy import update

from miscomp.annotate.aliases import photograph_alias
from miscomp.annotate.disagreements import disagreements
from miscomp.annotate.discussion import discussion_of
from miscomp.annotate.look_summary import look_summary
from miscomp.annotate.looks import Wanted, look_of, review_state
from miscomp.annotate.progress import progress
from miscomp.annotate.save import save
from miscomp.annotate.screening import screening_state
from miscomp.annotate.suggestion_use import suggestion_use
from miscomp.annotate.suggestions import take_findings
from miscomp.annotate.training import assign_training, everybody, make_training, trainings
from miscomp.annotate.work import batches_of, items_of, pair_of
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Role, SourceImage
from miscomp.corpus.exports.archive import zipped_tables
from miscomp.corpus.exports.snapshot import take_snapshot
from miscomp.corpus.labels import current_labels
from miscomp.corpus.schema import META, fetch
from miscomp.records import Annotation, Box, display_id
from miscomp.tables import write

SECRET = "5" * 64
LABELERS, REVIEWERS, SCREENERS = ("ann", "bob"), ("eve", "fay"), ("kim", "max")
SETTINGS = {
    "batches": {"labelers": LABELERS, "batch_size": 4, "agreement_batches": 1},
    "annotate": {"suggestions": True},
}
FOUND = Box(16, 24, 40, 32)


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with needed() as made:
        yield made


def project(folder: Path, **settings: Any) -> Corpus:
    """Batches, a training batch and suggestions; names follow from a secret that is the same in all of them."""
    corpus = small_corpus(folder, images=4, labels=False, **SETTINGS, **settings)
    with corpus.writing() as connection:
        connection.execute(update(META).where(META.c.name == "secret").values(value=SECRET))
        make_training(connection, corpus.config, count=2, seed=1)
        make_batches(connection, corpus.config, unscreened=True, incomplete=True)
        assign(connection, corpus.config, LABELERS)
        assign_training(connection, everybody(connection, corpus.config))
        sha1s = [one.image_sha1 for one in fetch(connection, SourceImage)]
    where: dict[str, Any] = {name: getattr(FOUND, name) for name in "xywh"}
    about: dict[str, Any] = {
        "filename": "a.png",
        "labeler": "miscomp",
        "origin": "detector",
        "version": "1",
        "score": 0.5,
    }
    rows = [
        Annotation(id=display_id(sha1, model, FOUND), image_sha1=sha1, model=model, **where, **about)
        for sha1 in sha1s
        for model in ("01L", "02H")
    ]
    table = folder.with_suffix(".csv")
    write(table, Annotation, rows)
    take_findings(corpus, [table])
    return corpus


def work(corpus: Corpus) -> list[str]:
    """Everybody does what there is to do; what became of it."""
    names = count()

    def said(who: str, role: Role, *messages: dict[str, Any]) -> list[str]:
        told = [{"uuid": number(next(names)), **one} for one in messages]
        return [one.outcome.value for one in save(corpus, person(who, role), told, time=NOW)]

    outcomes = []
    for k, who in enumerate(LABELERS):
        with corpus.reading() as connection:
            batches = [one.batch for one in batches_of(connection, who)]
            aliases = [item.alias for batch in batches for item in items_of(connection, batch, who) or []]
            me = person(who, Role.LABELER)
            states = [pair_of(connection, alias, person=me, config=corpus.config) for alias in aliases]
        for at, state in enumerate(states[: len(states) - 1 - k]):
            assert state is not None
            box = {"kind": "box", "alias": state.alias, "action": "add", "y": 24, "w": 40 + at, "h": 32}
            outcomes += said(
                who,
                Role.LABELER,
                {"kind": "shown", "alias": state.alias, "events": [one.event for one in state.suggestions]},
                {**box, "x": 16 + at * k, "category": "SHAPE" if at % 2 else "", "changed": "yes", "note": "ä\n'--"},
                {**box, "x": 90, "symbol": bool(k)},
                {"kind": "flag", "alias": state.alias, "multi": at % 2 == 0, "overall": bool(k)},
                {"kind": "visit", "alias": state.alias, "open_ms": 9000, "active_ms": 5000 + at, "finished": True},
            )
    with corpus.reading() as connection:
        boxes = sorted((one.image_sha1, one.model, one.x, one.labeler, one.uuid) for one in current_labels(connection))
        sha1s = [one.image_sha1 for one in fetch(connection, SourceImage)]
    for k, who in enumerate(REVIEWERS):
        words = ("confirm", "reject", "unsure", "confirm")
        looks = [{"judgement": words[(at + at * k) % 4], "event": box[-1]} for at, box in enumerate(boxes)]
        outcomes += said(who, Role.REVIEWER, *({"kind": "look", "category": "GEOMETRY", **one} for one in looks))
    for k, who in enumerate(SCREENERS):
        for at, sha1 in enumerate(sha1s[k:]):
            choice = ("include", "borderline", "exclude")[(at + k) % 3]
            outcomes += said(
                who, Role.SCREENER, {"kind": "choice", "alias": photograph_alias(SECRET, sha1), "choice": choice}
            )
    return outcomes


def answers(corpus: Corpus) -> dict[str, Any]:
    """Everything that pages show."""
    config = corpus.config
    found: dict[str, Any] = {}
    with corpus.reading() as connection:
        for who in LABELERS:
            batches = batches_of(connection, who)
            items = {one.batch: items_of(connection, one.batch, who) for one in batches}
            me = person(who, Role.LABELER)
            aliases = [item.alias for listed in items.values() for item in listed or []]
            pairs = [pair_of(connection, alias, person=me, config=config) for alias in aliases]
            training = [item.alias for one in batches if one.kind == "training" for item in items[one.batch] or []]
            found[who] = (batches, items, pairs, [discussion_of(connection, alias, me) for alias in training[:1]])
        for who in REVIEWERS:
            state = review_state(connection, config, who, Wanted(detectors=True, share=0.6))
            event = state.recent[-1].boxes[0].event
            found[who] = (state, look_of(connection, event, who))
        for who in SCREENERS:
            found[who] = screening_state(connection, config, who)
        found["training"] = trainings(connection)
        found["suggestions"] = suggestion_use(connection)
        found["looks"] = look_summary(connection, seed=config.seed)
        found["progress"] = progress(connection)
        found["disagreements"] = disagreements(connection, config)
    found["tables"] = b"".join(zipped_tables(take_snapshot(corpus)))
    return found


def test_a_whole_project_is_in_sqlite_what_it_should_be(tmp_path: Path) -> None:
    """So that both databases cannot agree on nothing."""
    corpus = project(tmp_path / "corpus")
    assert set(work(corpus)) == {"stored"}
    found = answers(corpus)
    overall, _ = found["progress"]
    assert overall.pairs_done > 8 and overall.active_s > 0
    assert {one.labeler for one in found["suggestions"]} == set(LABELERS)
    assert all(one.taken > 0 for one in found["suggestions"])
    assert found["disagreements"].agreement is not None
    assert found["looks"].agreement[0].boxes == found["looks"].looked_at > 20
    assert [len(one.drawn) for one in found["ann"][3]] == [2]
    assert found["eve"][0].done > 0 and found["eve"][1] is not None
    assert found["kim"].done == 4


@pytest.mark.postgres
def test_a_whole_project_is_in_postgresql_as_in_sqlite(running: Server, tmp_path: Path) -> None:
    corpora = (
        project(tmp_path / "file"),
        project(tmp_path / "server", database={"url": running.database("project")}),
    )
    said = [work(corpus) for corpus in corpora]
    assert said[0] == said[1]
    file, there = (answers(corpus) for corpus in corpora)
    assert [name for name in file if file[name] != there[name]] == []
