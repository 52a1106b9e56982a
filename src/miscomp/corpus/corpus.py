"""A corpus: a folder, its settings and its database. One process at a time changes it; any number may read.

- `corpus.toml`: what it is to be
- `corpus.sqlite`: the truth, unless the settings name a server
- `manifest.json`: what is in it, for people; an export of the database
- `originals/ab/SHA1.png`: photographs as preprocessed, named by the SHA-1 of their content
- `streams/MODEL/ab/SHA1.SUFFIX`: what each model's encoder wrote
- `reconstructions/MODEL/ab/SHA1.png`: what its decoder made of that
- `incoming/`: results that are whole and not yet in the database
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from miscomp.corpus.config import CONFIG, Config, read_config, write_toml
from miscomp.corpus.entries import Meta, new_uuid
from miscomp.corpus.migrations import SCHEMA, create, upgrade
from miscomp.corpus.schema import add, fetch
from miscomp.errors import InputError, MiscompError, MissingExtra, UsageError
from miscomp.folders import ResultsFolder, package_version, write_text

DATABASE = "corpus.sqlite"
MANIFEST = "manifest.json"
URL_VARIABLE = "MISCOMP_CORPUS_DATABASE"
_READ_ONLY = {"mode": "ro", "immutable": "1", "uri": "true"}
_THREADS = 40
"""Of a server, which ask at once at most."""
_CONNECT_SECONDS = 10
"""How long a database on a server is waited for, unless its URL says otherwise; the driver would wait minutes."""
_KEPT = 12
"""Connections to a database on a server that a process that stays keeps; each takes memory of that server."""
_WRITERS = 0x6D697363
"""The lock that writers to a database on a server take, `misc`."""
ORIGINALS, STREAMS, RECONSTRUCTIONS, INCOMING = "originals", "streams", "reconstructions", "incoming"


@dataclass(frozen=True, slots=True)
class _Folder(ResultsFolder):
    kind: ClassVar[str] = "corpus"
    elsewhere: ClassVar[str] = "name another folder"
    writer: ClassVar[str] = "command"


@dataclass(frozen=True, slots=True)
class Corpus:
    """An opened corpus."""

    folder: Path
    config: Config
    engine: Engine

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the database."""
        with _explained(self), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction: all of what is done in it, or nothing."""
        with _explained(self), self.engine.connect() as connection:
            connection = connection.execution_options(miscomp_writes=True)
            with connection.begin():
                yield connection

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Keep other commands that change the corpus out. Raises `UsageError` where one is at work."""
        with _Folder(self.folder).owned():
            yield

    def original(self, image_sha1: str) -> Path:
        """Where a photograph lies."""
        return self.folder / original_file(image_sha1)

    def file(self, relative: str) -> Path:
        """A file that a row names. Raises `InputError` for a name that leads out of the folder."""
        path = Path(relative)
        if not relative or path.is_absolute() or ".." in path.parts:
            raise InputError(self.folder / DATABASE, f"names the file {relative!r}, which is not one of the corpus")
        return self.folder / path


def original_file(image_sha1: str) -> str:
    """Name of a photograph's file, from the corpus' folder on: one of 256 folders."""
    return f"{ORIGINALS}/{image_sha1[:2]}/{image_sha1}.png"


def stream_file(image_sha1: str, model: str, suffix: str) -> str:
    """Name of a compressed file; the suffix is the codec's, `.misc`."""
    return f"{STREAMS}/{model}/{image_sha1[:2]}/{image_sha1}{suffix}"


def reconstruction_file(image_sha1: str, model: str) -> str:
    """Name of a reconstruction's file."""
    return f"{RECONSTRUCTIONS}/{model}/{image_sha1[:2]}/{image_sha1}.png"


def create_corpus(folder: Path, config: Config) -> Corpus:
    """Make a corpus in a new or empty folder, and in a database that holds none. Raises `UsageError` for any other."""
    place = _Folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            what = "a corpus" if (folder / CONFIG).exists() else "other files"
            raise UsageError(f"{folder} holds {what}; choose another name, or an empty folder")
        write_text(folder / CONFIG, write_toml(config))
    except OSError as error:
        raise place.useless(error) from error
    try:
        return _open(folder, read_config(folder / CONFIG), fresh=True)
    except MiscompError:
        (folder / CONFIG).unlink(missing_ok=True)
        raise


def open_corpus(folder: Path, *, config: Config | None = None, serving: bool = False) -> Corpus:
    """Open a corpus, and make its tables where there are none yet; an older database is brought up to date.

    `serving` is for a process that stays and does not fork: connections to a database on a server are kept, and each is
    tried before it is used, so that a server that was started anew is met again.

    Raises `InputError` for a folder that is none, for settings that are wrong, for a newer database, and for one that
    is lost or of another corpus than the folder's manifest.
    """
    if config is None:
        if not (folder / CONFIG).is_file():
            raise InputError(folder, f"is no corpus: it has no {CONFIG}; make one with: miscomp corpus init {folder}")
        config = read_config(folder / CONFIG)
    return _open(folder, config, serving=serving)


def _open(folder: Path, config: Config, *, fresh: bool = False, serving: bool = False) -> Corpus:
    corpus = Corpus(folder, config, _engine(folder, config, serving=serving))
    # A corpus on a read-only disk is read as it is.
    read_only = corpus.engine.url.query.get("mode") == _READ_ONLY["mode"]
    with corpus.reading() if read_only else corpus.writing() as connection:
        there = inspect(connection).has_table("meta")
        if fresh and there:
            # Two folders with one database would count each other's pictures.
            raise UsageError(f"the database {shown(corpus.engine.url)} holds a corpus already; make another for this")
        if not fresh:
            _need_same_corpus(corpus, meta(connection, "corpus") if there else "")
        if not there:
            create(connection)
            add(connection, [Meta(name="schema", value=str(SCHEMA)), Meta(name="corpus", value=new_uuid())])
            add(connection, [Meta(name="secret", value=new_uuid()), Meta(name="made_by", value=package_version())])
        upgrade(connection, corpus.folder, read_only=read_only)
    return corpus


