"""Batches: what labelers are given, in which order and under which names (SCLIC 3.1, appendix 1.3 and 2.1).

All versions of a picture are in one bulk; a bulk's pairs are shuffled and cut into batches. A batch once made never
changes, nor whose it is: later runs only add. What is random follows from the corpus' seed and can be repeated; names
follow from its secret besides, so that nobody reads a picture, a codec or a bulk from them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, func, select

from miscomp.corpus.config import NAME, Config
from miscomp.corpus.corpus import meta
from miscomp.corpus.entries import Assignment, Batch, BatchItem, BatchKind, SourceImage, now
from miscomp.corpus.schema import ASSIGNMENT, BATCH, FAILED, ITEM, RECONSTRUCTION, add, fetch
from miscomp.corpus.selection import Verdict, allot, allotted, select_images, shuffled
from miscomp.errors import UsageError

Pair = tuple[str, str]
"""A picture's SHA-1 and a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A batch without a name."""

    bulk: int
    half: int | None
    pairs: tuple[Pair, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A bulk that is not batched yet: not all of its pairs are there."""

    bulk: int
    there: int
    allotted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run added, and what it could not."""

    batches: tuple[Batch, ...]
    """The new ones."""
    waiting: tuple[Waiting, ...]
    missing: int
    """Pairs without a reconstruction."""
    failed: int
    """Those of them whose compression was tried and failed."""
    unbulked: int
    """Pictures that nothing was compressed of yet."""
    undecided: int
    """Pictures that are left out because screeners have not decided on them."""
    training: int
    """Pairs that are left out because labelers are trained on them; what is drawn there counts nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a labeler has been given."""

    labeler: str
    batches: int
    """Agreement batches included, as in `pairs`."""
    pairs: int
    agreement_batches: int


def alias_of(secret: str, image_sha1: str, model: str, *, purpose: str = "alias") -> str:
    """What a pair is called for labelers: 40 hex digits that tell nothing without the secret."""
    return _keyed(secret, f"{purpose} {image_sha1} {model}").hex()[:40]


def name_of(secret: str, bulk: int, place: int, taken: Collection[str], *, letter: str = "b") -> str:
    """A batch's name, `b` and six digits or more: in no order, so that it tells neither bulk nor half."""
    attempt = 0
    while True:
        number = int.from_bytes(_keyed(secret, f"batch {bulk} {place} {attempt}"))
        low: int = 10 ** (5 + attempt // 8)  # one digit more where names become scarce
        name = f"{letter}{low + number % (9 * low)}"
        if name not in taken:
            return name
        attempt += 1


def _keyed(secret: str, text: str) -> bytes:
    return hmac.digest(secret.encode(), text.encode(), hashlib.sha256)


def cut(bulk: int, pairs: Iterable[Pair], *, seed: int, size: int) -> list[tuple[Pair, ...]]:
    """A bulk's pairs in random order, in batches of `size`; the last may be smaller."""
    known = {f"{sha1} {model}": (sha1, model) for sha1, model in pairs}
    order = [known[key] for key in shuffled(known, seed=seed, purpose=f"bulk {bulk}")]
    return [tuple(order[start : start + size]) for start in range(0, len(order), size)]


def choose_agreement(drafts: Sequence[Draft], number: int, *, seed: int, size: int) -> set[int]:
    """Places of the batches that every labeler is given: full ones first, spread over halves and bulks."""
    places = {" ".join(draft.pairs[0]): place for place, draft in enumerate(drafts)}
    rank = {places[key]: rank for rank, key in enumerate(shuffled(places, seed=seed, purpose="agreement"))}
    chosen: set[int] = set()
    halves: Counter[int | None] = Counter()
    bulks: Counter[int] = Counter()

    def merit(place: int) -> tuple[bool, int, int, int]:
        one = drafts[place]
        return len(one.pairs) < size, halves[one.half], bulks[one.bulk], rank[place]

    while len(chosen) < min(number, len(drafts)):
        best = min(rank.keys() - chosen, key=merit)
        chosen.add(best)
        halves[drafts[best].half] += 1
        bulks[drafts[best].bulk] += 1
    return chosen


def share_out(batches: Iterable[Batch], labelers: Sequence[str], *, load: Mapping[str, int]) -> list[tuple[str, str]]:
    """Each batch to the labeler with the fewest pairs, counted from `load` on: (batch, labeler).

    In one bulk, those who have least of that bulk come first among equals. Shares that begin equal end at most one
    batch apart.
    """
    pairs = {labeler: load.get(labeler, 0) for labeler in labelers}
    of_bulk: Counter[tuple[int, str]] = Counter()
    given = []
    for batch in batches:
        least = min(labelers, key=lambda one: (pairs[one], of_bulk[batch.bulk, one]))
        pairs[least] += batch.size
        of_bulk[batch.bulk, least] += batch.size
        given.append((batch.batch, least))
    return given


def make_batches(connection: Connection, config: Config, *, incomplete: bool = False, unscreened: bool = False) -> Made:
    """Batch every bulk whose pairs are all there, with `incomplete` what is there of the others too.

    `unscreened`: also pictures that screeners have still to decide on, as `compress` takes them.
    """
    there = _compressed(connection)
    selected = select_images(connection, config, unscreened=unscreened)
    begun = {sha1 for sha1, _ in there}
    allot(connection, config, [one for one in selected.images if one.image_sha1 in begun])
    images = select_images(connection, config, unscreened=unscreened).images  # with their bulks
    batched = _pairs(connection, select(ITEM.c.image_sha1, ITEM.c.model))
    drafts: list[Draft] = []
    waiting: list[Waiting] = []
    missing: set[Pair] = set()
    bulks = _bulks(config, images)
    for (bulk, half), pairs in sorted(bulks.items(), key=lambda one: one[0][0]):
        ready = [pair for pair in pairs if pair in there and pair not in batched]
        lacking = [pair for pair in pairs if pair not in there and pair not in batched]
        missing |= {*lacking}
        if lacking and not incomplete:
            waiting.append(Waiting(bulk=bulk, there=len(pairs) - len(lacking), allotted=len(pairs)))
            continue
        cuts = cut(bulk, ready, seed=config.seed, size=config.batches.batch_size)
        drafts += [Draft(bulk=bulk, half=half, pairs=one) for one in cuts]
    failed = _pairs(connection, select(FAILED.c.image_sha1, FAILED.c.model))
    undecided = {sha1 for sha1, one in selected.verdicts.items() if one in (Verdict.PENDING, Verdict.UNSCREENED)}
    return Made(
        batches=_store(connection, config, drafts),
        waiting=tuple(waiting),
        missing=len(missing),
        failed=len(failed & missing),
        unbulked=sum(one.bulk is None for one in images),
        undecided=len(undecided - {one.image_sha1 for one in images}),
        training=len(_only_training(connection) & {pair for pairs in bulks.values() for pair in pairs}),
    )


def _only_training(connection: Connection) -> set[Pair]:
    """Pairs that are in training batches and in no other."""
    item = ITEM.c
    kinds = select(item.image_sha1, item.model).join(BATCH, BATCH.c.batch == item.batch)
    of_training = BATCH.c.kind == BatchKind.TRAINING.value
    return _pairs(connection, kinds.where(of_training)) - _pairs(connection, kinds.where(~of_training))


def _compressed(connection: Connection) -> set[Pair]:
    made = RECONSTRUCTION.c
    return _pairs(connection, select(made.image_sha1, made.model).where(made.file != ""))


def _pairs(connection: Connection, asked: Select[str, str]) -> set[Pair]:
    return {(sha1, model) for sha1, model in connection.execute(asked)}


def _bulks(config: Config, images: Iterable[SourceImage]) -> dict[tuple[int, int | None], list[Pair]]:
    pairs: defaultdict[tuple[int, int | None], list[Pair]] = defaultdict(list)
    for image, model in allotted(config, images):
        if image.bulk is not None:
            pairs[image.bulk, image.half].append((image.image_sha1, model.model))
    return pairs


def _store(connection: Connection, config: Config, drafts: Sequence[Draft]) -> tuple[Batch, ...]:
    secret = meta(connection, "secret")
    before = fetch(connection, Batch)
    taken = {one.batch for one in before}
    places = Counter(one.bulk for one in before)
    lacking = config.batches.agreement_batches - sum(one.kind == BatchKind.AGREEMENT for one in before)
    agreement = choose_agreement(drafts, max(lacking, 0), seed=config.seed, size=config.batches.batch_size)
    batches, items = [], []
    for number, draft in enumerate(drafts):
        name = name_of(secret, draft.bulk, places[draft.bulk], taken)
        taken.add(name)
        places[draft.bulk] += 1
        kind = BatchKind.AGREEMENT if number in agreement else BatchKind.NORMAL
        batches.append(Batch(batch=name, bulk=draft.bulk, kind=kind.value, size=len(draft.pairs)))
        for position, (sha1, model) in enumerate(draft.pairs, 1):
            alias = alias_of(secret, sha1, model)
            items.append(BatchItem(batch=name, position=position, image_sha1=sha1, model=model, alias=alias))
    add(connection, [*batches, *items])
    return tuple(batches)


def check_labelers(names: Sequence[str]) -> tuple[str, ...]:
    """The names, as they are. Raises `UsageError` for one that cannot be a folder's, and for one that comes twice."""
    for name in names:
        if not re.fullmatch(NAME, name, re.ASCII):
            raise UsageError(
                f"a labeler cannot be called {name!r}; allowed are up to 64 letters, digits, dots, hyphens and "
                "underscores, a letter or digit first"
            )
    folded = Counter(name.lower() for name in names)
    if twice := [name for name in names if folded[name.lower()] > 1]:
        raise UsageError(f"labelers {', '.join(twice)} cannot be told apart; give each a name of its own")
    return tuple(names)


def assign(connection: Connection, config: Config, labelers: Sequence[str]) -> list[Assignment]:
    """Give agreement batches to each of the labelers, and others that nobody has to those with the fewest pairs.

    What was given stays where it is, also with people who are not among the labelers any more.
    """
    given = fetch(connection, Assignment)
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for one in given:
        owners[one.batch].add(one.labeler)
    batches = {one.batch: one for one in fetch(connection, Batch)}
    load: Counter[str] = Counter()
    for one in given:
        if batches[one.batch].kind == BatchKind.NORMAL:
            load[one.labeler] += batches[one.batch].size
    free = [one for one in batches.values() if one.kind == BatchKind.NORMAL and not owners[one.batch]]
    new = share_out(_in_order(connection, config, free), labelers, load=load) if labelers else []
    common = [one.batch for one in batches.values() if one.kind == BatchKind.AGREEMENT]
    new += [(batch, labeler) for batch in common for labeler in labelers if labeler not in owners[batch]]
    time = now()
    rows = [Assignment(batch=batch, labeler=labeler, time=time) for batch, labeler in new]
    add(connection, rows)
    return rows


def _in_order(connection: Connection, config: Config, batches: Sequence[Batch]) -> list[Batch]:
    """By bulk, inside it in an order that follows from the seed and not from the secret names."""
    first = select(ITEM.c.batch, ITEM.c.image_sha1, ITEM.c.model).where(ITEM.c.position == 1)
    keys = {batch: f"{sha1} {model}" for batch, sha1, model in connection.execute(first)}
    rank = {key: place for place, key in enumerate(shuffled(keys.values(), seed=config.seed, purpose="shares"))}
    return sorted(batches, key=lambda one: (one.bulk, rank[keys[one.batch]]))


def shares(connection: Connection) -> list[Share]:
    """What every labeler has been given in all, by name; training, which is no work, left out."""
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    both = select(ASSIGNMENT.c.labeler, BATCH.c.kind, func.count(), func.sum(BATCH.c.size))
    joined = both.join(BATCH, BATCH.c.batch == ASSIGNMENT.c.batch).where(BATCH.c.kind != BatchKind.TRAINING.value)
    joined = joined.group_by(ASSIGNMENT.c.labeler, BATCH.c.kind)
    for labeler, kind, batches, pairs in connection.execute(joined):
        found[labeler]["batches"] += batches
        found[labeler]["pairs"] += int(pairs)
        found[labeler]["agreement_batches"] += batches if kind == BatchKind.AGREEMENT else 0
    return [
        Share(labeler=labeler, batches=one["batches"], pairs=one["pairs"], agreement_batches=one["agreement_batches"])
        for labeler, one in sorted(found.items())
    ]
