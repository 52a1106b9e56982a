"""Prevalence by real rate."""

from __future__ import annotations

from itertools import chain

import pytest
from handmade import box, image, material, view

from miscomp.report.summary import wilson
from miscomp.stats.counted import count
from miscomp.stats.prevalence import prevalence_table, rate_bins

PLACE = (0, 0, 10, 10)


def test_bins_have_the_same_borders_in_every_corpus() -> None:
    rates = [0.125, 0.1767, 0.25, 0.2499, 1.0, 3.0]
    images = [image(number, "x", bpp=rate) for number, rate in enumerate(rates)]
    found = count(material(images, views=[view(number, "x") for number in range(6)]))

    borders = [(one.low, one.high) for one in rate_bins(found) if one.codec == "x"]

    expected = [(0.125, 2**-2.5), (2**-2.5, 0.25), (0.25, 2**-1.5), (1, 2**0.5), (2**1.5, 4)]
    assert [*chain(*borders)] == pytest.approx([*chain(*expected)])
    assert all(one.low <= row.bpp < one.high for one in rate_bins(found) for row in one.rows if row.bpp is not None)


def test_the_share_of_a_bin_is_of_what_was_viewed() -> None:
    images = [image(number, name, bpp=0.3) for number in range(5) for name in ("01L", "02L")]
    views = [view(number, name) for number in range(4) for name in ("01L", "02L")]
    found = material(images, [box(0, "01L", PLACE), box(0, "02L", PLACE)], views, {"01L": "C1", "02L": "C2"})

    every, first, second = prevalence_table(count(found)).rows

    assert [row["codec"].value for row in (every, first, second)] == ["all", "C1", "C2"]
    assert (first["viewed"].value, first["share_annotated"].value) == (4, 0.25)
    assert (first["share_annotated"].low, first["share_annotated"].high) == wilson(1, 4).interval
    assert (every["viewed"].value, every["photographs"].value, every["share_annotated"].value) == (8, 4, 0.25)
    low, other = every["share_annotated"].low, wilson(2, 8).interval[0]
    assert low is not None and low < other


def test_unknown_rates_are_left_out_and_told() -> None:
    found = count(material([image(0, "x", bpp=None), image(1, "x")], views=[view(0, "x"), view(1, "x")]))

    table = prevalence_table(found)

    assert [row["viewed"].value for row in table.rows] == [1, 1]
    assert table.note.endswith("Left out because their rate is unknown: 1 viewed reconstruction.")
    assert prevalence_table(count(material([image(0, "x")], [box(0, "x", PLACE)]))).rows == ()
