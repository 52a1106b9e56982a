"""Oracles: every one-to-one matching tried in turn, `Box.iou`, `records.is_hit`, figures worked out by hand."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from labelled import simulated
from planned import sha1_of

from miscomp.errors import UsageError
from miscomp.records import Annotation, Box, ImageRow, View, is_hit
from miscomp.stats.boxmatch import MOST_BOXES, AtThreshold, BoxAgreement, box_agreement, boxes_table, match
from miscomp.stats.material import Material

BOX = Box(10, 10, 40, 20)
HALF = Box(10, 10, 20, 20)
"""IoU 0.5 with `BOX`."""
FAR = Box(200, 100, 30, 30)


def random_boxes(rng: np.random.Generator, most: int) -> list[Box]:
    """Boxes crowded enough that many overlap."""
    count = int(rng.integers(0, most + 1))
    return [Box(*map(int, rng.integers(0, 12, 2)), *map(int, rng.integers(6, 20, 2))) for _ in range(count)]


def best_by_trying(a: Sequence[Box], b: Sequence[Box], threshold: float) -> tuple[int, float]:
    """The most pairs, then the greatest sum of IoU, over all one-to-one matchings."""
    few, many = sorted((list(a), list(b)), key=len)
    best = (0, 0.0)
    for order in itertools.permutations(many, len(few)):
        values = [value for one, other in zip(few, order, strict=True) if (value := one.iou(other)) >= threshold]
        best = max(best, (len(values), math.fsum(values)))
    return best


def material(
    boxes: Mapping[tuple[int, str], Sequence[Box]], images: int, seen: Mapping[str, Sequence[int]]
) -> Material:
    """Reconstructions `01L` of photographs 0, 1 ...; boxes by photograph and labeler."""
    names = [sha1_of(number) for number in range(images)]
    return Material(
        images=tuple(
            ImageRow(filename=f"{sha1}.png", image_sha1=sha1, model="01L", width=640, height=480) for sha1 in names
        ),
        annotations=tuple(
            Annotation(
                id=f"{number}-{k}",
                filename=f"{names[number]}.png",
                image_sha1=names[number],
                model="01L",
                x=box.x,
                y=box.y,
                w=box.w,
                h=box.h,
                labeler=who,
                origin="person",
            )
            for (number, who), some in boxes.items()
            for k, box in enumerate(some)
        ),
        views=tuple(
            View(filename=f"{names[number]}.png", image_sha1=names[number], model="01L", labeler=who)
            for who, numbers in seen.items()
            for number in numbers
        ),
    )


def at(one: BoxAgreement, threshold: float) -> AtThreshold:
    return next(found for found in one.at if found.threshold == threshold)


def test_matches_are_the_best_of_all_matchings() -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        a, b = random_boxes(rng, 5), random_boxes(rng, 5)
        for threshold in (0.1, 0.3, 0.6):
            found = match(a, b, threshold)
            count, total = best_by_trying(a, b, threshold)
            assert len(found) == count
            assert math.fsum(value for *_, value in found) == pytest.approx(total, abs=1e-12)
            assert all(value == pytest.approx(a[i].iou(b[j])) and value >= threshold for i, j, value in found)
            assert len({i for i, *_ in found}) == len({j for _, j, _ in found}) == count


def test_two_loose_matches_win_over_a_tight_one() -> None:
    a = [Box(0, 0, 10, 10), Box(4, 0, 10, 10)]
    b = [Box(0, 0, 10, 10), Box(0, 0, 4, 10)]
    assert a[0].iou(b[0]) == 1
    assert {(i, j) for i, j, _ in match(a, b, 0.3)} == {(0, 1), (1, 0)}


def test_matching_does_not_depend_on_which_comes_first() -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        a, b = random_boxes(rng, 9), random_boxes(rng, 9)
        there, back = match(a, b, 0.25), match(b, a, 0.25)
        assert len(there) == len(back)
        assert math.fsum(v for *_, v in there) == pytest.approx(math.fsum(v for *_, v in back), abs=1e-12)


def test_matches_do_not_grow_with_the_threshold() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        a, b = random_boxes(rng, 9), random_boxes(rng, 9)
        counts = [len(match(a, b, threshold)) for threshold in (0.05, 0.1, 0.3, 0.5, 0.75, 1)]
        assert counts == sorted(counts, reverse=True)


def test_boxes_match_themselves_with_iou_1() -> None:
    boxes = [BOX, FAR, HALF]
    assert sorted(match(boxes, boxes, 1)) == [(0, 0, 1.0), (1, 1, 1.0), (2, 2, 1.0)]
    assert match(boxes, [], 0.5) == match([], boxes, 0.5) == match([], [], 0.5) == ()


def test_a_threshold_is_reached_at_exactly_its_value() -> None:
    assert match([BOX], [HALF], 0.5) == ((0, 0, 0.5),)
    assert match([BOX], [HALF], math.nextafter(0.5, 1)) == ()


@pytest.mark.parametrize("threshold", [0, -0.1, 1.01, math.nan])
def test_a_threshold_outside_of_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        match([BOX], [BOX], threshold)


def test_figures_of_a_small_case_by_hand() -> None:
    drawn = {(0, "ann"): [BOX, FAR], (0, "bob"): [HALF], (1, "ann"): [BOX], (1, "bob"): [BOX], (2, "bob"): [FAR]}
    drawn |= {(4, "ann"): [BOX]}
    (one,) = box_agreement(material(drawn, 6, {"ann": range(5), "bob": (0, 1, 2, 3, 5)}), resamples=200)
    # 0 to 3 were seen by both; 4 and 5 by one of them.
    assert (one.first, one.second, one.images, one.photographs) == ("ann", "bob", 4, 4)
    assert (one.both_empty, one.one_empty, one.boxes_first, one.boxes_second) == (1, 1, 3, 3)
    assert (at(one, 0.5).matched, at(one, 0.5).f1.value) == (2, 4 / 6)
    assert (at(one, 0.75).matched, at(one, 0.75).f1.value) == (1, 2 / 6)
    assert at(one, 0.5).mean_iou.value == 0.75
    assert at(one, 0.75).mean_iou.value == 1
    interval = at(one, 0.5).f1.interval
    assert interval is not None and interval[0] is not None and interval[1] is not None
    assert 0 <= interval[0] < 4 / 6 < interval[1] <= 1


def test_shares_that_are_hit_follow_the_rule_of_records() -> None:
    rng = np.random.default_rng(3)
    # One draws small boxes too, which the other's are too large to hit: the two shares differ.
    drawn = {
        (number, who): [Box(*map(int, rng.integers(0, 60, 2)), *map(int, rng.integers(least, 30, 2))) for _ in range(4)]
        for number in range(30)
        for who, least in (("ann", 2), ("bob", 20))
    }
    (one,) = box_agreement(material(drawn, 30, {"ann": range(30), "bob": range(30)}), resamples=50)

    def share(labels: str, findings: str) -> float:
        verdicts = [
            any(is_hit(finding, label) for finding in drawn[number, findings])
            for number in range(30)
            for label in drawn[number, labels]
        ]
        return sum(verdicts) / len(verdicts)

    assert one.hit_first.value == share("ann", "bob")
    assert one.hit_second.value == share("bob", "ann")
    assert 0.1 < share("bob", "ann") < share("ann", "bob") < 0.9


def test_without_boxes_nothing_is_defined() -> None:
    (one,) = box_agreement(material({}, 3, {"ann": range(3), "bob": range(3)}))
    assert (one.images, one.both_empty, one.one_empty) == (3, 3, 0)
    assert all(found.f1.value is None and found.mean_iou.value is None for found in one.at)
    assert one.hit_first.value is None and one.hit_second.value is None


def test_without_a_match_f1_is_0_and_the_mean_iou_undefined() -> None:
    drawn = {(number, who): [box] for number in range(4) for who, box in (("ann", BOX), ("bob", FAR))}
    (one,) = box_agreement(material(drawn, 4, {"ann": range(4), "bob": range(4)}))
    assert at(one, 0.1).f1.value == 0 and at(one, 0.1).mean_iou.value is None


def test_without_an_image_in_common_nothing_is_defined() -> None:
    (one,) = box_agreement(material({(0, "ann"): [BOX]}, 2, {"ann": (0,), "bob": (1,)}))
    assert (one.images, one.boxes_first) == (0, 0)
    assert at(one, 0.5).f1.value is None and at(one, 0.5).f1.interval is None


def test_one_photograph_has_no_interval_and_one_labeler_no_row() -> None:
    drawn = {(0, "ann"): [BOX], (0, "bob"): [BOX]}
    (one,) = box_agreement(material(drawn, 1, {"ann": (0,), "bob": (0,)}))
    assert (at(one, 0.5).f1.value, at(one, 0.5).f1.interval) == (1, None)
    assert box_agreement(material({(0, "ann"): [BOX]}, 1, {"ann": (0,)})) == ()


def test_reconstructions_of_one_photograph_are_drawn_together() -> None:
    single = simulated(images=30, models=("01L",), labelers=("ann", "bob"), seed=4)
    twin = replace(
        single,
        images=(*single.images, *(replace(row, model="02L") for row in single.images)),
        annotations=(*single.annotations, *(replace(row, model="02L") for row in single.annotations)),
        views=(*(single.views or ()), *(replace(row, model="02L") for row in single.views or ())),
    )
    (once,), (twice,) = box_agreement(single, resamples=300), box_agreement(twin, resamples=300)
    assert (twice.images, twice.photographs) == (2 * once.images, once.photographs)
    # The same again is no further evidence: the interval stays as wide.
    assert at(twice, 0.25).f1 == at(once, 0.25).f1
    assert (at(twice, 0.25).matched, twice.boxes_first) == (2 * at(once, 0.25).matched, 2 * once.boxes_first)


def test_every_two_labelers_are_compared_and_agree_as_the_labels_are_turned_round() -> None:
    made = simulated(images=12, labelers=("cem", "ann", "net"), detectors=("net",), unseen=0.2, seed=5)
    rows = box_agreement(made, resamples=50)
    assert [(one.first, one.second) for one in rows] == [("ann", "cem"), ("ann", "net"), ("cem", "net")]
    swapped = {"ann": "cem", "cem": "ann"}
    turned = replace(
        made,
        annotations=tuple(replace(one, labeler=swapped.get(one.labeler, one.labeler)) for one in made.annotations),
        views=tuple(replace(one, labeler=swapped.get(one.labeler, one.labeler)) for one in made.views or ()),
    )
    other = box_agreement(turned, resamples=50)[0]
    for one, two in zip(rows[0].at, other.at, strict=True):
        assert (one.matched, one.f1) == (two.matched, two.f1)
        assert one.mean_iou.value == pytest.approx(two.mean_iou.value)
    assert (other.hit_first, other.hit_second) == (rows[0].hit_second, rows[0].hit_first)


def test_more_boxes_than_can_be_matched_are_refused_by_name() -> None:
    boxes = [Box(0, 0, 5, 5)] * (MOST_BOXES + 1)
    made = material({(0, "ann"): [BOX], (0, "net"): boxes}, 1, {"ann": (0,), "net": (0,)})
    with pytest.raises(UsageError, match="net has 2001 boxes in 01L"):
        box_agreement(made)


def test_the_table_has_a_row_for_every_threshold_and_only_its_columns() -> None:
    table = boxes_table(box_agreement(simulated(images=6, seed=6), resamples=50))
    assert len(table.rows) == 3 * 4
    assert all(set(row) == {column.key for column in table.columns} for row in table.rows)
    first = table.rows[0]
    assert first["f1"].n == sum(int(first[key].value or 0) for key in ("boxes_first", "boxes_second"))
