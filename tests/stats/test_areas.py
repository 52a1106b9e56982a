"""Annotated pixels: the union of boxes, and the paper's sum."""

from __future__ import annotations

import time

import numpy as np
import pytest
from handmade import box, image, material

from miscomp.records import Box
from miscomp.stats.areas import annotated_areas, area_table, sum_area, union_area


def test_overlaps_count_once_in_the_union_and_twice_in_the_sum() -> None:
    boxes = [Box(0, 0, 10, 10), Box(5, 5, 10, 10)]

    assert union_area(boxes) == 175
    assert sum_area(boxes) == 200


@pytest.mark.parametrize(
    ("boxes", "area"),
    [
        ([], 0),
        ([Box(3, 4, 5, 6)], 30),
        ([Box(3, 4, 5, 6)] * 3, 30),
        ([Box(0, 0, 10, 10), Box(2, 2, 3, 3)], 100),
        ([Box(0, 0, 5, 5), Box(5, 0, 5, 5)], 50),
        ([Box(0, 0, 2, 2), Box(100, 100, 3, 3)], 13),
        ([Box(0, 4, 9, 1), Box(4, 0, 1, 9)], 17),
    ],
)
def test_the_union_of_boxes_by_hand(boxes: list[Box], area: int) -> None:
    assert union_area(boxes) == area


def test_the_union_is_the_number_of_pixels_that_a_mask_has() -> None:
    """Oracle: painting the boxes."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        mask = np.zeros((70, 90), dtype=bool)
        boxes = []
        for _ in range(int(rng.integers(2, 25))):
            x, y = int(rng.integers(0, 89)), int(rng.integers(0, 69))
            one = Box(x, y, int(rng.integers(1, 91 - x)), int(rng.integers(1, 71 - y)))
            mask[one.y : one.bottom, one.x : one.right] = True
            boxes.append(one)
        assert union_area(boxes) == mask.sum()


def test_boxes_of_a_hostile_table_take_neither_memory_nor_time() -> None:
    rng = np.random.default_rng(1)
    places = rng.integers(0, 2**40, (3000, 4))
    boxes = [Box(int(x), int(y), int(w) + 1, int(h) + 1) for x, y, w, h in places]
    start = time.perf_counter()

    assert 0 < union_area(boxes) < sum_area(boxes)
    assert time.perf_counter() - start < 5


def test_the_table_has_the_quartiles_of_both_shares_over_boxed_reconstructions() -> None:
    """By hand: shares of 1, 2 and 4 %; in the last, two boxes of 4 % lie on each other."""
    found = material(
        [image(number, "01L", bpp=0.1 * (number + 1)) for number in range(5)],
        [
            box(0, "01L", (0, 0, 10, 10)),
            box(1, "01L", (0, 0, 20, 10)),
            box(2, "01L", (0, 0, 20, 20)),
            box(2, "01L", (0, 0, 20, 20), id="another"),
        ],
    )

    (row,) = area_table(found).rows

    assert row["images"].value == 3
    assert [row[f"union_{which}"].value for which in ("q25", "median", "q75")] == pytest.approx([0.015, 0.02, 0.03])
    assert [row[f"sum_{which}"].value for which in ("q25", "median", "q75")] == pytest.approx([0.015, 0.02, 0.05])
    assert row["bpp"].value == pytest.approx(0.2)
    assert row["overlap"].value == pytest.approx(4 / 11)
    areas = annotated_areas(found)
    assert [one.sum_share for one in areas.values()] == pytest.approx([0.01, 0.02, 0.08])


def test_a_model_without_boxes_is_a_row_without_numbers() -> None:
    (row,) = area_table(material([image(0, "01L")])).rows

    assert row["images"].value == 0
    assert row["union_median"].value is None
    assert row["overlap"].value is None
