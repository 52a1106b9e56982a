"""A corpus as a folder: made, opened, locked, and refused where it is damaged, foreign or of a later release."""

from __future__ import annotations

import multiprocessing
import sqlite3
from pathlib import Path

import pytest
from corpora import small_config, small_corpus
from sqlalchemy import update

from miscomp.corpus.config import CONFIG, read_config
from miscomp.corpus.corpus import (
    DATABASE,
    MANIFEST,
    URL_VARIABLE,
    create_corpus,
    database_url,
    meta,
    open_corpus,
    original_file,
    reconstruction_file,
    shown,
    stream_file,
)
from miscomp.corpus.entries import Meta, SourceImage
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.migrations import SCHEMA
from miscomp.corpus.schema import META, add, count
from miscomp.errors import InputError, MissingExtra, UsageError

SHA1 = "ab" + "0" * 38


def test_a_corpus_is_made_in_a_new_or_empty_folder_and_opened_again(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new/deep", "empty"):
        made = create_corpus(tmp_path / name, small_config(seed=5))
        opened = open_corpus(tmp_path / name)
        assert opened.config == read_config(tmp_path / name / CONFIG) == small_config(seed=5) == made.config
        with made.reading() as first, opened.reading() as second:
            assert meta(first, "corpus") == meta(second, "corpus")
            assert meta(first, "secret") != meta(first, "corpus")
            assert meta(second, "schema") == str(SCHEMA)
        assert (tmp_path / name / DATABASE).is_file()


def test_files_have_names_in_256_folders() -> None:
    assert original_file(SHA1) == f"originals/ab/{SHA1}.png"
    assert stream_file(SHA1, "03L", ".misc") == f"streams/03L/ab/{SHA1}.misc"
    assert reconstruction_file(SHA1, "03L") == f"reconstructions/03L/ab/{SHA1}.png"


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    create_corpus(tmp_path / "corpus", small_config())
    with pytest.raises(UsageError, match="holds a corpus; choose another name"):
        create_corpus(tmp_path / "corpus", small_config(seed=1))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        create_corpus(tmp_path / "other", small_config())
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="cannot hold the corpus"):
        create_corpus(tmp_path / "file", small_config())
    assert open_corpus(tmp_path / "corpus").config.seed == 0


