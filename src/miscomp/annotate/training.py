"""Training: batches that all labelers are given and that count nowhere, to talk about what each of them saw.

Source: Hofer and Böhme, "Challenging Cases of Neural Image Compression", ACM MM 2025, appendix 2.3: labelers annotate
the same pictures on their own and then discuss every box. What they then see is `annotate.discussion`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, select

from miscomp.annotate.people import split_roles
from miscomp.corpus.batches.planning import Pair, alias_of, check_labelers, name_of, shares
from miscomp.corpus.config import Config
from miscomp.corpus.corpus import meta
from miscomp.corpus.entries import Account, Assignment, Batch, BatchItem, BatchKind, Role, SourceImage, now
from miscomp.corpus.schema import ACCOUNT, ASSIGNMENT, BATCH, IMAGE, ITEM, RECONSTRUCTION, SEEN, VISIT, add, fetch
from miscomp.corpus.selection import shuffled
from miscomp.errors import UsageError

PURPOSE = "training"
MOST_PAIRS = 1000
"""Of a training batch; a discussion of a few takes hours."""
_BULK = 0
_NAMED = 5
"""Pairs that a message names."""


def make_training(
    connection: Connection,
    config: Config,
    *,
    pairs: Sequence[Pair] = (),
    count: int = 0,
    seed: int = 0,
    labelled_too: bool = False,
) -> Batch:
    """Add a training batch of certain pairs, or of `count` that are drawn; `assign_training` gives it to labelers.

    Pairs are drawn from those in no batch (with `labelled_too`: in no training batch), of different pictures as long
    as there are any; the same seed draws the same from the same corpus. Later runs of `corpus batch` leave them out.
    Raises `UsageError` for pairs that are not there, that labelers train on already, or that they are given for
    labeling (allowed with `labelled_too`), and where there are too few.
    """
    if bool(pairs) == bool(count):
        raise UsageError("say which pairs to train on, or how many to draw; not both, and not neither")
    if not 1 <= max(len(pairs), count) <= MOST_PAIRS:
        raise UsageError(f"a training batch has 1 to {MOST_PAIRS} pairs, not {max(len(pairs), count)}")
    there = _there(connection)
    training, others = _batched(connection)
    if pairs:
        _check(pairs, there, training=training, others=frozenset() if labelled_too else others)
        chosen = list(pairs)
    else:
        chosen = _draw(there - training - (frozenset() if labelled_too else others), count, seed=seed)
    return _store(connection, config, chosen, seed=seed)


def _there(connection: Connection) -> frozenset[Pair]:
    """Pairs whose pixels are here."""
    made = RECONSTRUCTION.c
    asked = select(made.image_sha1, made.model).join(IMAGE, IMAGE.c.image_sha1 == made.image_sha1)
    return _pairs(connection, asked.where(made.file != "", IMAGE.c.removed == ""))


def _batched(connection: Connection) -> tuple[frozenset[Pair], frozenset[Pair]]:
    """Pairs in training batches, and those in others."""
    item = ITEM.c
    asked = select(item.image_sha1, item.model).join(BATCH, BATCH.c.batch == item.batch)
    of_training = BATCH.c.kind == BatchKind.TRAINING.value
    return _pairs(connection, asked.where(of_training)), _pairs(connection, asked.where(~of_training))


def _pairs(connection: Connection, asked: Select[str, str]) -> frozenset[Pair]:
    return frozenset((sha1, model) for sha1, model in connection.execute(asked))


def _check(
    pairs: Sequence[Pair], there: Collection[Pair], *, training: Collection[Pair], others: Collection[Pair]
) -> None:
    problems = (
        ([one for one in pairs if one not in there], "is no pair of a picture and a reconstruction that are both here"),
        ([one for n, one in enumerate(pairs) if one in pairs[:n]], "is named twice"),
        ([one for one in pairs if one in training], "is in a training batch already"),
        (
            [one for one in pairs if one in others],
            "is in a batch for labeling, whose labelers would know it beforehand; --labelled-too takes it all the same",
        ),
    )
    for found, problem in problems:
        if found:
            named = ", ".join(f"{sha1}:{model}" for sha1, model in found[:_NAMED])
            more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
            raise UsageError(f"{named}{more} {problem}")


def _draw(free: Collection[Pair], count: int, *, seed: int) -> list[Pair]:
    """`count` pairs at random, one of each picture before a second of any."""
    known = {f"{sha1} {model}": (sha1, model) for sha1, model in free}
    of_picture: defaultdict[str, int] = defaultdict(int)
    ranked = []
    for place, key in enumerate(shuffled(known, seed=seed, purpose=PURPOSE)):
        sha1 = known[key][0]
        ranked.append((of_picture[sha1], place, known[key]))
        of_picture[sha1] += 1
    if len(ranked) < count:
        raise UsageError(
            f"{count} pairs are asked for, and {len(ranked)} are free; ask for fewer, compress more pictures, or take "
            "those of batches for labeling too with --labelled-too"
        )
    return [pair for _, _, pair in sorted(ranked)[:count]]


def _store(connection: Connection, config: Config, pairs: Sequence[Pair], *, seed: int) -> Batch:
    """Add the batch, its pairs in random order: those of one picture or codec do not lie side by side."""
    secret = meta(connection, "secret")
    before = fetch(connection, Batch)
    place = sum(one.kind == BatchKind.TRAINING for one in before)
    name = name_of(secret, _BULK, place, {one.batch for one in before}, letter="t")
    batch = Batch(batch=name, bulk=_BULK, kind=BatchKind.TRAINING.value, size=len(pairs))
    known = {f"{sha1} {model}": (sha1, model) for sha1, model in pairs}
    items = []
    for position, key in enumerate(shuffled(known, seed=seed, purpose=f"{PURPOSE} order {config.seed}"), 1):
        sha1, model = known[key]
        alias = alias_of(secret, sha1, model, purpose=PURPOSE)
        items.append(BatchItem(batch=name, position=position, image_sha1=sha1, model=model, alias=alias))
    add(connection, [batch, *items])
    return batch


def everybody(connection: Connection, config: Config) -> tuple[str, ...]:
    """All labelers: who may label or was given batches; before there is anybody, those of the settings."""
    accounts = fetch(connection, Account, ~ACCOUNT.c.disabled)
    known = {one.name for one in accounts if Role.LABELER in split_roles(one.roles)}
    known |= {one.labeler for one in shares(connection)}
    return tuple(sorted(known)) or config.batches.labelers


def assign_training(connection: Connection, labelers: Sequence[str]) -> list[Assignment]:
    """Give every training batch to those of the labelers who do not have it; also those who joined later.

    Raises `UsageError` for names that labelers cannot have.
    """
    people = check_labelers(labelers)
    given = {(one.batch, one.labeler) for one in fetch(connection, Assignment)}
    time = now()
    rows = [
        Assignment(batch=batch.batch, labeler=labeler, time=time)
        for batch in training_batches(connection)
        for labeler in people
        if (batch.batch, labeler) not in given
    ]
    add(connection, rows)
    return rows


def training_batches(connection: Connection) -> list[Batch]:
    """Those that are there, by name."""
    return fetch(connection, Batch, BATCH.c.kind == BatchKind.TRAINING.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A training batch and how far everybody is."""

    batch: str
    pairs: tuple[Pair, ...]
    """In the order in which they are shown."""
    done: Mapping[str, int]
    """Pairs that each of its labelers has finished."""


