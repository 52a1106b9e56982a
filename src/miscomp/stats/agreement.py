"""How well labelers agree on which tiles of an image are miscompressed (Hofer and Böhme 2025, section 3.2.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from miscomp.benchmark.bootstrap import UNDEFINED, Figure
from miscomp.errors import UnknownName, UsageError
from miscomp.stats.alpha import alpha_estimate
from miscomp.stats.boxmatch import BoxAgreement
from miscomp.stats.cells import Cells, cells
from miscomp.stats.chance import PairKappa, ac1_estimate, cohen_estimates, fleiss_estimate
from miscomp.stats.counted import by_nobody
from miscomp.stats.material import Material, apart, chosen
from miscomp.stats.resample import FEW, Method
from miscomp.stats.units import Common, Rule, as_rule, check_per_side, common, rate_common

PER_SIDE = (1, 2, 4, 8, 16)
"""The appendix' Table 4; the paper's Table 1 counts the same in tiles."""
RESAMPLES = 10_000
MAX_RESAMPLES = 1_000_000
_RARE = 10
"""An answer in fewer photographs than this: a resample then too seldom holds it as often as it happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labeler:
    """Somebody who took part."""

    name: str
    detector: bool
    images: int
    """Of the reconstructions that count, those seen."""
    boxes: int
    """Drawn in them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementRow:
    """Agreement on images cut into `per_side` x `per_side` tiles."""

    per_side: int
    tiles: int
    rule: Rule
    unassigned_boxes: int
    """That made no tile annotated, of all that were drawn."""
    cells: Cells
    alpha: Figure
    ac1: Figure
    fleiss: Figure
    """Undefined too where not every image was seen by equally many."""
    cohen: tuple[PairKappa, ...]
    rarer: int
    """Photographs that hold the one of the two answers which fewer of them hold."""

    @property
    def n(self) -> int:
        """Units: tiles that at least two have seen."""
        return self.cells.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Agreement at every number of units per side, and what it was taken from."""

    labelers: tuple[Labeler, ...]
    images: int
    """Reconstructions that at least two of the labelers have seen; nothing else counts."""
    photographs: int
    """Of which they are reconstructions; what a resample draws."""
    boxes: int
    """On them."""
    seen_by_one: int
    """Reconstructions left out because one of the labelers alone has seen them."""
    unseen: int
    resamples: int
    seed: int
    method: Method
    rows: tuple[AgreementRow, ...]
    on_boxes: tuple[BoxAgreement, ...]
    """Two labelers at a time; empty where it was not asked for."""
    notes: tuple[str, ...]
    """What a reader must know: what is undefined and why, and what did not count."""


def check_request(per_side: Sequence[int], rule: Rule | str, resamples: int, method: str) -> None:
    """Raise `UsageError` for a request that no material could meet."""
    if not per_side:
        raise UsageError("agreement needs at least one number of units per side, such as 1,2,4")
    for one in per_side:
        check_per_side(one)
    as_rule(rule)
    if not 1 <= resamples <= MAX_RESAMPLES:
        raise UsageError(f"resamples must be 1 to {MAX_RESAMPLES:,}, got {resamples}")
    if method not in get_args(Method):
        raise UsageError(f"unknown interval {method!r}; known: {', '.join(get_args(Method))}")