def _need_same_corpus(corpus: Corpus, found: str) -> None:
    """Raise `InputError` where the database is not the one of the folder's pictures, as its manifest says.

    A variable that still names another corpus' database would mix the two, and an empty one in place of a lost one
    would make every picture a stray.
    """
    try:
        with (corpus.folder / MANIFEST).open(encoding="utf-8") as file:
            head = file.read(4096)
    except (OSError, UnicodeDecodeError):
        return
    known = re.search(r'"corpus": "([0-9a-f-]{36})"', head)
    if known and known[1] != found:
        what = f"is of the corpus {found}" if found else "is empty"
        raise InputError(
            corpus.folder,
            f"the database {shown(corpus.engine.url)} {what}, {MANIFEST} is of {known[1]}; correct {URL_VARIABLE} or "
            f"the URL in {CONFIG}, or restore the database from a copy (to begin anew with it, delete {MANIFEST})",
        )


def meta(connection: Connection, name: str) -> str:
    """A value that the database knows of itself: `schema`, `corpus`, `secret`, `made_by`. Or an `InputError`."""
    for row in fetch(connection, Meta):
        if row.name == name:
            return row.value
    raise InputError(
        "the database", f"is not one of a corpus: it has no {name}; name another, or restore it from a copy"
    )


def database_url(folder: Path, config: Config) -> URL:
    """Where the tables are; an SQLite file is named from the corpus' folder on, wherever a command is given.

    Raises `UsageError` for a URL that is none, without showing its password, and for a database that is in memory.
    """
    text = os.environ.get(URL_VARIABLE, "") or config.database.url
    if not text:
        return URL.create("sqlite+pysqlite", database=str((folder / DATABASE).resolve()))
    try:
        url = make_url(text)
    except ArgumentError as error:
        raise UsageError(
            f"the database's URL in {CONFIG} or {URL_VARIABLE} cannot be read; write it as in "
            "postgresql+psycopg://user@host/name, or leave it empty for SQLite"
        ) from error
    if url.get_backend_name() != "sqlite":
        return url
    if not url.database or url.database.startswith((":", "file:")):
        raise UsageError(
            f"{shown(url)} is no database that stays; name a file as in sqlite:///labels.sqlite, or leave the URL empty"
        )
    return url.set(database=str((folder / url.database).resolve()))


def _engine(folder: Path, config: Config, *, serving: bool) -> Engine:
    url = database_url(folder, config)
    if url.get_backend_name() == "sqlite":
        place = URL.create("sqlite+pysqlite", database=url.database)
        if url.database and _is_read_only(Path(url.database)):
            engine = create_engine(place.set(database=f"file:{quote(url.database)}", query=_READ_ONLY))
            event.listen(engine, "begin", _begin_sqlite)
            return engine
        # Opened as they are needed and kept: opening one costs as much as ten questions.
        engine = create_engine(place, connect_args={"timeout": 60}, pool_size=_THREADS)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_backend_name() != "postgresql":
        raise UsageError(f"{shown(url)} is neither SQLite nor PostgreSQL")
    try:
        # Nobody closes a corpus: commands close connections after each use, and none is left over from before a fork.
        pool: dict[str, Any] = {"pool_size": _KEPT, "pool_pre_ping": True} if serving else {"poolclass": NullPool}
        if "connect_timeout" not in url.query:
            pool["connect_args"] = {"connect_timeout": _CONNECT_SECONDS}
        engine = create_engine(url, isolation_level="REPEATABLE READ", **pool)
    except ModuleNotFoundError as error:
        raise MissingExtra(str(error.name), "postgres", "a database on a server") from error
    except SQLAlchemyError as error:
        raise UsageError(f"{shown(url)} cannot be used: {error}") from error
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _is_read_only(path: Path) -> bool:
    """Whether a database lies where nothing can be written: on such a disk SQLite's journal cannot be opened.

    Raises `InputError` where that journal holds what is not in the database yet.
    """
    if not path.is_file() or os.access(path.parent, os.W_OK):
        return False
    journal = path.with_name(f"{path.name}-wal")
    if journal.is_file() and journal.stat().st_size:
        raise InputError(path, f"lies in a read-only folder, and {journal.name} is not merged; open a copy of both")
    return True


def shown(url: URL) -> str:
    """A database's URL for messages, without any password."""
    secrets = {name: "***" for name in url.query if "pass" in name.lower()}
    return url.update_query_dict(secrets).render_as_string(hide_password=True)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where `_begin_sqlite` says, not where the driver guesses
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later could find that another wrote in between: writers wait at once.
    writes = connection.get_execution_options().get("miscomp_writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    # As in SQLite: writers one after the other, so that none replaces what it has not seen and events are numbered in
    # the order in which they are stored; readers see one state. One question, as each is a way to the server and back.
    if connection.get_execution_options().get("miscomp_writes"):
        connection.exec_driver_sql(
            "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = '60s'; "
            f"SELECT pg_advisory_xact_lock({_WRITERS})"
        )


@contextmanager
def _explained(corpus: Corpus) -> Iterator[None]:
    """Make what a server or a disk refuses a message."""
    try:
        yield
    except IntegrityError:
        raise
    except DBAPIError as error:
        problem = " ".join(str(error.orig).split())
        raise InputError(
            shown(corpus.engine.url),
            f"the database cannot be used: {problem}; check that it is a corpus', the server, space and rights",
        ) from error
