"""Remove a picture at a person's request: its pixels go from every place that is known, coordinates and numbers stay.

What is left of it is its row with its hashes, so that it is never taken in again, and what labelers drew. A removal
that was cut off is finished by another: the row says first that the picture is removed, then the files go.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, delete, or_, update

from miscomp.corpus.corpus import INCOMING, ORIGINALS, RECONSTRUCTIONS, STREAMS, Corpus
from miscomp.corpus.entries import Copied, Reconstruction, SourceImage, now
from miscomp.corpus.manifest import write_manifest
from miscomp.corpus.samples.removal import delete_from_sample
from miscomp.corpus.samples.rows import SAMPLE
from miscomp.corpus.schema import (
    DECISION,
    LABEL_EVENT,
    MULTI_FLAG,
    RECONSTRUCTION,
    REJECTED,
    SECOND_LOOK,
    SUGGESTION,
    fetch,
    put,
)
from miscomp.errors import InputError, UsageError
from miscomp.folders import file_sha256

_OWN = (ORIGINALS, STREAMS, RECONSTRUCTIONS, INCOMING, "screening", "orphans")


@dataclass(frozen=True, slots=True, kw_only=True)
class Removal:
    """What was done for one picture."""

    image_sha1: str
    files: tuple[Path, ...]
    """What was deleted, in the corpus and in folders that pixels were written to."""
    look: tuple[Copied, ...]
    """Folders that pixels were written to; tables there name the picture, and people may have made more of it."""
    gone: tuple[Copied, ...]
    """Such folders that are not here any more: moved, or on another machine."""


def find_pictures(connection: Connection, names: Sequence[str]) -> list[SourceImage]:
    """The pictures of SHA-1 names, or of beginnings of at least eight digits.

    Raises `UsageError` for one that the corpus does not have, and for one that several pictures begin with.
    """
    images = fetch(connection, SourceImage)
    chosen: dict[str, SourceImage] = {}
    for name in names:
        start = name.lower().removesuffix(".png")
        found = [one for one in images if one.image_sha1.startswith(start)] if len(start) >= 8 else []
        if len(found) != 1:
            what = f"{len(found)} pictures begin with" if found else "no picture of the corpus is called"
            raise UsageError(f"{what} {name!r}; give its SHA-1 name, or the first eight or more digits of it")
        chosen[found[0].image_sha1] = found[0]
    return list(chosen.values())


def remove_picture(corpus: Corpus, image: SourceImage, reason: str) -> Removal:
    """Remove a picture's pixels; one that was removed before is looked for again. The corpus must be owned."""
    with corpus.reading() as connection:
        made = fetch(connection, Reconstruction, RECONSTRUCTION.c.image_sha1 == image.image_sha1)
        copied = fetch(connection, Copied)
    hashes = {image.sha256, *(one.sha256 for one in made), *(one.stream_sha256 for one in made)} - {""}
    with corpus.writing() as connection:
        _mark(connection, image, made, reason)
    deleted = list(_delete_own(corpus, image.image_sha1))
    look, gone = [], []
    for one in {one.path: one for one in copied}.values():
        place = Path(one.path)
        if not place.is_dir():
            gone.append(one)
            continue
        if one.what == SAMPLE:
            deleted += delete_from_sample(place, image.image_sha1)
        deleted += _delete_elsewhere(place, image.image_sha1, hashes)
        look.append(one)
    _forget_text(corpus)
    write_manifest(corpus)
    return Removal(image_sha1=image.image_sha1, files=tuple(deleted), look=tuple(look), gone=tuple(gone))


def _mark(connection: Connection, image: SourceImage, made: Iterable[Reconstruction], reason: str) -> None:
    """Say that it is removed, and drop what tells more of it than coordinates, hashes and numbers."""
    when = image.removed or now()
    put(connection, [replace(image, removed=when, removed_reason=reason, name="", note="")])
    emptied = [replace(one, file="", stream_file="") for one in made]
    if emptied:
        put(connection, emptied)
    connection.execute(delete(SUGGESTION).where(SUGGESTION.c.image_sha1 == image.image_sha1))
    for table in (DECISION, LABEL_EVENT, MULTI_FLAG, SECOND_LOOK):
        connection.execute(update(table).where(table.c.image_sha1 == image.image_sha1).values(note=""))
    # A second copy was rejected under its name, which may be a person's.
    twin = REJECTED.c.reason.contains(image.image_sha1)
    if image.origin_sha256:
        twin = or_(twin, REJECTED.c.origin_sha256 == image.origin_sha256)
    connection.execute(delete(REJECTED).where(twin))


def _delete_own(corpus: Corpus, image_sha1: str) -> Iterator[Path]:
    """Everything in the corpus' folder that is named after the picture."""
    for top in _OWN:
        for path in sorted((corpus.folder / top).rglob("*")):
            if image_sha1 not in path.name or not path.exists():
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            yield path


def _delete_elsewhere(place: Path, image_sha1: str, hashes: set[str]) -> Iterator[Path]:
    """Files of a folder that carry the picture's name, or its bytes under another."""
    for path in sorted(place.rglob("*")):
        if path.is_symlink() or not path.is_file():
            continue
        try:
            if image_sha1 in path.name or file_sha256(path) in hashes:
                path.unlink()
                yield path
        except OSError as error:
            raise InputError(
                path, f"could not be looked at or deleted: {error}; delete it and run this again"
            ) from error


def _forget_text(corpus: Corpus) -> None:
    """Have SQLite take the old rows out of its journal too; pages that it frees are overwritten with zeros."""
    if corpus.engine.dialect.name == "sqlite":
        with corpus.engine.connect() as connection:
            raw = connection.connection.driver_connection
            if raw is not None:
                raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
