"""Which finding hits which label: one finding to one label, the best-scored finding first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from miscomp.codecs.rate import TOLERANCE
from miscomp.errors import TableError
from miscomp.pairset import ANNOTATIONS, CONTROL, NATURAL, PLANTED, LabelledPair
from miscomp.records import Box

HIGH_RATE_BPP = 0.75
"""From this real rate on a codec is taken to leave meaning alone, so that what lies outside the labels is false."""

LARGEST = 16
"""A finding of more than this many times a label's area does not hit it; as `records.is_hit` says."""

LEAST_IOU = 0.1

MISSED = -np.inf
"""Score of a label or negative that no finding hits."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


class Verdict(IntEnum):
    """What is known of a finding."""

    UNLABELLED = 0
    """Outside all labels, where nobody knows whether meaning was lost."""
    HIT = 1
    FALSE = 2
    """Outside all labels where nothing lost its meaning, on a hard negative, or on a label that was hit before."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairMatch:
    """One detector's findings in one pair, in the order given."""

    verdicts: Ints
    """`Verdict` of each finding."""
    labels: Ints
    """Place of the label that each finding hits, -1 for none."""
    label_scores: Floats
    """Score of the finding that hits each label; `MISSED` for none."""
    label_ranks: Ints
    """How many findings of the pair come before that one; larger than any rank for a label that is missed."""
    negative_scores: Floats
    """Best score among the findings that hit each hard negative and no label."""


def outside_is_false(pair: LabelledPair) -> bool:
    """Whether a finding outside the labels of a pair is known to be false.

    People looked at the whole picture, and nothing lost its meaning in a control. Beside plants, and beside known
    words, a codec may have done damage of its own: there only a high rate rules it out. An unknown rate rules out
    nothing.
    """
    if pair.row.source in (PLANTED, NATURAL):
        # A search for 0.75 bpp ends as often just below as above.
        return pair.row.bpp is not None and pair.row.bpp >= HIGH_RATE_BPP * (1 - TOLERANCE)
    return True


def check_control(pair: LabelledPair) -> None:
    """Raise `TableError` for a control that has labels: then something did lose its meaning there."""
    if pair.row.source == CONTROL and pair.labels:
        problem = f"{pair.labels[0].id} is a label of {pair.row.filename}, {pair.row.model}, which is a control"
        raise TableError(ANNOTATIONS, f"{problem}; take the label away, or give the pair another source")


def box_array(boxes: Sequence[Box]) -> Ints:
    """Boxes as rows of x, y, w, h, (n, 4)."""
    return np.array([(box.x, box.y, box.w, box.h) for box in boxes], dtype=np.int64).reshape(-1, 4)


def hits(findings: Ints, labels: Ints) -> tuple[Flags, Floats]:
    """For every finding and label (n, m) whether `records.is_hit` holds, and the IoU."""
    x, y, w, h = (findings[:, None, k] for k in range(4))
    lx, ly, lw, lh = (labels[None, :, k] for k in range(4))
    both_w = np.maximum(np.minimum(x + w, lx + lw) - np.maximum(x, lx), 0)
    both = both_w * np.maximum(np.minimum(y + h, ly + lh) - np.maximum(y, ly), 0)
    area, label_area = w * h, lw * lh
    iou = both / (area + label_area - both)
    middle_x, middle_y = lx + lw / 2, ly + lh / 2
    inside = (x <= middle_x) & (middle_x < x + w) & (y <= middle_y) & (middle_y < y + h)
    hit: Flags = (area <= LARGEST * label_area) & (inside | (iou >= LEAST_IOU))
    return hit, iou


def match(findings: Ints, scores: Floats, labels: Ints, negatives: Ints, *, outside_false: bool) -> PairMatch:
    """Match findings to labels, all boxes as `box_array` gives them.

    By falling score (of equal scores the earlier first), each finding takes the label that it hits with the greatest
    IoU among those still free. One that hits only labels already taken is false: it tells a user nothing new.
    """
    on_label, iou = hits(findings, labels)
    on_negative, _ = hits(findings, negatives)
    order = np.argsort(-scores, kind="stable")
    verdicts = np.full(len(findings), Verdict.FALSE if outside_false else Verdict.UNLABELLED, dtype=np.int64)
    taken = np.full(len(findings), -1, dtype=np.int64)
    label_scores = np.full(len(labels), MISSED)
    label_ranks = np.full(len(labels), np.iinfo(np.int64).max)
    free = np.ones(len(labels), dtype=np.bool_)
    for rank, i in enumerate(order):
        candidates = on_label[i] & free
        if candidates.any():
            label = int(np.argmax(np.where(candidates, iou[i], -1)))
            verdicts[i], taken[i], free[label] = Verdict.HIT, label, False
            label_scores[label], label_ranks[label] = scores[i], rank
        elif on_label[i].any() or on_negative[i].any():
            verdicts[i] = Verdict.FALSE
    alone = on_negative & ~on_label.any(axis=1, keepdims=True)
    negative_scores = np.where(alone, scores[:, None], MISSED).max(0, initial=MISSED)
    return PairMatch(
        verdicts=verdicts,
        labels=taken,
        label_scores=label_scores,
        label_ranks=label_ranks,
        negative_scores=negative_scores,
    )