def agree(
    material: Material,
    per_side: Sequence[int] = PER_SIDE,
    *,
    rule: Rule | str = Rule.MAJORITY,
    resamples: int = RESAMPLES,
    seed: int = 0,
    method: Method = "percentile",
) -> Agreement:
    """Agreement of all labelers of a material (`participants` narrows it down), detectors among them.

    Each number of units per side counts once, in ascending order. Box by box agreement is for `boxmatch`, and is
    joined with `dataclasses.replace`. Raises `UsageError` for a request that cannot be met: fewer than two labelers,
    no reconstruction that two of them have seen, numbers out of range.
    """
    check_request(per_side, rule, resamples, method)
    found = _in_common(material)
    rows = tuple(
        _row(found, one, as_rule(rule), resamples=resamples, seed=seed, method=method) for one in sorted({*per_side})
    )
    labelers = _labelers(material, found)
    return Agreement(
        labelers=labelers,
        images=len(found.images),
        photographs=int(found.photograph[-1]) + 1,
        boxes=len(found.boxes),
        seen_by_one=found.alone,
        unseen=found.unseen,
        resamples=resamples,
        seed=seed,
        method=method,
        rows=rows,
        on_boxes=(),
        notes=(*_who_notes(material, found, labelers), *_unit_notes(found, rows), *_nobody_notes(material, found)),
    )


def _labelers(material: Material, found: Common) -> tuple[Labeler, ...]:
    detectors = {*material.labelers} - {*material.people}
    return tuple(
        Labeler(
            name=name,
            detector=name in detectors,
            images=int(found.seen[:, column].sum()),
            boxes=int((found.labeler == column).sum()),
        )
        for column, name in enumerate(found.labelers)
    )


def participants(material: Material, labelers: Sequence[str] = (), models: Sequence[str] = ()) -> Material:
    """The material of some labelers and models; all where none are named.

    Where nothing says who has seen what, a labeler may be named who drew nothing: it is one who has seen everything.
    Raises `UnknownName` for other names that do not occur.
    """
    known = {one.model for one in material.images}
    for name in models:
        if name not in known:
            raise UnknownName("model", name, known)
    for name in labelers:
        if name not in material.labelers and material.views is not None:
            raise UnknownName("labeler", name, material.labelers)
    # Without views, who drew nothing in the chosen models has seen them nonetheless.
    everybody = material.labelers if material.views is None else ()
    return chosen(material, labelers=labelers or everybody, models=models)


def _in_common(material: Material) -> Common:
    names = material.labelers
    if len(names) < 2:
        raise UsageError(
            f"agreement needs two labelers, found {names[0] if names else 'none'}; a detector's boxes count too, and "
            "so does a labeler who has seen images and drawn nothing, where views say so"
        )
    found = common(material)
    if not found.images:
        raise UsageError(
            f"no reconstruction was seen by two of {', '.join(names)} ({found.alone} by one, {found.unseen} by none); "
            "agreement takes batches that are given to several labelers"
        )
    return found


def _row(found: Common, per_side: int, rule: Rule, *, resamples: int, seed: int, method: Method) -> AgreementRow:
    rated = rate_common(found, per_side, rule)
    ratings = rated.ratings
    numbers = np.unique(found.seen.sum(axis=1))
    fleiss = UNDEFINED
    if len(numbers) == 1:
        fleiss = fleiss_estimate(ratings, resamples=resamples, seed=seed, method=method)
    return AgreementRow(
        per_side=per_side,
        tiles=rated.tiles,
        rule=rated.rule,
        unassigned_boxes=rated.unassigned,
        cells=cells(ratings, resamples=resamples, seed=seed),
        alpha=alpha_estimate(ratings, resamples=resamples, seed=seed, method=method),
        ac1=ac1_estimate(ratings, resamples=resamples, seed=seed, method=method),
        fleiss=fleiss,
        cohen=cohen_estimates(ratings, resamples=resamples, seed=seed, method=method),
        rarer=min(len(np.unique(ratings.image[(ratings.values == one).any(axis=1)])) for one in (0, 1)),
    )


