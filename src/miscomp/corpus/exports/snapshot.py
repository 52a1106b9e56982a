"""One state of a corpus as it is published: rows of the tables, without the names of people unless asked for."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection

from miscomp.corpus.config import NAME, Config
from miscomp.corpus.corpus import DATABASE, Corpus, meta
from miscomp.corpus.entries import (
    Batch,
    BatchKind,
    LabelEvent,
    ModelEntry,
    MultiFlag,
    Reconstruction,
    Rejected,
    Seen,
    SourceImage,
)
from miscomp.corpus.labels import annotation_rows, counts, current_labels, image_rows, model_rows, view_rows
from miscomp.corpus.remarks import Flag, Review, flag_rows, review_place, review_rows
from miscomp.corpus.schema import BATCH, MULTI_FLAG, SEEN, count, fetch
from miscomp.corpus.selection import verdicts
from miscomp.errors import InputError
from miscomp.records import Annotation, ImageRow, ModelRow, View
from miscomp.taxonomy import Origin

_MODEL = re.compile(NAME)
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SUFFIX = re.compile(r"(\.[A-Za-z0-9_-]{1,16})?")
_Row = TypeVar("_Row", Annotation, View, Review, Flag)
_BY_MACHINE = (Origin.DETECTOR, Origin.TRUTH)
"""Whose `labeler` is a program's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """`sources.csv`: one photograph of the corpus, as preprocessed."""

    filename: str
    image_sha1: str
    """Of the PNG's content: its name."""
    sha256: str
    """Of the PNG's content."""
    pixel_sha256: str
    width: int
    height: int
    size_bytes: int
    source: str
    licence: str
    split: str
    name: str = ""
    """The file's name as it was added; empty unless it was asked for: such names can tell who, where and when."""
    removed: bool = False
    """Its pixels were removed at a person's request; its rows stay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """Everything that an export is made from."""

    corpus: str
    """The corpus' own UUID."""
    secret: str
    """What makes pseudonyms; it is never published."""
    config: Config
    title: str
    annotations: tuple[Annotation, ...]
    images: tuple[ImageRow, ...]
    models: tuple[ModelRow, ...]
    views: tuple[View, ...]
    sources: tuple[SourceRow, ...]
    reviews: tuple[Review, ...]
    flags: tuple[Flag, ...]
    reconstructions: tuple[Reconstruction, ...]
    entries: tuple[ModelEntry, ...]
    screening: dict[str, int]
    """Pictures by verdict; removed ones are in none."""
    rejected: int
    agreement_pairs: int
    """Pairs of picture and model in batches that every labeler was given."""
    newest: str
    """When the last of all this was done; empty where nothing was."""

    @property
    def state(self) -> str:
        """32 hex digits over everything. Keyed, as they are published: nobody can try out what is not."""
        parts = [repr(getattr(self, one.name)) for one in fields(self)] + [self.config.model_dump_json()]
        return hmac.new(self.secret.encode(), "\n".join(parts).encode(), hashlib.sha256).hexdigest()[:32]

    @property
    def removed(self) -> frozenset[str]:
        """SHA-1 of the pictures whose pixels were removed."""
        return frozenset(one.image_sha1 for one in self.sources if one.removed)


def take_snapshot(corpus: Corpus, *, labelers: bool = False, names: bool = False) -> Snapshot:
    """Read a corpus. With `labelers` they go by name, else by a pseudonym; with `names` files' names are kept.

    Raises `InputError` for rows that no table may hold, or that belong to nothing.
    """
    try:
        with corpus.reading() as connection:
            return _read(connection, corpus, labelers=labelers, names=names)
    except (ValueError, KeyError) as error:
        raise InputError(
            corpus.folder / DATABASE, f"holds a row that cannot be published ({error}); see: miscomp corpus verify"
        ) from error


