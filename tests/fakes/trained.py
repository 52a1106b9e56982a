"""A corpus with a training pair that three labelers looked at, and two that they still have before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from argon2 import PasswordHasher
from corpora import TIME, label, small_corpus

from miscomp.annotate import accounts
from miscomp.annotate.accounts import add_account
from miscomp.annotate.training import assign_training, make_training
from miscomp.corpus.corpus import Corpus
from miscomp.corpus.entries import BatchItem, MultiFlag, Role, Visit
from miscomp.corpus.schema import ITEM, add, fetch
from miscomp.records import Box

PASSWORD = "correct horse battery"
TRAINED = ("ann", "bob", "cem", "dan")
LEADER = "sue"
BOXES = {
    "ann": (Box(16, 24, 40, 32), Box(100, 90, 24, 20)),
    "bob": (Box(18, 24, 40, 32),),
    "cem": (Box(16, 26, 38, 30), Box(140, 20, 20, 18)),
    "dan": (Box(20, 100, 30, 30),),
}
"""Three mean the same place; two stand alone. `dan` is not done."""


@contextmanager
def cheap_hashes() -> Iterator[None]:
    """Passwords cost next to nothing: what they cost is tried where accounts are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accounts, "_hasher", lambda: PasswordHasher(1, 8, 1))
        accounts._nobodys.cache_clear()
        yield
    accounts._nobodys.cache_clear()


def training_corpus(folder: Path) -> tuple[Corpus, list[BatchItem]]:
    """Its first training pair is done by all but `dan`; `sue` supervises and labels nothing."""
    corpus = small_corpus(folder, labels=False)
    for name in TRAINED:
        add_account(corpus, name, roles=[Role.LABELER], password=PASSWORD)
    add_account(corpus, LEADER, roles=[Role.SUPERVISOR], password=PASSWORD)
    with corpus.writing() as connection:
        batch = make_training(connection, corpus.config, count=3, seed=1)
        assign_training(connection, TRAINED)
        items = fetch(connection, BatchItem, ITEM.c.batch == batch.batch)
        first = items[0]
        about: dict[str, Any] = {"image_sha1": first.image_sha1, "model": first.model, "batch": first.batch}
        for name in TRAINED:
            answers = {"changed": 1.0, "relevant": 1.0, "suspicion": 0.5 if name == "bob" else 0.0, "expected": None}
            drawn = [
                label(first.image_sha1, first.model, box, name, batch=first.batch, origin="person", **answers)
                for box in BOXES[name]
            ]
            add(connection, drawn)
            if name != "dan":
                add(connection, [visit_of(first, name)])
        note = "is <b>this</b> a shadow?"
        add(connection, [MultiFlag(uuid="flag", labeler="cem", multi=True, kind="to_discuss", note=note, **about)])
    return corpus, items


def visit_of(item: BatchItem, labeler: str) -> Visit:
    """A finished look at a pair."""
    about = {"image_sha1": item.image_sha1, "model": item.model, "batch": item.batch}
    times = {"opened": TIME, "closed": TIME}
    return Visit(uuid=f"{item.alias[:20]}{labeler}", labeler=labeler, active_s=5.0, finished=True, **about, **times)
