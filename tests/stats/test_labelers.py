"""Labelers one by one, and their agreement as a table."""

from __future__ import annotations

from handmade import box, image, material, view
from labelled import simulated, theoretical_alpha

from miscomp.stats.agreement import agree
from miscomp.stats.counted import count
from miscomp.stats.labelers import agreement_table, labeler_table

PLACE = (0, 0, 10, 10)


def test_each_labeler_is_counted_with_all_that_the_labeler_saw() -> None:
    images = [image(number, "x") for number in range(4)]
    boxes = [box(0, "x", PLACE, "ann"), box(0, "x", (20, 20, 5, 5), "ann"), box(1, "x", PLACE, "bob")]
    views = [view(0, "x", "ann"), view(1, "x", "ann"), view(1, "x", "bob"), view(2, "x", "cem")]

    rows = {row["labeler"].value: row for row in labeler_table(count(material(images, boxes, views))).rows}

    assert list(rows) == ["ann", "bob", "cem"]
    assert [rows["ann"][key].value for key in ("viewed", "shared", "annotated", "share_annotated", "boxes")] == [
        2,
        1,
        1,
        0.5,
        2,
    ]
    assert [rows["cem"][key].value for key in ("viewed", "shared", "share_annotated", "boxes")] == [1, 0, 0, 0]


def test_without_views_what_a_labeler_saw_is_undefined() -> None:
    found = count(material([image(0, "x")], [box(0, "x", PLACE)], None))

    (row,) = labeler_table(found).rows

    assert row["viewed"].value is row["share_annotated"].value is None
    assert row["boxes"].value == 1
    assert agreement_table(found, resamples=10, seed=0) is None


def test_the_table_of_agreement_says_what_agree_says_and_holds_the_theoretical_alpha() -> None:
    found = simulated(60, per_side=4, prevalence=0.2, error=0.1, models=("01L",))

    table = agreement_table(count(found), resamples=400, seed=3)
    expected = agree(found, resamples=400, seed=3).rows

    assert table is not None
    assert [row["per_side"].value for row in table.rows] == [1, 2, 4, 8, 16]
    for row, one in zip(table.rows, expected, strict=True):
        assert (row["n"].value, row["c_total"].value, row["alpha"].value) == (
            one.n,
            one.cells.c_total.value,
            one.alpha.value,
        )
    alpha = table.rows[2]["alpha"]
    assert alpha.low is not None and alpha.high is not None
    assert alpha.low <= theoretical_alpha(0.2, 0.1) <= alpha.high


def test_labelers_who_share_nothing_have_no_agreement() -> None:
    images = [image(number, "x") for number in range(2)]
    found = material(images, [box(0, "x", PLACE)], [view(0, "x", "ann"), view(1, "x", "bob")])

    assert agreement_table(count(found), resamples=10, seed=0) is None
