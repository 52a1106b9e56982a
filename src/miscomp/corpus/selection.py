"""Which pictures and models a corpus works with: the screeners' verdicts, halves and bulks, and what follows."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, update

from miscomp.corpus.config import Config, Model
from miscomp.corpus.entries import Choice, Decision, SourceImage
from miscomp.corpus.schema import IMAGE, fetch


class Verdict(StrEnum):
    """What the screeners' decisions come to."""

    INCLUDED = "included"
    EXCLUDED = "excluded"
    PENDING = "pending"
    """Some screener has not decided yet, and no one wants it in."""
    UNSCREENED = "unscreened"
    """Nobody has decided anything."""


def current(decisions: Iterable[Decision]) -> dict[tuple[str, str], Decision]:
    """The last decision by (picture, screener); the decisions come in the order in which they were made."""
    return {(one.image_sha1, one.screener): one for one in decisions}


def verdict(choices: Sequence[str], screeners: int) -> Verdict:
    """SCLIC 3.1: a picture is out only when every screener says exclude or borderline."""
    if not choices:
        return Verdict.UNSCREENED
    if Choice.INCLUDE in choices:
        return Verdict.INCLUDED
    return Verdict.EXCLUDED if len(choices) >= screeners else Verdict.PENDING


def verdicts(connection: Connection, config: Config) -> dict[str, Verdict]:
    """The verdict on every picture that was not removed, by its SHA-1."""
    choices: defaultdict[str, list[str]] = defaultdict(list)
    for (image_sha1, _), one in current(fetch(connection, Decision)).items():
        choices[image_sha1].append(one.choice)
    images = fetch(connection, SourceImage, IMAGE.c.removed == "")
    return {one.image_sha1: verdict(choices[one.image_sha1], config.screening.screeners) for one in images}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    """The pictures that go on, and how many do not."""

    images: tuple[SourceImage, ...]
    verdicts: Mapping[str, Verdict]

    def count(self, kind: Verdict) -> int:
        """How many pictures have this verdict."""
        return sum(one == kind for one in self.verdicts.values())


def select_images(connection: Connection, config: Config, *, unscreened: bool = False) -> Selected:
    """The pictures that are included: all where nobody has screened any, else those that a screener wants in.

    With `unscreened`, also those that are still to be decided on.
    """
    found = verdicts(connection, config)
    nobody = all(one == Verdict.UNSCREENED for one in found.values())
    wanted = {Verdict.INCLUDED}
    if nobody or unscreened:
        wanted |= {Verdict.UNSCREENED, Verdict.PENDING}
    images = fetch(connection, SourceImage, IMAGE.c.removed == "")
    return Selected(images=tuple(one for one in images if found[one.image_sha1] in wanted), verdicts=found)


def shuffled(keys: Iterable[str], *, seed: int, purpose: str) -> list[str]:
    """Keys in an order that depends on the seed, the purpose and the keys alone, on every machine and release."""
    return sorted(keys, key=lambda key: hashlib.sha256(f"{seed} {purpose} {key}".encode()).digest())


def allot(connection: Connection, config: Config, images: Sequence[SourceImage]) -> None:
    """Give pictures that have none yet a half and a bulk (SCLIC 3.1, appendix 1.3); what has one keeps it.

    A half is a whole number of bulks where there are enough pictures (1,563 become 800 and 763), else an even share.
    """
    waiting = [one.image_sha1 for one in images if one.bulk is None]
    if not waiting:
        return
    order = shuffled(waiting, seed=config.seed, purpose="halves")
    known = fetch(connection, SourceImage, IMAGE.c.bulk.is_not(None))
    bulk = max((one.bulk or 0 for one in known), default=0)
    halves = len(config.halves) or 1
    size = config.batches.bulk_images
    begin = 0
    for half, share in enumerate(_shares(len(order), halves, size)):
        for start in range(begin, begin + share, size):
            bulk += 1
            chosen = order[start : min(start + size, begin + share)]
            values = {"bulk": bulk, "half": half if config.halves else None}
            for image_sha1 in chosen:
                connection.execute(update(IMAGE).where(IMAGE.c.image_sha1 == image_sha1).values(values))
        begin += share


def _shares(images: int, halves: int, size: int) -> list[int]:
    """How many pictures each half has."""
    bulks = -(-images // size)
    if bulks < 2 * halves:
        return [images // halves + (half < images % halves) for half in range(halves)]
    shares = []
    left = images
    for parts in range(halves, 1, -1):
        # The whole number of bulks that is nearest to an even share of what is left.
        shares.append((2 * left + parts * size) // (2 * parts * size) * size)
        left -= shares[-1]
    return [*shares, left]


def allotted(config: Config, images: Iterable[SourceImage], *, every: bool = False) -> list[tuple[SourceImage, Model]]:
    """The pairs of picture and model that the labelers are to see, or with `every` all that the corpus can have."""
    return [(image, model) for image in images for model in (config.models if every else config.models_of(image.half))]
