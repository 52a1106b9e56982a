"""The whole store in a real PostgreSQL server: the same as in SQLite, and safe with several writers and without it."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from corpora import BOXES, TIME, label, small_config, small_corpus
from postgres import PASSWORD, Server, needed
from sqlalchemy import MetaData, create_engine, select, text, update

from miscomp.corpus.config import CONFIG, write_toml
from miscomp.corpus.corpus import DATABASE, Corpus, create_corpus, meta, open_corpus
from miscomp.corpus.entries import BatchItem, Decision, LabelEvent, Meta, Seen, SourceImage
from miscomp.corpus.labels import annotation_rows, current_labels, image_rows
from miscomp.corpus.manifest import summary
from miscomp.corpus.migrations import SCHEMA
from miscomp.corpus.schema import META, METADATA, add, count, fetch, put
from miscomp.corpus.selection import allot, select_images
from miscomp.errors import InputError, UsageError

pytestmark = pytest.mark.postgres

WRITERS, EACH = 3, 40


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with needed() as made:
        yield made


@pytest.fixture
def url(running: Server, request: pytest.FixtureRequest) -> str:
    """An empty database for this test alone."""
    return running.database(f"t{abs(hash(request.node.name))}")


def everything(corpus: Corpus) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, in their order; what is drawn at random when a database is made is left out."""
    found = {}
    with corpus.reading() as connection:
        for table in METADATA.sorted_tables:
            rows = connection.execute(select(table).order_by(*table.primary_key.columns))
            found[table.name] = [tuple(row) for row in rows]
    found["meta"] = [row for row in found["meta"] if row[0] not in ("corpus", "secret")]
    return found


def fill(corpus: Corpus) -> None:
    """Rows of which each is one that a database could spoil."""
    words = [
        "b",
        "B",
        "ä",
        "a",
        "_",
        "1",
        "Z",
        "é",
        "e\u0301",
        "\U0001f600",
        "o'neil",
        '"',
        "\\",
        "%s :x ;--",
        " a",
        "A",
    ]
    with corpus.writing() as connection:
        add(connection, [Seen(image_sha1=one, model="m", labeler=one, batch="", opened="", closed="") for one in words])
        put(connection, [Seen(image_sha1="b", model="m", labeler="b", batch="", opened=TIME, closed="\r\n\t")])
        numbers = [0.1 + 0.2, 5e-324, 1.7976931348623157e308, -0.0, float("inf"), 1 / 3, None]
        for place, number in enumerate(numbers):
            note = "".join(words) * 50
            event = label("f" * 40, f"{place}", BOXES[0], "ann", score=number, note=note, symbol=True, x=2**62 + place)
            add(connection, [event])
        allot(connection, corpus.config, select_images(connection, corpus.config).images)


def test_the_whole_store_equals_sqlite(url: str, tmp_path: Path) -> None:
    on_server = small_corpus(tmp_path / "server", images=5, database={"url": url})
    in_file = small_corpus(tmp_path / "file", images=5)
    for what in (lambda c: image_rows(c, current_labels(c)), lambda c: annotation_rows(current_labels(c))):
        with on_server.reading() as one, in_file.reading() as other:
            assert what(one) == what(other)
    with on_server.reading() as one, in_file.reading() as other:
        assert summary(one, on_server.config) == summary(other, in_file.config)
    for corpus in (on_server, in_file):
        fill(corpus)
    found = everything(on_server)
    assert found == everything(in_file)
    assert {name for name, rows in found.items() if rows} >= {"image", "reconstruction", "label_event", "seen", "model"}
    # Oracle: bytes, where the server's own language would put `a` before `B`.
    words = [row[0] for row in found["seen"] if row[1] == "m"]
    assert words == sorted(words, key=str.encode) and len(words) == 16
    assert str(found["label_event"][-4]).count("-0.0") == 1
    assert not list((tmp_path / "server").glob(f"{DATABASE}*"))


