"""A database of the first form becomes one of the second and loses nothing. Oracle: a fresh database."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from corpora import BOXES, label, small_corpus
from postgres import Server, needed
from sqlalchemy import inspect, select, text, update

from miscomp.corpus.corpus import Corpus, meta, open_corpus
from miscomp.corpus.entries import LabelEvent, MultiFlag
from miscomp.corpus.labels import current_flags, current_labels
from miscomp.corpus.migrations import SCHEMA
from miscomp.corpus.schema import META, METADATA, add, fetch
from miscomp.errors import InputError

NEW_TABLES = ("visit", "shown", "second_look", "account", "web_session")
NEW_COLUMNS = {"label_event": ("batch",), "multi_flag": ("overall", "batch", "version"), "decision": ("version",)}
NEW_INDEXES = ("batch_item_by_alias", "label_event_replaced_once", "seen_by_labeler_batch")


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def running(request: pytest.FixtureRequest) -> Iterator[Server | None]:
    """A server where it is one; none for SQLite."""
    if request.param == "sqlite":
        yield None
        return
    with needed() as made:
        yield made


@pytest.fixture
def settings(running: Server | None, request: pytest.FixtureRequest) -> list[dict[str, Any]]:
    """What makes a corpus in one of the databases; two of them."""
    if running is None:
        return [{}, {}]
    names = [f"t{abs(hash(request.node.name))}_{number}" for number in range(2)]
    return [{"database": {"url": running.database(name)}} for name in names]


def make_old(corpus: Corpus) -> None:
    """Take away what the second form added."""
    with corpus.writing() as connection:
        for name in NEW_INDEXES:
            connection.execute(text(f"drop index {name}"))
        for name in NEW_TABLES:
            connection.execute(text(f"drop table {name}"))
        for table, columns in NEW_COLUMNS.items():
            for column in columns:
                connection.execute(text(f"alter table {table} drop column {column}"))
        connection.execute(update(META).where(META.c.name == "schema").values(value="1"))


def form(corpus: Corpus) -> dict[str, Any]:
    """Tables with their columns, keys and indexes; what a column holds by default in old rows is left out."""
    found: dict[str, Any] = {}
    with corpus.reading() as connection:
        looking = inspect(connection)
        for table in looking.get_table_names():
            columns = looking.get_columns(table)
            indexes = looking.get_indexes(table)
            found[table] = (
                [(one["name"], str(one["type"]), one["nullable"]) for one in columns],
                looking.get_pk_constraint(table)["constrained_columns"],
                sorted((one["name"] or "", bool(one["unique"]), tuple(one["column_names"])) for one in indexes),
                sorted(tuple(one["column_names"]) for one in looking.get_unique_constraints(table)),
            )
    return found


def rows(corpus: Corpus) -> dict[str, list[tuple[Any, ...]]]:
    with corpus.reading() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key.columns))]
            for table in METADATA.sorted_tables
        }


def test_an_old_database_keeps_its_rows_and_gets_today_s_form(settings: list[dict[str, Any]], tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "old", **settings[0])
    fresh = small_corpus(tmp_path / "fresh", **settings[1])
    before, wanted = rows(corpus), form(fresh)
    make_old(corpus)
    assert form(corpus).keys() == wanted.keys() - {*NEW_TABLES}
    assert [one[0] for one in form(corpus)["multi_flag"][0]][-2:] == ["note", "time"]
    corpus.engine.dispose()
    for _ in range(2):
        opened = open_corpus(corpus.folder)
        assert form(opened) == wanted
        assert rows(opened) == before
        opened.engine.dispose()
    with opened.reading() as connection:
        assert len(current_labels(connection)) == 9 and len(current_flags(connection)) == 1
        assert {one.batch for one in fetch(connection, LabelEvent)} == {""}
        assert [(one.batch, one.overall) for one in fetch(connection, MultiFlag)] == [("", False)]
        assert meta(connection, "schema") == str(SCHEMA) == "2"


def test_an_old_database_in_which_a_box_was_changed_twice_is_left_as_it_is(
    settings: list[dict[str, Any]], tmp_path: Path
) -> None:
    corpus = small_corpus(tmp_path / "old", **settings[0])
    make_old(corpus)
    first = label("a" * 40, "01L", BOXES[0], "ann")
    names = [name for name in LabelEvent.__dataclass_fields__ if name != "batch"]
    asked = f"insert into label_event ({', '.join(names)}) values ({', '.join(f':{name}' for name in names)})"
    with corpus.writing() as connection:
        for one in ("one", "two"):
            values = {name: getattr(first, name) for name in names}
            connection.execute(text(asked), {**values, "uuid": one, "action": "change", "replaces": "x"})
    was = form(corpus)
    with pytest.raises(InputError, match="supersede the same one"):
        open_corpus(corpus.folder)
    assert form(corpus) == was
    with corpus.reading() as connection:
        assert connection.execute(text("select value from meta where name = 'schema'")).scalar_one() == "1"


def test_new_rows_go_into_an_old_database_that_was_opened(settings: list[dict[str, Any]], tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "old", **settings[0])
    make_old(corpus)
    opened = open_corpus(corpus.folder)
    flag = MultiFlag(uuid="new", image_sha1="a" * 40, model="01L", labeler="ann", multi=True, overall=True, batch="b1")
    event = label("a" * 40, "01L", BOXES[0], "ann", batch="b1")
    with opened.writing() as connection:
        add(connection, [flag, event])
    with opened.reading() as connection:
        assert fetch(connection, MultiFlag)[-1] == flag and fetch(connection, LabelEvent)[-1] == event


def test_an_old_corpus_on_a_read_only_disk_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = small_corpus(tmp_path / "old")
    make_old(corpus)
    corpus.engine.dispose()
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(InputError, match=r"form 1, this release needs form 2, .* open a copy that can be written"):
        open_corpus(corpus.folder)
