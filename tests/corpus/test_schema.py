"""Tables and rows of a corpus' database, in SQLite; `test_postgres.py` has the same for the other."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from corpora import BOXES, TIME, label, small_config, small_corpus
from sqlalchemy import inspect, update
from sqlalchemy.exc import IntegrityError

from miscomp.corpus.corpus import Corpus, create_corpus, open_corpus
from miscomp.corpus.entries import Decision, LabelEvent, Meta, ModelEntry, Seen, SourceImage
from miscomp.corpus.labels import current_labels
from miscomp.corpus.migrations import SCHEMA, STEPS
from miscomp.corpus.schema import IMAGE, LABEL_EVENT, META, METADATA, add, count, fetch, put, table_of, within
from miscomp.errors import InputError


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return create_corpus(tmp_path / "corpus", small_config())


def decision(sha1: str, **values: Any) -> Decision:
    made = Decision(uuid=f"d-{sha1}", image_sha1=sha1, screener="ann", choice="include", note="", time=TIME)
    return replace(made, **values)


def seen(labeler: str, closed: str = "") -> Seen:
    return Seen(image_sha1="0" * 40, model="01L", labeler=labeler, batch="b", opened=TIME, closed=closed)


def test_every_table_has_the_fields_of_its_record_and_what_may_be_none_may_be_null(corpus: Corpus) -> None:
    found = inspect(corpus.engine)
    assert set(found.get_table_names()) == set(METADATA.tables)
    columns = {one["name"]: one for one in found.get_columns("image")}
    assert set(columns) == {field.name for field in fields(SourceImage)}
    assert {name for name, one in columns.items() if one["nullable"]} == {"half", "bulk"}
    assert table_of(LabelEvent).c["number"].primary_key
    assert found.get_pk_constraint("seen")["constrained_columns"] == ["image_sha1", "model", "labeler", "batch"]


def test_what_was_added_comes_back_the_same(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", labels=False)
    text = 'O\'Neil "quoted" \\ %s :x ; -- \n\t=1+1 <b> \U0001f600 é \u202e'
    row = label("a" * 40, "01L", BOXES[0], "ann", note=text, score=0.1 + 0.2, changed=5e-324, relevant=None, multi=True)
    with corpus.writing() as connection:
        add(connection, [row])
    with corpus.reading() as connection:
        (back,) = fetch(connection, LabelEvent)
        assert back == row
        assert (type(back.multi), type(back.x), type(back.score)) == (bool, int, float)
        assert len(fetch(connection, ModelEntry)) == 4


def test_rows_come_in_the_order_of_their_key_and_events_as_they_came(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        for labeler in ("b", "B", "ä", "a", "_", "1", "Z"):
            add(connection, [seen(labeler), decision(labeler * 2)])
    with corpus.reading() as connection:
        # Oracle: the order of the bytes in UTF-8.
        assert [one.labeler for one in fetch(connection, Seen)] == ["1", "B", "Z", "_", "a", "b", "ä"]
        assert [one.image_sha1[0] for one in fetch(connection, Decision)] == ["b", "B", "ä", "a", "_", "1", "Z"]


def test_put_replaces_what_has_the_key_and_add_refuses_it(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        put(connection, [seen("ann"), seen("bob")])
        put(connection, [seen("ann", "later")])
    with pytest.raises(IntegrityError), corpus.writing() as connection:
        add(connection, [seen("cid"), seen("bob", "later")])
    with pytest.raises(IntegrityError), corpus.writing() as connection:
        add(connection, [decision("a"), decision("b", uuid="d-a")])
    with corpus.reading() as connection:
        assert [(one.labeler, one.closed) for one in fetch(connection, Seen)] == [("ann", "later"), ("bob", "")]
        assert count(connection, Decision) == 0


def test_what_fails_in_the_middle_leaves_nothing(corpus: Corpus) -> None:
    with pytest.raises(ZeroDivisionError), corpus.writing() as connection:
        add(connection, [seen("ann")])
        assert count(connection, Seen) == 1
        raise ZeroDivisionError
    with corpus.reading() as connection:
        assert count(connection, Seen) == 0


def test_conditions_narrow_what_is_fetched_and_counted(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    with corpus.reading() as connection:
        low = fetch(connection, LabelEvent, LABEL_EVENT.c.model == "01L", LABEL_EVENT.c.labeler == "ann")
        assert [(one.x, one.y) for one in low] == [(box.x, box.y) for box in BOXES]
        assert count(connection, LabelEvent) == 9
        assert count(connection, LabelEvent, within(LABEL_EVENT.c.labeler, ["bob", "nobody"])) == 4
        assert count(connection, SourceImage, within(IMAGE.c.image_sha1, [])) == 0


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"note": "name\udc80.png"}, r"label_event\.note: cannot be stored: .*is not Unicode"),
        ({"note": "a\0b"}, "has a NUL in it"),
        ({"x": 2**63}, "more than 64 bits"),
        ({"score": float("nan")}, "not a number"),
    ],
)
def test_values_that_one_of_the_databases_could_not_give_back_are_refused(
    corpus: Corpus, values: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InputError, match=problem), corpus.writing() as connection:
        add(connection, [label("a" * 40, "01L", BOXES[0], "ann", **values)])
    with corpus.reading() as connection:
        assert count(connection, LabelEvent) == 0


def test_the_largest_numbers_come_back(corpus: Corpus) -> None:
    with corpus.writing() as connection:
        add(connection, [label("a" * 40, "01L", BOXES[0], "ann", x=2**63 - 1, y=-(2**63), score=float("inf"))])
    with corpus.reading() as connection:
        (back,) = fetch(connection, LabelEvent)
    assert (back.x, back.y, back.score) == (2**63 - 1, -(2**63), float("inf"))


def test_an_older_database_takes_every_step_once_and_a_failed_step_leaves_it_as_it_was(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def step(connection: Any) -> None:
        add(connection, [Meta(name="stepped", value="yes")])
        taken.append(1)
        if len(taken) == 1:
            raise ZeroDivisionError

    monkeypatch.setitem(STEPS, 0, step)
    with corpus.writing() as connection:
        connection.execute(update(META).where(META.c.name == "schema").values(value="0"))
    with pytest.raises(ZeroDivisionError):
        open_corpus(corpus.folder)
    for _ in range(2):
        opened = open_corpus(corpus.folder)
    with opened.reading() as connection:
        found = {one.name: one.value for one in fetch(connection, Meta)}
    assert (found["schema"], found["stepped"], len(taken)) == (str(SCHEMA), "yes", 2)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [("width", "'abc'", "'abc' there, which is no whole number"), ("source", "x'ff00'", "which is no text")],
)
def test_a_value_of_another_type_written_by_hand_is_named(
    column: str, value: str, message: str, tmp_path: Path
) -> None:
    # SQLite keeps values of any type in any column.
    corpus = small_corpus(tmp_path / "corpus")
    with corpus.writing() as connection:
        connection.exec_driver_sql(f"update image set {column} = {value}")
    with (
        pytest.raises(InputError, match=rf"^image\.{column}: the database holds .*{message}"),
        corpus.reading() as reader,
    ):
        fetch(reader, SourceImage)


def test_a_box_is_changed_by_one_of_two_who_saw_the_same_state(corpus: Corpus) -> None:
    first = label("a" * 40, "01L", BOXES[0], "ann")
    changes = [replace(first, uuid=name, action="change", replaces=first.uuid, note=name) for name in ("one", "two")]
    with corpus.writing() as connection:
        add(connection, [first, replace(first, uuid="another", x=0), changes[0]])
    with pytest.raises(IntegrityError), corpus.writing() as connection:
        add(connection, [changes[1]])
    with corpus.writing() as connection:
        add(connection, [replace(changes[1], replaces="one")])
    with corpus.reading() as connection:
        assert [one.uuid for one in current_labels(connection)] == ["another", "two"]
