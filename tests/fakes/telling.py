"""What a labeler's browser says, and a corpus of rows with batches to say it of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corpora import small_config
from planned import planned_corpus

from miscomp.annotate.people import Person
from miscomp.annotate.save import save
from miscomp.annotate.work import batches_of, items_of
from miscomp.corpus.batches.planning import assign, make_batches
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import BatchKind, Role, new_uuid

SERVER = datetime(2026, 5, 4, 9, 0, 0, tzinfo=UTC)
"""The server's time."""
WIDTH, HEIGHT = 640, 480
"""Of every pair."""
ANN = Person("ann", frozenset({Role.LABELER}))
BOB = Person("bob", frozenset({Role.LABELER}))


def batched(folder: Path, *, labelers: Sequence[str] = ("ann", "bob"), images: int = 3, **settings: Any) -> Corpus:
    """Pictures by four models without pixels, in batches of four pairs that were given to the labelers."""
    batches = {"labelers": list(labelers), "batch_size": 4, "agreement_batches": 1}
    corpus = planned_corpus(folder, small_config(batches=batches, **settings), range(images))
    with corpus.writing() as connection:
        make_batches(connection, corpus.config)
        assign(connection, corpus.config, list(labelers))
    return corpus


def aliases(corpus: Corpus, labeler: str, kind: BatchKind = BatchKind.NORMAL) -> list[str]:
    """The pairs of a labeler, in the order of the page."""
    with corpus.reading() as connection:
        mine = [one.batch for one in batches_of(connection, labeler) if one.kind == kind]
        return [item.alias for batch in mine for item in items_of(connection, batch, labeler) or []]


def box(alias: str, x: int = 10, y: int = 20, w: int = 30, h: int = 40, **more: Any) -> dict[str, Any]:
    """A box that is drawn, or with `action` and `replaces` changed or deleted."""
    about = {"kind": "box", "uuid": new_uuid(), "alias": alias, "action": "add", "x": x, "y": y, "w": w, "h": h}
    return {**about, **more}


def changed(old: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A change of a box that was told before."""
    return {**old, "uuid": new_uuid(), "action": "change", "replaces": old["uuid"], **more}


def deleted(old: dict[str, Any]) -> dict[str, Any]:
    """A deletion of a box that was told before."""
    return changed(old, action="delete")


def flag(alias: str, **more: Any) -> dict[str, Any]:
    """A word on the whole picture."""
    return {"kind": "flag", "uuid": new_uuid(), "alias": alias, "multi": True, **more}


def visit(alias: str, *, finished: bool, **more: Any) -> dict[str, Any]:
    """A look of a minute, half of it active."""
    times = {"open_ms": 60_000, "active_ms": 30_000}
    return {"kind": "visit", "uuid": new_uuid(), "alias": alias, "finished": finished, **times, **more}


def told(corpus: Corpus, *messages: dict[str, Any], person: Person = ANN) -> list[str]:
    """Save messages at `SERVER`; the outcomes."""
    return [one.outcome.value for one in save(corpus, person, messages, time=SERVER)]
