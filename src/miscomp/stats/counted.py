"""Whose boxes a statistic counts: each reconstruction once, as people saw it, also where several saw the same."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from miscomp.errors import UnknownName, UsageError
from miscomp.records import Annotation, View
from miscomp.report.wording import count as spelt
from miscomp.stats.material import Material, Pair, chosen
from miscomp.taxonomy import Origin

_RATES = {"low": 0, "high": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """A material in which each reconstruction counts once, and what was left aside for that."""

    material: Material
    """Its images say how many boxes and which flags count; `views` is None where nothing says who has seen what."""
    everyones: Material
    """The same with the boxes and views of all the labelers, for what is about several of them."""
    viewed: frozenset[Pair] | None
    """Reconstructions that at least one of the labelers has seen; None where there are no views at all."""
    several: int
    """Reconstructions that more than one of them has seen (without views: boxed)."""
    unrecorded: int
    """Reconstructions that count as viewed for a box alone, since no view of them is there."""
    drawn: Counter[str]
    """Boxes by model of all the labelers, before any were left aside."""
    note: str
    """What of this the tables must say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Models that a row of a table is about."""

    model: str
    """`all` for more than one."""
    codec: str
    rate: str
    models: frozenset[str]


def count(
    material: Material,
    *,
    labelers: Sequence[str] = (),
    models: Sequence[str] = (),
    everyone: bool = False,
    seed: int = 0,
) -> Counted:
    """Choose what counts: the named labelers, else all people; detectors only where they are named.

    A reconstruction that several have seen counts as one of them saw it, drawn by `seed` among all who saw it, boxes or
    not, so that it is like the others; with `everyone` the boxes of all count, which finds more in it than one labeler
    would. Raises `UnknownName` for names that are not there, `UsageError` where only detectors have drawn.
    """
    names, known = tuple(labelers), {one.model for one in material.images}
    for kind, asked, there in (("labeler", names, {*material.labelers}), ("model", models, known)):
        for name in asked:
            if name not in there:
                raise UnknownName(kind, name, sorted(there))
    if not names and not material.people and material.labelers:
        some = ", ".join(material.labelers)
        raise UsageError(f"only detectors have drawn here ({some}); name the one to count with --labeler")
    kept = chosen(material, labelers=names or material.people or ("",), models=models)
    kept = replace(kept, views=kept.views or None, also=())
    drawn = Counter(one.model for one in kept.annotations)
    seen = _seen(kept)
    several = sum(len(who) > 1 for who in seen.values())
    recorded = {(one.image_sha1, one.model) for one in kept.views or ()}
    unrecorded = len([pair for pair in seen if pair not in recorded]) if kept.views else 0
    everyones = kept
    if not everyone:
        kept = _one_each(kept, seen, seed)
    boxes = Counter((one.image_sha1, one.model) for one in kept.annotations)
    multi = _flagged(kept)
    rows = tuple(
        replace(one, annotations=boxes[pair], multi=pair in multi)
        for one in kept.images
        if (pair := (one.image_sha1, one.model))
    )
    kept = replace(kept, images=rows)
    viewed = None if kept.views is None else frozenset(seen)
    note = _note(viewed, several, unrecorded, everyone=everyone, named=names)
    if made := by_nobody(kept.annotations):
        note = f"{made} {note}"
    return Counted(
        material=kept,
        everyones=everyones,
        viewed=viewed,
        several=several,
        unrecorded=unrecorded,
        drawn=drawn,
        note=note,
    )


def by_nobody(boxes: Sequence[Annotation]) -> str:
    """A sentence on the boxes that look like people's and are not; empty where there are none."""
    origins = Counter(one.origin for one in boxes)
    kinds = {"simulated": origins[Origin.SIMULATED], "known from planting": origins[Origin.TRUTH]}
    if not sum(kinds.values()):
        return ""
    made = " or ".join(name for name, number in kinds.items() if number)
    return f"No person drew {sum(kinds.values())} of the {spelt(len(boxes), 'box', 'boxes')}: {made}."


