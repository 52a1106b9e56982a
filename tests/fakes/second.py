"""Corpora for second looks, and what people say of them as browsers do."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from corpora import small_corpus

from miscomp.annotate.messages import Outcome
from miscomp.annotate.people import Person
from miscomp.annotate.save import save
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import Batch, BatchItem, Role, Seen, SourceImage, Visit
from miscomp.corpus.schema import fetch

NOW = datetime(2025, 10, 27, 12, 0, tzinfo=UTC)
TWO: dict[str, Any] = {"batches": {"labelers": ("ann", "bob"), "batch_size": 4, "agreement_batches": 1}}
"""Settings: three batches of four pairs, one of them for both."""


def number(value: int | str) -> str:
    """A UUID of the test's own."""
    return str(uuid5(UUID(int=0), str(value)))


def person(name: str, *roles: Role) -> Person:
    """Somebody with these roles, or with all."""
    return Person(name, frozenset(roles or Role))


def tell(corpus: Corpus, who: Person, *messages: dict[str, Any]) -> list[Outcome]:
    """Say something as a browser does."""
    return [one.outcome for one in save(corpus, who, messages, time=NOW)]


def shared_corpus(folder: Path, *, images: int = 3) -> Corpus:
    """Pictures in batches for two, without any label."""
    corpus = small_corpus(folder, images=images, labels=False, **TWO)
    with corpus.writing() as connection:
        make_batches(connection, corpus.config, unscreened=True)
        assign(connection, corpus.config, ("ann", "bob"))
    return corpus


def items(corpus: Corpus, *, agreement: bool) -> list[BatchItem]:
    """The pairs of batches of one kind, in order."""
    with corpus.reading() as connection:
        kinds = {one.batch: one.kind for one in fetch(connection, Batch)}
        return [one for one in fetch(connection, BatchItem) if (kinds[one.batch] == "agreement") == agreement]


def done(item: BatchItem, labeler: str, *, day: str = "2025-10-27", active_s: float = 60.0) -> Iterable[Any]:
    """The rows of a pair that a labeler finished in one visit."""
    closed = f"{day}T09:30:00Z"
    pair = {"image_sha1": item.image_sha1, "model": item.model, "labeler": labeler, "batch": item.batch}
    yield Seen(**pair, opened=closed, closed=closed)
    name = number(f"{pair} {day}")
    yield Visit(uuid=name, **pair, opened=closed, closed=closed, active_s=active_s, finished=True)


def reviewed_corpus(folder: Path) -> Corpus:
    """Three pictures; ann and bob drew two boxes each in the first's `01L` and `02L`, ann one in the second's `02L`."""
    return small_corpus(folder, **TWO)


def pictures(corpus: Corpus) -> list[SourceImage]:
    """In the order of their SHA-1."""
    with corpus.reading() as connection:
        return fetch(connection, SourceImage)