def _read(connection: Connection, corpus: Corpus, *, labelers: bool, names: bool) -> Snapshot:
    events = current_labels(connection)
    seen = fetch(connection, Seen, counts(SEEN.c.batch))
    pictures = fetch(connection, SourceImage)
    made = fetch(connection, Reconstruction)
    entries = fetch(connection, ModelEntry)
    _check_names(pictures, made, entries)
    flags = fetch(connection, MultiFlag, counts(MULTI_FLAG.c.batch))
    people = {one.labeler for one in events if one.origin not in _BY_MACHINE}
    reviews = review_rows(connection, events)
    people |= {one.labeler for one in seen} | {one.labeler for one in flags} | {one.reviewer for one in reviews}
    secret = meta(connection, "secret")
    hidden = {} if labelers else {name: _pseudonym(secret, name) for name in people}
    annotations, views = _renamed(annotation_rows(events), hidden), _renamed(view_rows(connection), hidden)
    found = list(verdicts(connection, corpus.config).values())
    agreement = fetch(connection, Batch, BATCH.c.kind == str(BatchKind.AGREEMENT))
    return Snapshot(
        corpus=meta(connection, "corpus"),
        secret=secret,
        config=corpus.config,
        title=corpus.config.about.title or corpus.folder.resolve().name,
        # Sorted anew: the order of names is not that of pseudonyms, and would give it away.
        annotations=tuple(annotations if labelers else sorted(annotations, key=_place)),
        images=tuple(image_rows(connection, events)),
        models=tuple(model_rows(connection)),
        views=tuple(views if labelers else sorted(views, key=_whose)),
        sources=tuple(_source_row(one, names=names) for one in pictures),
        reviews=tuple(sorted(_reviewers_renamed(_renamed(reviews, hidden), hidden), key=review_place)),
        flags=tuple(sorted(_renamed(flag_rows(connection), hidden), key=_whose)),
        reconstructions=tuple(made),
        entries=tuple(entries),
        screening={str(kind): found.count(kind) for kind in sorted(set(found))},
        rejected=count(connection, Rejected),
        agreement_pairs=sum(one.size for one in agreement),
        newest=_newest(pictures, made, (*events, *flags, *reviews), seen),
    )


def _place(one: Annotation) -> tuple[Any, ...]:
    """Where `labels.annotation_rows` puts it."""
    return (one.image_sha1, one.model, one.labeler, one.y, one.x, one.h, one.w, one.id)


def _whose(one: View | Flag) -> tuple[str, str, str]:
    return (one.image_sha1, one.model, one.labeler)


def _renamed(rows: Iterable[_Row], hidden: dict[str, str]) -> list[_Row]:
    return [replace(one, labeler=hidden.get(one.labeler, one.labeler)) for one in rows]


def _reviewers_renamed(rows: Iterable[Review], hidden: dict[str, str]) -> list[Review]:
    return [replace(one, reviewer=hidden.get(one.reviewer, one.reviewer)) for one in rows]


def _pseudonym(secret: str, name: str) -> str:
    """The same in every export of a corpus, whoever joins later; only the corpus' secret leads from names to it."""
    return f"labeler-{hmac.new(secret.encode(), name.encode(), hashlib.sha256).hexdigest()[:8]}"


def _source_row(one: SourceImage, *, names: bool) -> SourceRow:
    return SourceRow(
        filename=one.filename,
        image_sha1=one.image_sha1,
        sha256=one.sha256,
        pixel_sha256=one.pixel_sha256,
        width=one.width,
        height=one.height,
        size_bytes=one.size_bytes,
        source=one.source,
        licence=one.licence,
        split=one.split,
        name=one.name if names else "",
        removed=bool(one.removed),
    )


def _check_names(
    pictures: Iterable[SourceImage], made: Collection[Reconstruction], entries: Iterable[ModelEntry]
) -> None:
    """Raise `ValueError` for what must not become part of a file's path."""
    for sha1 in {one.image_sha1 for one in pictures} | {one.image_sha1 for one in made}:
        if not _SHA1.fullmatch(sha1):
            raise ValueError(f"image_sha1 needs 40 lower-case hex digits, got {sha1!r}")
    for model in {one.model for one in made} | {one.model for one in entries}:
        if not _MODEL.fullmatch(model):
            raise ValueError(f"a model's name needs letters, digits, dots, hyphens and underscores, got {model!r}")

    for suffix in {Path(one.stream_file).suffix for one in made}:
        if not _SUFFIX.fullmatch(suffix):
            raise ValueError(f"a compressed file's suffix needs letters and digits, got {suffix!r}")


def _newest(
    pictures: Iterable[SourceImage],
    made: Iterable[Reconstruction],
    said: Iterable[LabelEvent | MultiFlag | Review],
    seen: Iterable[Seen],
) -> str:
    times = [time for one in pictures for time in (one.added, one.removed)]
    times += [one.made for one in made]
    times += [one.time for one in said]
    times += [time for one in seen for time in (one.opened, one.closed)]
    return max(times, default="")
