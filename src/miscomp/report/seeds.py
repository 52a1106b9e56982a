"""What a codec that decodes at random does to the same picture with other seeds: which places come back?

Boxes of two seeds are the same place where the rule for hits holds one way or the other (`records.is_hit`: it takes
a finding and a label, and here neither is more true than the other).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from miscomp.records import Box, Finding, ModelRow, PairResult, is_hit
from miscomp.report.wording import one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedPlace:
    """One place of one picture, by its best-scored finding with any seed."""

    finding: str
    """That finding's id."""
    x: int
    y: int
    w: int
    h: int
    category: str
    score: float | None
    seeds: tuple[int, ...]
    """Those that a finding lies there with, rising."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedComparison:
    """One picture at one setting of one codec, over the seeds that it was audited with: at least two."""

    filename: str
    image_sha1: str
    model: str
    """Without seed."""
    seeds: tuple[int, ...]
    """Rising; one that failed is not among them."""
    places: tuple[SeedPlace, ...]
    """Best score first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedSummary:
    """One setting of one codec over all its pictures that were audited with the same number of seeds."""

    model: str
    seeds: int
    images: int
    places: Mapping[int, int]
    """How many places were found with exactly so many seeds; every number from `seeds` down to 1 is a key."""


def compare_seeds(results: Sequence[PairResult], models: Sequence[ModelRow]) -> tuple[SeedComparison, ...]:
    """One comparison for each picture and setting that was audited with two seeds or more, in the results' order."""
    seeded = {
        row.model: (row.model.removesuffix(f"+seed{row.seed}"), row.seed) for row in models if row.seed is not None
    }
    groups: dict[tuple[str, str, str], dict[int, PairResult]] = {}
    for result in results:
        if result.row.model in seeded:
            model, seed = seeded[result.row.model]
            key = (result.row.filename, result.row.image_sha1, model)
            # Without `+seed` a model has the codec's default seed, which may be named beside it.
            groups.setdefault(key, {}).setdefault(seed, result)
    return tuple(
        SeedComparison(
            filename=filename,
            image_sha1=image_sha1,
            model=model,
            seeds=tuple(sorted(by_seed)),
            places=_places(by_seed),
        )
        for (filename, image_sha1, model), by_seed in groups.items()
        if len(by_seed) > 1
    )


def _places(by_seed: Mapping[int, PairResult]) -> tuple[SeedPlace, ...]:
    """By falling score, each finding joins the place whose first box it lies on best, or opens one of its own."""
    found = [(seed, finding) for seed, result in sorted(by_seed.items()) for finding in result.findings]
    found.sort(key=lambda one: -(one[1].annotation.score or 0.0))  # stable: of equal scores, the lower seed first
    places: list[tuple[Finding, set[int]]] = []
    for seed, finding in found:
        box = finding.annotation.box
        same = [place for place in places if _same(box, place[0].annotation.box)]
        if same:
            max(same, key=lambda place: box.iou(place[0].annotation.box))[1].add(seed)
        else:
            places.append((finding, {seed}))
    return tuple(_place(finding, seeds) for finding, seeds in places)


def _same(box: Box, other: Box) -> bool:
    return is_hit(box, other) or is_hit(other, box)


def _place(finding: Finding, seeds: Iterable[int]) -> SeedPlace:
    annotation = finding.annotation
    return SeedPlace(
        finding=annotation.id,
        x=annotation.x,
        y=annotation.y,
        w=annotation.w,
        h=annotation.h,
        category=annotation.category,
        score=annotation.score,
        seeds=tuple(sorted(seeds)),
    )


def summarise_seeds(comparisons: Sequence[SeedComparison]) -> tuple[SeedSummary, ...]:
    """Count over the pictures, apart for each number of seeds: where one failed, `2 of 2` is not `2 of 3`."""
    groups: dict[tuple[str, int], list[SeedComparison]] = {}
    for one in comparisons:
        groups.setdefault((one.model, len(one.seeds)), []).append(one)
    return tuple(_summary(model, seeds, group) for (model, seeds), group in groups.items())


def _summary(model: str, seeds: int, group: Sequence[SeedComparison]) -> SeedSummary:
    counted = Counter(len(place.seeds) for one in group for place in one.places)
    return SeedSummary(model=model, seeds=seeds, images=len(group), places={n: counted[n] for n in range(seeds, 0, -1)})


def seeds_text(comparisons: Sequence[SeedComparison]) -> str:
    """One line for each setting, for a terminal; empty without comparisons."""
    return "\n".join(
        f"{one_line(one.model)} over {one.seeds} seeds, {one.images} image(s): "
        + ", ".join(f"{count} place(s) with {n} of {one.seeds}" for n, count in one.places.items())
        for one in summarise_seeds(comparisons)
    )
