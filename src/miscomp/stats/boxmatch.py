"""How well two labelers' boxes agree: matched one to one by intersection over union (IoU), pooled over images.

An F1 needs no true negatives, which boxes do not have; in return it says nothing of images that both left empty. They
are counted beside it. Boxes are matched with `scipy.optimize.linear_sum_assignment`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from miscomp.benchmark.bootstrap import Figure, Floats
from miscomp.benchmark.matching import box_array, hits
from miscomp.errors import UsageError
from miscomp.records import Annotation, Box
from miscomp.stats.intervals import ratio, resampled
from miscomp.stats.material import Material, Pair
from miscomp.stats.tabular import Cell, Column, StatTable

THRESHOLDS = (0.1, 0.25, 0.5, 0.75)
RESAMPLES = 2000
MOST_BOXES = 2000
"""Of one labeler in one image; every pair of boxes is looked at."""

Match = tuple[int, int, float]
"""Place in the one list, place in the other, IoU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtThreshold:
    """Boxes that match where an IoU of at least `threshold` is asked for."""

    threshold: float
    matched: int
    f1: Figure
    """2 * matched / (boxes of the one + boxes of the other); undefined where nobody drew a box."""
    mean_iou: Figure
    """Of the matched boxes, so never below the threshold; undefined where none match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxAgreement:
    """Two labelers on the images that both have seen."""

    first: str
    second: str
    images: int
    """Reconstructions."""
    photographs: int
    """Of which these are reconstructions; what a resample draws."""
    both_empty: int
    """Images in which neither drew a box."""
    one_empty: int
    """Images in which only one of them drew any."""
    boxes_first: int
    boxes_second: int
    at: tuple[AtThreshold, ...]
    hit_first: Figure
    """Share of the first one's boxes that some box of the second hits, by the rule `records.is_hit`."""
    hit_second: Figure
    """Share of the second one's boxes that some box of the first hits. The rule is neither symmetric nor one to one."""