def trainings(connection: Connection) -> list[Training]:
    """All training batches, by name."""
    found = []
    for batch in training_batches(connection):
        items = fetch(connection, BatchItem, ITEM.c.batch == batch.batch)
        given = [one.labeler for one in fetch(connection, Assignment, ASSIGNMENT.c.batch == batch.batch)]
        done = {name: sum(name in finished(connection, item) for item in items) for name in given}
        found.append(Training(batch=batch.batch, pairs=tuple((one.image_sha1, one.model) for one in items), done=done))
    return found


def finished(connection: Connection, item: BatchItem) -> set[str]:
    """Who is done with a pair of a batch, in the tool or by handing in a batch folder."""
    found: set[str] = set()
    for table, done in ((VISIT, VISIT.c.finished), (SEEN, SEEN.c.closed != "")):
        here = (table.c.batch == item.batch, table.c.image_sha1 == item.image_sha1, table.c.model == item.model)
        found |= {*connection.execute(select(table.c.labeler).where(done, *here)).scalars()}
    return found


def read_pair(connection: Connection, text: str) -> Pair:
    """`SHA1:MODEL` as a pair; the SHA-1 may be cut to 6 digits or more. Raises `UsageError` for what is none."""
    sha1, _, model = text.partition(":")
    if not re.fullmatch(r"[0-9a-f]{6,40}", sha1) or not model:
        raise UsageError(f"a pair is written SHA1:MODEL, as in 4154727c:03L, not {text[:120]!r}")
    found = [one.image_sha1 for one in fetch(connection, SourceImage, IMAGE.c.image_sha1.startswith(sha1))]
    if len(found) != 1:
        raise UsageError(f"{len(found)} pictures of the corpus have a SHA-1 that begins with {sha1}; one is needed")
    return found[0], model
