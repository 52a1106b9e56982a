"""Screening in the browser. Oracles: rows of the database, and the verdicts that tables of screeners give."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from corpora import add_picture, picture, small_config
from second import number, person, pictures, tell
from sqlalchemy import update

from miscomp.annotate.aliases import find_photograph, photograph_alias
from miscomp.annotate.messages import Outcome
from miscomp.annotate.screening import AHEAD, ScreeningState, screening_state
from miscomp.corpus.corpus import Corpus, create_corpus, meta
from miscomp.corpus.entries import Decision, Role
from miscomp.corpus.schema import IMAGE, fetch
from miscomp.corpus.screening.decisions import waiting
from miscomp.corpus.selection import Verdict, verdicts
from miscomp.errors import UsageError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    made = create_corpus(tmp_path / "corpus", small_config())
    for seed in range(6):
        add_picture(made, picture(seed, width=64, height=48), name=f"ramp{seed}.png", source="ramps")
    return made


def state(corpus: Corpus, screener: str) -> ScreeningState:
    with corpus.reading() as connection:
        return screening_state(connection, corpus.config, screener)


def choice(uuid: int, alias: str, choice: str, **more: object) -> dict[str, object]:
    return {"kind": "choice", "uuid": number(uuid), "alias": alias, "choice": choice, **more}


def test_a_screener_gets_the_pictures_in_the_order_of_the_tables(corpus: Corpus) -> None:
    with corpus.reading() as connection:
        secret = meta(connection, "secret")
        wanted = [photograph_alias(secret, one.image_sha1) for one in waiting(connection, corpus.config, "ann")]
    found = state(corpus, "ann")
    assert [one.alias for one in found.waiting] == wanted
    assert (found.pictures, found.done, found.decided) == (6, 0, ())
    assert found.include == corpus.config.screening.include
    assert [one.alias for one in state(corpus, "bob").waiting] != wanted, "another screener has another order"


def test_nothing_tells_what_a_picture_is_or_what_the_other_screener_said(corpus: Corpus) -> None:
    before = state(corpus, "ann")
    mine = state(corpus, "bob").waiting
    assert (
        tell(corpus, person("bob"), *(choice(n, one.alias, "exclude") for n, one in enumerate(mine)))
        == [Outcome.STORED] * 6
    )
    assert state(corpus, "ann") == before
    text = json.dumps(asdict(before))
    for one in pictures(corpus):
        assert one.image_sha1[:8] not in text and one.name not in text and one.source not in text


def test_a_choice_is_stored_once_and_the_last_one_counts(corpus: Corpus) -> None:
    first, second = state(corpus, "ann").waiting[:2]
    told = choice(1, first.alias, "include", note="a sign", age_ms=60_000)
    assert tell(corpus, person("ann"), told) == [Outcome.STORED]
    assert tell(corpus, person("ann"), told) == [Outcome.KNOWN]
    with corpus.reading() as connection:
        (row,) = fetch(connection, Decision)
    assert (row.screener, row.choice, row.note, row.time) == ("ann", "include", "a sign", "2025-10-27T11:59:00.000000Z")
    tell(corpus, person("ann"), choice(2, second.alias, "borderline"), choice(3, first.alias, "exclude"))
    found = state(corpus, "ann")
    assert (found.done, len(found.waiting)) == (2, 4)
    assert [(one.alias, one.choice) for one in found.decided] == [
        (second.alias, "borderline"),
        (first.alias, "exclude"),
    ], "the one decided on last comes last"


def test_two_who_exclude_put_a_picture_out_as_their_tables_would(corpus: Corpus) -> None:
    alias = state(corpus, "ann").waiting[0].alias
    for uuid, who in enumerate(("ann", "bob")):
        tell(corpus, person(who), choice(uuid, alias, "exclude"))
    with corpus.reading() as connection:
        found = list(verdicts(connection, corpus.config).values())
    assert found.count(Verdict.EXCLUDED) == 1 and found.count(Verdict.UNSCREENED) == 5


def test_who_may_not_screen_is_refused(corpus: Corpus) -> None:
    alias = state(corpus, "ann").waiting[0].alias
    assert tell(corpus, person("ann", Role.LABELER), choice(1, alias, "include")) == [Outcome.REFUSED]
    for uuid, who in enumerate(("ann", "bob")):
        assert tell(corpus, person(who), choice(uuid, alias, "include")) == [Outcome.STORED]
    assert tell(corpus, person("cem"), choice(3, alias, "include")) == [Outcome.REFUSED]
    assert tell(corpus, person("Ann"), choice(4, alias, "include")) == [Outcome.REFUSED]
    with pytest.raises(UsageError, match="one too many"):
        state(corpus, "cem")


def test_pictures_that_are_not_there_are_refused_and_removed_ones_vanish(corpus: Corpus) -> None:
    alias = state(corpus, "ann").waiting[0].alias
    assert tell(corpus, person("ann"), choice(1, "0" * 40, "include")) == [Outcome.REFUSED]
    with corpus.writing() as connection:
        found = find_photograph(connection, alias)
        assert found is not None
        connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == found.image_sha1).values(removed="2025-10-27"))
        assert find_photograph(connection, alias) is None
    assert tell(corpus, person("ann"), choice(2, alias, "include")) == [Outcome.REFUSED]
    assert state(corpus, "ann").pictures == 5


def test_names_of_pictures_that_were_added_later_are_found(corpus: Corpus) -> None:
    with corpus.reading() as connection:
        assert find_photograph(connection, "f" * 40) is None
    sha1 = add_picture(corpus, picture(9, width=64, height=48), name="late.png")
    with corpus.reading() as connection:
        found = find_photograph(connection, photograph_alias(meta(connection, "secret"), sha1))
    assert found is not None and found.image_sha1 == sha1


def test_only_the_next_pictures_are_told(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miscomp.annotate.screening.AHEAD", 2)
    found = state(corpus, "ann")
    assert AHEAD > 2 and len(found.waiting) == 2 and found.pictures == 6