def match(boxes_a: Sequence[Box], boxes_b: Sequence[Box], threshold: float) -> tuple[Match, ...]:
    """As many pairs with IoU >= `threshold` as can be, and of all such choices one of the greatest sum of IoU.

    No box is in two pairs. Their number and the sum do not depend on which list comes first, and the number does not
    rise with the threshold. Raises `ValueError` for a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"a threshold of IoU lies above 0 and up to 1, got {threshold}")
    if not boxes_a or not boxes_b:
        return ()
    return _matched(hits(box_array(boxes_a), box_array(boxes_b))[1], threshold)


def _matched(iou: Floats, threshold: float) -> tuple[Match, ...]:
    fits = iou >= threshold
    first, second = np.nonzero(fits)
    if len({*first.tolist()}) == len({*second.tolist()}) == len(first):  # nothing to choose, as in most images
        return tuple((int(i), int(j), float(iou[i, j])) for i, j in zip(first, second, strict=True))
    rows, columns = np.flatnonzero(fits.any(axis=1)), np.flatnonzero(fits.any(axis=0))
    near, fits = iou[np.ix_(rows, columns)], fits[np.ix_(rows, columns)]
    # One pair more outweighs every sum of IoU: F1 counts pairs, and would otherwise depend on how tight they are.
    worth = np.where(fits, near + min(fits.shape, default=0) + 1, 0.0)
    chosen = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return tuple((int(rows[i]), int(columns[j]), float(near[i, j])) for i, j in chosen if fits[i, j])


def box_agreement(
    material: Material, *, thresholds: Sequence[float] = THRESHOLDS, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[BoxAgreement, ...]:
    """Every two labelers, detectors among them, in the order of `material.labelers`.

    Intervals are percentiles over resamples of photographs, all reconstructions of one drawn together: they show the
    same places. Raises `UsageError` for more than `MOST_BOXES` boxes of a labeler in an image.
    """
    seen, drawn = material.seen_by(), material.boxes()
    _check_counts(drawn)
    found = []
    for first, second in combinations(material.labelers, 2):
        shared = [pair for pair, who in seen.items() if first in who and second in who]
        found.append(_agreement((first, second), shared, drawn, thresholds=thresholds, draw=(resamples, seed)))
    return tuple(found)


def _check_counts(drawn: Mapping[tuple[Pair, str], Sequence[Annotation]]) -> None:
    for ((_, model), who), boxes in drawn.items():
        if len(boxes) > MOST_BOXES:
            raise UsageError(
                f"{who} has {len(boxes)} boxes in {model} of {boxes[0].filename}; at most {MOST_BOXES} an image can be"
                " matched. Leave that labeler out, or keep its best boxes"
            )


def _agreement(
    names: tuple[str, str],
    shared: Sequence[Pair],
    drawn: Mapping[tuple[Pair, str], Sequence[Annotation]],
    *,
    thresholds: Sequence[float],
    draw: tuple[int, int],
) -> BoxAgreement:
    first, second = ([[one.box for one in drawn.get((pair, name), ())] for pair in shared] for name in names)
    source = {sha1: k for k, sha1 in enumerate(dict.fromkeys(sha1 for sha1, _ in shared))}
    table = np.zeros((len(source), 4 + 2 * len(thresholds)))
    for (sha1, _), a, b in zip(shared, first, second, strict=True):
        table[source[sha1]] += _counts(a, b, thresholds)
    sums = resampled(table, *draw)

    def of(over: Floats, under: Floats) -> Figure:
        return ratio(over, under, len(source))

    boxes = sums[:, 0] + sums[:, 1]
    at = []
    for k, threshold in enumerate(thresholds):
        matched, iou = sums[:, 4 + 2 * k], sums[:, 5 + 2 * k]
        one = AtThreshold(
            threshold=threshold, matched=int(matched[0]), f1=of(2 * matched, boxes), mean_iou=of(iou, matched)
        )
        at.append(one)
    return BoxAgreement(
        first=names[0],
        second=names[1],
        images=len(shared),
        photographs=len(source),
        both_empty=sum(not a and not b for a, b in zip(first, second, strict=True)),
        one_empty=sum(bool(a) != bool(b) for a, b in zip(first, second, strict=True)),
        boxes_first=int(sums[0, 0]),
        boxes_second=int(sums[0, 1]),
        at=tuple(at),
        hit_first=of(sums[:, 2], sums[:, 0]),
        hit_second=of(sums[:, 3], sums[:, 1]),
    )


def _counts(a: Sequence[Box], b: Sequence[Box], thresholds: Sequence[float]) -> list[float]:
    """Boxes of each, those of each that the other hits, then for every threshold the matches and their sum of IoU."""
    if not a or not b:
        return [len(a), len(b), *[0.0] * (2 + 2 * len(thresholds))]
    by_a, iou = hits(box_array(a), box_array(b))
    by_b, _ = hits(box_array(b), box_array(a))
    counts: list[float] = [len(a), len(b), int(by_b.any(axis=0).sum()), int(by_a.any(axis=0).sum())]
    for threshold in thresholds:
        matches = _matched(iou, threshold)
        counts += [len(matches), sum(one for _, _, one in matches)]
    return counts


def boxes_table(rows: Sequence[BoxAgreement]) -> StatTable:
    """One row for every two labelers and threshold."""
    return StatTable(
        name="box_agreement",
        title="Agreement on single boxes",
        note="Boxes of two labelers in the images that both have seen, matched one to one where their intersection "
        "over union (IoU) is at least the threshold: as many as can be, then as tight as can be. Matches and boxes are "
        "added up over all images. Intervals (95 %) draw photographs with replacement. F1 says nothing about images "
        "that both left empty; they are counted. Nothing is corrected for chance. Where only the first few instances "
        "of the same change were to be drawn, two labelers who mean the same can draw different ones.",
        columns=_COLUMNS,
        rows=tuple(_row(one, at) for one in rows for at in one.at),
    )


_COLUMNS = (
    Column(key="first", title="labeler"),
    Column(key="second", title="and"),
    Column(key="images", title="images", about="Reconstructions that both have seen."),
    Column(key="both_empty", title="both empty", about="Images in which neither drew a box."),
    Column(key="one_empty", title="one empty", about="Images in which only one of the two drew a box."),
    Column(key="boxes_first", title="boxes of the one"),
    Column(key="boxes_second", title="of the other"),
    Column(key="threshold", title="IoU at least", decimals=2),
    Column(key="matched", title="matched"),
    Column(key="f1", title="F1", about="2 x matched / boxes of both; n counts boxes.", decimals=3),
    Column(key="mean_iou", title="mean IoU", about="Of the matched; n counts matches.", decimals=3),
    Column(
        key="hit_first",
        title="the one's, hit",
        about="Share of the one's boxes whose centre lies in a box of the other's of at most 16 times the area, or "
        "whose IoU with one is 0.1 or more. Not one to one; the same at every threshold.",
        unit="%",
        decimals=1,
    ),
    Column(key="hit_second", title="the other's, hit", about="The same the other way round.", unit="%", decimals=1),
)


def _row(one: BoxAgreement, at: AtThreshold) -> dict[str, Cell]:
    counts = ("first", "second", "images", "both_empty", "one_empty", "boxes_first", "boxes_second")
    return {
        **{key: Cell(value=getattr(one, key)) for key in counts},
        "threshold": Cell(value=at.threshold),
        "matched": Cell(value=at.matched),
        "f1": Cell.of(at.f1, one.boxes_first + one.boxes_second),
        "mean_iou": Cell.of(at.mean_iou, at.matched),
        "hit_first": Cell.of(one.hit_first, one.boxes_first),
        "hit_second": Cell.of(one.hit_second, one.boxes_second),
    }
