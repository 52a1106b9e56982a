"""Shares of categories and symbols."""

from __future__ import annotations

import pytest
from handmade import box, image, material

from miscomp.report.summary import wilson
from miscomp.stats.counted import count
from miscomp.stats.kinds import kind_table

PLACE = (0, 0, 10, 10)


def test_a_box_counts_under_its_main_category_and_boxes_without_one_in_no_share() -> None:
    boxes = [
        box(0, "x", PLACE, category="SHAPE+AMPLITUDE", symbol=True),
        box(1, "x", PLACE, category="SHAPE"),
        box(2, "x", PLACE, category="GEOMETRY"),
        box(3, "x", PLACE),
    ]
    found = count(material([image(number, "x") for number in range(4)], boxes))

    (row,) = kind_table(found).rows

    assert (row["boxes"].value, row["without"].value) == (4, 1)
    assert [row[key].value for key in ("shape", "geometry", "amplitude")] == pytest.approx([2 / 3, 1 / 3, 0])
    assert row["shape"].n == 3
    assert (row["symbol"].value, row["symbol"].n) == (0.25, 4)
    assert (row["shape"].low, row["shape"].high) == wilson(2, 3).interval


def test_without_any_category_their_shares_are_undefined() -> None:
    (row,) = kind_table(count(material([image(0, "x")], [box(0, "x", PLACE)]))).rows

    assert row["shape"].value is None and row["shape"].n == 0