def model_order(material: Material) -> list[str]:
    """Every model, by codec, low rate before high."""

    def key(name: str) -> tuple[str, int, float, str]:
        row = material.models.get(name)
        target = row.target_bpp if row and row.target_bpp is not None else 0.0
        return material.codec_of(name), _RATES.get(material.rate_of(name), 2), target, name

    return sorted({one.model for one in material.images}, key=key)


def groups(material: Material) -> list[Group]:
    """A row each for every model, for all of a rate, and for all; only such as differ from each other."""
    names = model_order(material)
    found = [
        Group(model=name, codec=material.codec_of(name), rate=material.rate_of(name), models=frozenset({name}))
        for name in names
    ]
    for rate in _RATES:
        found.append(
            Group(
                model="all",
                codec="all",
                rate=rate,
                models=frozenset(name for name in names if material.rate_of(name) == rate),
            )
        )
    found.append(Group(model="all", codec="all", rate="all", models=frozenset(names)))
    different: dict[frozenset[str], Group] = {}
    for one in found:
        if one.models:
            different.setdefault(one.models, one)
    return list(different.values())


def _seen(material: Material) -> dict[Pair, tuple[str, ...]]:
    """Who has seen each reconstruction, as far as views and boxes say; only those that anybody has seen."""
    found: defaultdict[Pair, set[str]] = defaultdict(set)
    there = {(one.image_sha1, one.model) for one in material.images}
    records: list[Annotation | View] = [*material.annotations, *(material.views or ())]
    for one in records:
        if (one.image_sha1, one.model) in there:
            found[one.image_sha1, one.model].add(one.labeler)
    return {pair: tuple(sorted(who)) for pair, who in found.items()}


def _flagged(material: Material) -> set[Pair]:
    """Reconstructions with multi-miscompressions by those who count; by whom, the images of bare tables do not say."""
    whole = {(one.image_sha1, one.model) for one in material.images if material.flags is None and one.multi}
    whole |= {one[:2] for one in material.flags or ()}
    return whole | {(one.image_sha1, one.model) for one in material.annotations if one.multi}


def _one_each(material: Material, seen: dict[Pair, tuple[str, ...]], seed: int) -> Material:
    """Leave each reconstruction to one of those who have seen it."""
    whose = {pair: who[_drawn(seed, pair) % len(who)] for pair, who in seen.items()}
    return replace(
        material,
        annotations=tuple(one for one in material.annotations if whose[one.image_sha1, one.model] == one.labeler),
        views=None
        if material.views is None
        else tuple(one for one in material.views if whose.get((one.image_sha1, one.model)) == one.labeler),
        flags=None
        if material.flags is None
        else frozenset(one for one in material.flags if whose.get(one[:2], one[2]) == one[2]),
    )


def _drawn(seed: int, pair: Pair) -> int:
    # By what the reconstruction is, so that others coming or going do not change whose boxes count in it.
    return int.from_bytes(hashlib.sha256(f"{seed} {pair[0]} {pair[1]}".encode()).digest()[:8], "big")


def _note(
    viewed: frozenset[Pair] | None, several: int, unrecorded: int, *, everyone: bool, named: tuple[str, ...]
) -> str:
    parts = [f"Boxes of {', '.join(named)}." if named else "Boxes of people; what detectors found does not count."]
    if viewed is None:
        parts.append("No views are recorded: nobody knows what was looked at in vain, so shares are undefined.")
    if several:
        how = "the boxes of all of them count" if everyone else "one of them, drawn by the seed, counts in each"
        what = "Seen by several labelers" if viewed is not None else "Boxed by several labelers"
        parts.append(f"{what}: {spelt(several, 'reconstruction')}; {how}.")
    if unrecorded:
        what = "Viewed for their boxes alone, with no view recorded"
        parts.append(f"{what}: {spelt(unrecorded, 'reconstruction')}.")
    return " ".join(parts)