def test_it_is_opened_again_and_events_go_on_being_numbered(url: str, tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus", database={"url": url})
    opened = open_corpus(corpus.folder)
    with corpus.reading() as one, opened.reading() as other:
        assert meta(one, "corpus") == meta(other, "corpus")
    with pytest.raises(ZeroDivisionError), opened.writing() as connection:
        add(connection, [label("a" * 40, "01L", BOXES[0], "lost")])
        raise ZeroDivisionError
    with opened.writing() as connection:
        add(connection, [label("a" * 40, "01L", BOXES[0], "kept")])
    with corpus.reading() as connection:
        events = fetch(connection, LabelEvent)
    assert (len(events), events[-1].labeler) == (10, "kept")


def test_a_reader_sees_one_state_while_another_writes(url: str, tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config(database={"url": url}))
    with corpus.reading() as reader:
        before = count(reader, Meta)
        with corpus.writing() as writer:
            add(writer, [Meta(name="new", value="")])
        assert count(reader, Meta) == before
    with corpus.reading() as reader:
        assert count(reader, Meta) == before + 1


def _in_processes(work: Callable[[Path, int], None], folder: Path) -> None:
    """Run `work` in several processes at once; all must end well."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=work, args=(folder, number)) for number in range(WRITERS)]
    for one in processes:
        one.start()
    for one in processes:
        one.join(60)
    assert [one.exitcode for one in processes] == [0] * WRITERS


def _append(folder: Path, number: int) -> None:
    corpus = open_corpus(folder)
    for turn in range(EACH):
        name = f"{number}-{turn}"
        with corpus.writing() as connection:
            # Read first, then write what follows from it: two who read the same would lose one.
            before = int(meta(connection, "total"))
            put(connection, [Meta(name="total", value=str(before + 1))])
            put(connection, [Seen(image_sha1="x", model="m", labeler="l", batch="b", opened=name, closed="")])
            add(connection, [label("a" * 40, "01L", BOXES[0], "ann", uuid=name, note=str(before))])
            decision = Decision(uuid=name, image_sha1="x", screener="s", choice="include", note="", time=TIME)
            add(connection, [decision])


def test_nothing_is_lost_when_processes_write_at_once(url: str, tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config(database={"url": url}))
    with corpus.writing() as connection:
        put(connection, [Meta(name="total", value="0")])
    corpus.engine.dispose()
    _in_processes(_append, corpus.folder)
    with corpus.reading() as connection:
        events = fetch(connection, LabelEvent)
        assert meta(connection, "total") == str(WRITERS * EACH)
        assert {one.uuid for one in events} == {f"{who}-{turn}" for who in range(WRITERS) for turn in range(EACH)}
        # They are numbered in the order in which they were stored.
        assert [one.note for one in events] == [str(place) for place in range(WRITERS * EACH)]
        assert [one.uuid for one in fetch(connection, Decision)] == [one.uuid for one in events]
        (last,) = fetch(connection, Seen)
        assert last.opened == events[-1].uuid


def _open(folder: Path, _: int) -> None:
    open_corpus(folder)


def test_processes_that_open_an_empty_database_at_once_make_its_tables_once(url: str, tmp_path: Path) -> None:
    create_corpus(tmp_path / "corpus", small_config())
    config = small_config(database={"url": url})
    (tmp_path / "corpus" / CONFIG).write_text(write_toml(config), encoding="utf-8")
    _in_processes(_open, tmp_path / "corpus")
    with open_corpus(tmp_path / "corpus").reading() as connection:
        assert sorted(one.name for one in fetch(connection, Meta)) == ["corpus", "made_by", "schema", "secret"]


def test_a_second_folder_is_not_given_the_same_database(url: str, tmp_path: Path) -> None:
    config = small_config(database={"url": url})
    create_corpus(tmp_path / "one", config)
    with pytest.raises(UsageError, match="holds a corpus already") as caught:
        create_corpus(tmp_path / "two", config)
    assert PASSWORD not in str(caught.value)


def test_a_later_releases_database_and_a_foreign_one_are_refused(running: Server, url: str, tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config(database={"url": url}))
    with corpus.writing() as connection:
        connection.execute(update(META).where(META.c.name == "schema").values(value=str(SCHEMA + 1)))
    with pytest.raises(InputError, match=rf"has form {SCHEMA + 1}, this release knows up to {SCHEMA}"):
        open_corpus(corpus.folder)
    foreign = running.database("foreign")
    engine = create_engine(foreign)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE meta (k text)"))
    with pytest.raises(UsageError, match="holds a corpus already"):
        create_corpus(tmp_path / "other", small_config(database={"url": foreign}))
    there = MetaData()
    there.reflect(engine)
    assert list(there.tables) == ["meta"]
    engine.dispose()


def test_a_database_that_is_missing_is_refused_without_the_password(running: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match='database "missing" does not exist') as caught:
        create_corpus(tmp_path / "corpus", small_config(database={"url": running.url("missing")}))
    assert PASSWORD not in str(caught.value) and "***" in str(caught.value)
    assert list((tmp_path / "corpus").iterdir()) == []


def test_a_server_that_stops_in_the_middle_is_an_error_and_nothing_is_half_written(
    running: Server, url: str, tmp_path: Path
) -> None:
    corpus = small_corpus(tmp_path / "corpus", database={"url": url})
    items = [BatchItem(batch="b", position=place, image_sha1="x", model="m", alias=f"{place}") for place in range(1, 5)]
    try:
        with pytest.raises(InputError, match="the database cannot be used") as caught, corpus.writing() as connection:
            add(connection, items[:2])
            running.stop()
            add(connection, items[2:])
        assert PASSWORD not in str(caught.value)
        with pytest.raises(InputError, match="the database cannot be used") as caught:
            open_corpus(corpus.folder)
        assert PASSWORD not in str(caught.value)
    finally:
        running.start()
    with corpus.reading() as connection:
        assert count(connection, BatchItem) == 0
        assert count(connection, SourceImage) == 3
    with corpus.writing() as connection:
        add(connection, items)


def test_a_writer_waits_for_the_one_before(url: str, tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config(database={"url": url}))
    order: list[str] = []

    def second() -> None:
        with corpus.writing():
            order.append("second")

    with corpus.writing():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.3)
        order.append("first")
    thread.join(30)
    assert order == ["first", "second"]