def _who_notes(material: Material, found: Common, labelers: Sequence[Labeler]) -> list[str]:
    """Who took part, and what did not count."""
    notes = []
    detectors = [one.name for one in labelers if one.detector]
    if detectors and len(detectors) < len(labelers):
        notes.append(
            f"Detectors count as labelers here: {', '.join(detectors)}. Name the people alone for their agreement."
        )
    if material.views is None:
        notes.append("Nothing says who has seen what: every labeler counts as having seen every reconstruction.")
        idle = [one.name for one in labelers if not one.boxes]
        notes += [f"{name} has no box, and counts as having seen everything and annotated nothing." for name in idle]
        notes += apart(material)
    else:
        viewers = {one.labeler for one in material.views}
        blind = [one.name for one in labelers if one.name not in viewers]
        notes += [
            f"{name} has boxes but no views: only reconstructions with a box by {name} count as seen, which biases "
            "every number here."
            for name in blind
        ]
    if found.alone or found.unseen:
        notes.append(
            f"Left out: {found.alone} reconstructions seen by one of the labelers ({found.alone_boxes} boxes), "
            f"{found.unseen} seen by none."
        )
    photographs = int(found.photograph[-1]) + 1
    if photographs == 1:
        notes.append("All reconstructions are of one photograph: there is nothing to draw intervals from.")
    return notes


def _unit_notes(found: Common, rows: Sequence[AgreementRow]) -> list[str]:
    """What is undefined, and why."""
    notes = []
    numbers = [int(one) for one in np.unique(found.seen.sum(axis=1))]
    if len(numbers) > 1:
        notes.append(
            f"Reconstructions were seen by different numbers of labelers ({', '.join(map(str, numbers))}): Fleiss' "
            "kappa is undefined; alpha and AC1 allow for it."
        )
    for row in rows:
        at = f"At {row.per_side} per side"
        counted = row.cells
        if row.alpha.value is None:
            answer = "annotated" if counted.c_pos.count else "not annotated"
            notes.append(f"{at} every answer is the same ({answer}): alpha and the kappas are undefined, not 1.")
        elif row.alpha.interval is None and found.photograph[-1] > 0:
            notes.append(f"{at} the resamples give no interval for alpha: {_why_none(row.alpha)}.")
    notes += _narrow_notes(int(found.photograph[-1]) + 1, rows)
    if ties := ", ".join(f"{row.cells.ties} at {row.per_side}" for row in rows if row.cells.ties):
        notes.append(f"Ties, units that half of those who saw them annotated, count under p-neg: {ties} per side.")
    lost = [row for row in rows if 10 * row.unassigned_boxes > len(found.boxes)]
    if lost:
        numbers_lost = ", ".join(f"{row.unassigned_boxes} at {row.per_side}" for row in lost)
        notes.append(
            f"Of {len(found.boxes)} boxes, many are in no tile and so count nowhere ({numbers_lost} per side): tiles "
            "are small for the boxes, and agreement there is about the others. The rule `largest` counts every box."
        )
    for pair in rows[0].cohen:
        if not pair.units:
            notes.append(f"{pair.first} and {pair.second} have no reconstruction in common.")
    return notes


def _narrow_notes(photographs: int, rows: Sequence[AgreementRow]) -> list[str]:
    """Where intervals hold the truth less often than they say."""
    if photographs >= FEW:
        return [
            f"At {row.per_side} per side the rarer answer is in {row.rarer} of the photographs alone: the intervals of "
            "alpha and the kappas are too narrow there."
            for row in rows
            if row.rarer < _RARE and row.alpha.interval is not None
        ]
    figures = [figure for row in rows for figure in (row.alpha, row.ac1, row.cells.c_total.cluster)]
    if all(one.interval is None for one in figures):
        return []
    return [
        f"Intervals drawn from {photographs} photographs are too narrow: they hold the truth in less than 95 % of "
        "cases, from 2 or 3 photographs in far less."
    ]


def _nobody_notes(material: Material, found: Common) -> list[str]:
    shared = {*found.images}
    made = by_nobody([one for one in material.annotations if (one.image_sha1, one.model) in shared])
    return [made] if made else []


def _why_none(alpha: Figure) -> str:
    if alpha.value == 1:
        return "no disagreement to draw from"
    return "all of them are alike, too many undefined, or BCa's corrections are"