def test_a_folder_that_is_no_corpus_says_how_to_make_one(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(InputError, match=r"is no corpus: it has no corpus\.toml; make one with: miscomp corpus"):
            open_corpus(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_database_of_a_later_release_is_refused_and_not_touched(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    with corpus.writing() as connection:
        connection.execute(update(META).where(META.c.name == "schema").values(value=str(SCHEMA + 1)))
    with pytest.raises(InputError, match=rf"has form {SCHEMA + 1}, this release knows up to {SCHEMA}; update miscomp"):
        open_corpus(corpus.folder)
    with corpus.reading() as connection:
        assert count(connection, SourceImage) == 3


@pytest.mark.parametrize("value", ["", "one", "-1", "1.5", "\u00b2"])
def test_a_form_that_is_no_number_is_refused(value: str, tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    with corpus.writing() as connection:
        connection.execute(update(META).where(META.c.name == "schema").values(value=value))
    with pytest.raises(InputError, match="is not one of a corpus"):
        open_corpus(corpus.folder)


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    corpus.engine.dispose()
    for path in tmp_path.glob(f"corpus/{DATABASE}*"):
        path.unlink()
    foreign = sqlite3.connect(tmp_path / "corpus" / DATABASE)
    foreign.execute("CREATE TABLE meta (k TEXT, v BLOB)")
    foreign.commit()
    foreign.close()
    with pytest.raises(InputError, match="the database cannot be used: no such column"):
        open_corpus(tmp_path / "corpus")


@pytest.mark.parametrize("kind", ["text", "overwritten", "truncated", "folder"])
def test_a_damaged_database_is_an_error_that_names_it(kind: str, tmp_path: Path) -> None:
    small_corpus(tmp_path / "corpus").engine.dispose()
    path = tmp_path / "corpus" / DATABASE
    content = path.read_bytes()
    for other in tmp_path.glob(f"corpus/{DATABASE}*"):
        other.unlink()
    if kind == "text":
        path.write_bytes(b"this is no database, but a text of some length. " * 100)
    elif kind == "overwritten":
        path.write_bytes(content[:100] + b"\xa5" * (len(content) - 100))
    elif kind == "truncated":
        path.write_bytes(content[: len(content) // 3])
    else:
        path.mkdir()
    with pytest.raises(InputError, match=rf"{DATABASE}: the database cannot be used"):
        corpus = open_corpus(tmp_path / "corpus")
        with corpus.reading() as connection:
            count(connection, SourceImage)


def _hold(folder: Path, ready: object, leave: object) -> None:
    with open_corpus(folder).owned():
        ready.set()  # type: ignore[attr-defined]
        leave.wait(30)  # type: ignore[attr-defined]


def test_only_one_process_changes_a_corpus_and_others_may_read(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    context = multiprocessing.get_context("fork")
    ready, leave = context.Event(), context.Event()
    corpus.engine.dispose()
    holder = context.Process(target=_hold, args=(corpus.folder, ready, leave))
    holder.start()
    try:
        assert ready.wait(30)
        with pytest.raises(UsageError, match="another command is writing to"), corpus.owned():
            pass
        with corpus.reading() as connection:
            assert count(connection, SourceImage) == 3
    finally:
        leave.set()
        holder.join()
    with corpus.owned():
        pass


def test_a_reader_sees_one_state_while_another_writes(tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    with corpus.reading() as reader:
        before = count(reader, Meta)
        with corpus.writing() as writer:
            add(writer, [Meta(name="new", value="")])
        assert count(reader, Meta) == before
    with corpus.reading() as reader:
        assert count(reader, Meta) == before + 1


def test_a_corpus_on_a_read_only_disk_can_be_read_and_not_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = small_corpus(tmp_path / "a corpus?")
    journal = corpus.folder / f"{DATABASE}-wal"
    with monkeypatch.context() as patch:
        patch.setattr("os.access", lambda *_: False)
        if journal.is_file() and journal.stat().st_size:
            with pytest.raises(InputError, match="is not merged; open a copy"):
                open_corpus(corpus.folder)
        corpus.engine.dispose()  # the last connection merges the journal
        read_only = open_corpus(corpus.folder)
    with read_only.reading() as connection:
        assert count(connection, SourceImage) == 3
    with pytest.raises(InputError, match="readonly"), read_only.writing() as connection:
        add(connection, [Meta(name="a", value="b")])


def test_names_in_rows_that_lead_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    corpus = create_corpus(tmp_path / "corpus", small_config())
    assert corpus.file("streams/01L/ab/x.jpg") == corpus.folder / "streams/01L/ab/x.jpg"
    for name in ("", "/etc/passwd", "../other", "a/../../b"):
        with pytest.raises(InputError, match="is not one of the corpus"):
            corpus.file(name)


def test_the_environment_names_a_database_above_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small_config(database={"url": f"sqlite:///{tmp_path / 'settings.sqlite'}"})
    create_corpus(tmp_path / "one", config)
    assert (tmp_path / "settings.sqlite").is_file()
    monkeypatch.setenv(URL_VARIABLE, f"sqlite:///{tmp_path / 'environment.sqlite'}")
    create_corpus(tmp_path / "two", config)
    assert (tmp_path / "environment.sqlite").is_file()
    assert not list(tmp_path.glob(f"*/{DATABASE}"))


def test_an_sqlite_file_is_the_same_one_wherever_a_command_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = create_corpus(tmp_path / "corpus", small_config(database={"url": "sqlite:///labels.sqlite"}))
    with made.reading() as connection:
        name = meta(connection, "corpus")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with open_corpus(tmp_path / "corpus").reading() as connection:
        assert meta(connection, "corpus") == name
    assert list(tmp_path.rglob("*.sqlite")) == [tmp_path / "corpus" / "labels.sqlite"]


def test_a_folder_is_not_opened_with_another_corpus_database_or_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where the variable still names another corpus' database, or the file was lost."""
    for name in ("one", "two"):
        made = create_corpus(tmp_path / name, small_config())
        write_manifest(made)
        made.engine.dispose()
    monkeypatch.setenv(URL_VARIABLE, f"sqlite:///{tmp_path / 'one' / DATABASE}")
    open_corpus(tmp_path / "one").engine.dispose()
    with pytest.raises(InputError, match=r"is of the corpus .* delete manifest\.json"):
        open_corpus(tmp_path / "two")
    monkeypatch.delenv(URL_VARIABLE)
    open_corpus(tmp_path / "two").engine.dispose()
    for path in (tmp_path / "two").glob(f"{DATABASE}*"):
        path.unlink()
    with pytest.raises(InputError, match="is empty"):
        open_corpus(tmp_path / "two")
    (tmp_path / "two" / MANIFEST).unlink()
    with open_corpus(tmp_path / "two").reading() as connection:
        assert count(connection, SourceImage) == 0


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no database that stays"):
        create_corpus(tmp_path / "corpus", small_config(database={"url": url}))


def test_a_database_that_holds_a_corpus_already_is_not_given_to_a_second_folder(tmp_path: Path) -> None:
    config = small_config(database={"url": f"sqlite:///{tmp_path / 'shared.sqlite'}"})
    create_corpus(tmp_path / "one", config)
    with pytest.raises(UsageError, match="holds a corpus already"):
        create_corpus(tmp_path / "two", config)
    # Nothing is left that would stop another try.
    assert list((tmp_path / "two").iterdir()) == []


@pytest.mark.parametrize(
    "url",
    ["nonsense", "://", "postgresql+nodriver://a:secret@b/c", "mysql+pymysql://a:secret@b/c", "mysql://a:secret@b/c"],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, tmp_path: Path) -> None:
    with pytest.raises((UsageError, MissingExtra)) as caught:
        create_corpus(tmp_path / "corpus", small_config(database={"url": url}))
    assert "secret" not in str(caught.value)
    assert list((tmp_path / "corpus").iterdir()) == []


def test_no_password_is_ever_shown() -> None:
    for url in ("postgresql+psycopg://me:secret@host/db", "postgresql+psycopg://me@host/db?password=secret&sslmode=on"):
        text = shown(database_url(Path(), small_config(database={"url": url})))
        assert "secret" not in text and "me" in text and "host" in text
