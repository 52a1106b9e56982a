"""Boxes into tiles. Oracles: cases by hand, exact fractions tile by tile, and simulated labelers whose ratings follow
from how they were drawn."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from labelled import simulated
from planned import sha1_of

from miscomp.errors import InputError, UsageError
from miscomp.records import Annotation, Box, ImageRow, View
from miscomp.stats.material import Material
from miscomp.stats.units import MAX_SIDE, Rule, common, rate


def drawn(box: Box, labeler: str = "ann", number: int = 0, **values: str) -> Annotation:
    place = {"x": box.x, "y": box.y, "w": box.w, "h": box.h}
    fields = {"model": "01L", "origin": "simulated", "image_sha1": sha1_of(number), "filename": "a.png", **values}
    return Annotation(id=f"{number}-{box.hash8}", labeler=labeler, **place, **fields)  # type: ignore[arg-type]


def material(
    *boxes: Annotation, size: tuple[int, int] = (100, 100), images: int = 1, labelers: tuple[str, ...] = ("ann", "bob")
) -> Material:
    rows = tuple(
        ImageRow(filename="a.png", image_sha1=sha1_of(number), model="01L", width=size[0], height=size[1])
        for number in range(images)
    )
    return Material(images=rows, annotations=boxes, views=None, also=labelers)


def tiles_of(box: Box, per_side: int, rule: str, size: tuple[int, int] = (100, 100)) -> list[int]:
    rated = rate(material(drawn(box), size=size), per_side, rule)
    found = np.flatnonzero(rated.ratings.values[:, 0] == 1).tolist()
    assert rated.unassigned == 1 - len(found)
    assert not rated.ratings.values[:, 1].any(), "the other labeler drew nothing"
    return found


@pytest.mark.parametrize(
    ("box", "majority", "largest"),
    [
        (Box(10, 10, 20, 20), [0], [0]),
        (Box(60, 10, 20, 20), [1], [1]),
        (Box(10, 60, 20, 20), [2], [2]),
        (Box(0, 0, 100, 100), [], [0]),  # a quarter in each
        (Box(40, 10, 20, 20), [], [0]),  # half and half: not more than half
        (Box(39, 10, 20, 20), [0], [0]),  # 11 of 20
        (Box(41, 10, 20, 20), [1], [1]),
        (Box(44, 44, 20, 20), [], [3]),  # 6 and 14 of 20: 49 % in the last
        (Box(45, 45, 20, 20), [3], [3]),  # 15 and 15 of 20: 56 %
        (Box(99, 99, 1, 1), [3], [3]),
        (Box(50, 50, 1, 1), [3], [3]),
        (Box(49, 49, 1, 1), [0], [0]),
    ],
)
def test_a_box_makes_the_tile_annotated_that_holds_more_than_half_of_it(
    box: Box, majority: list[int], largest: list[int]
) -> None:
    assert tiles_of(box, 2, "majority") == majority
    assert tiles_of(box, 2, "largest") == largest


def test_with_one_unit_an_image_every_box_counts() -> None:
    assert tiles_of(Box(3, 4, 5, 6), 1, "majority") == [0]


def test_borders_between_pixels_are_exact() -> None:
    # 5 pixels in 2 tiles: the border is at 2.5, so the pixel 2..3 is halved and 2..5 has 2.5 of 3 in the second.
    assert tiles_of(Box(2, 0, 1, 1), 2, "majority", size=(5, 2)) == []
    assert tiles_of(Box(2, 0, 1, 1), 2, "largest", size=(5, 2)) == [0]
    assert tiles_of(Box(2, 0, 3, 1), 2, "majority", size=(5, 2)) == [1]


def by_fractions(box: Box, per_side: int, rule: str, size: tuple[int, int]) -> list[int]:
    """The definition, tile by tile."""
    shares = []
    for row in range(per_side):
        for column in range(per_side):
            sides = []
            for begin, length, index, total in ((box.x, box.w, column, size[0]), (box.y, box.h, row, size[1])):
                left, right = Fraction(index * total, per_side), Fraction((index + 1) * total, per_side)
                sides.append(max(min(right, Fraction(begin + length)) - max(left, Fraction(begin)), Fraction(0)))
            shares.append(sides[0] * sides[1] / box.area)
    assert sum(shares) == 1
    if rule == "majority":
        return [number for number, share in enumerate(shares) if share > Fraction(1, 2)]
    return [shares.index(max(shares))]


@pytest.mark.parametrize("rule", Rule)
@pytest.mark.parametrize("per_side", [1, 2, 3, 4, 7, 8])
def test_tiles_are_those_of_the_definition(per_side: int, rule: Rule) -> None:
    rng = np.random.default_rng(per_side)
    size = (61, 37)
    for _ in range(40):
        x, y = int(rng.integers(0, 61)), int(rng.integers(0, 37))
        box = Box(x, y, int(rng.integers(1, 62 - x)), int(rng.integers(1, 38 - y)))
        assert tiles_of(box, per_side, rule, size) == by_fractions(box, per_side, rule, size), box


def test_more_tiles_than_pixels_work_too() -> None:
    # Tiles of half a pixel: four of them hold a quarter of the box each.
    assert tiles_of(Box(1, 1, 1, 1), 8, "majority", size=(4, 4)) == []
    assert tiles_of(Box(1, 1, 1, 1), 8, "largest", size=(4, 4)) == [18]


def test_two_boxes_in_one_tile_are_one_rating_and_unassigned_ones_are_counted() -> None:
    boxes = [drawn(Box(1, 1, 5, 5)), drawn(Box(20, 20, 5, 5)), drawn(Box(40, 40, 20, 20), "bob")]
    rated = rate(material(*boxes), 2)
    assert rated.ratings.values.tolist() == [[1, 0], [0, 0], [0, 0], [0, 0]]
    assert (rated.boxes, rated.unassigned, rated.tiles) == (3, 1, 4)
    assert rate(material(*boxes), 2, "largest").unassigned == 0


def test_images_count_that_two_have_seen_and_who_has_not_is_missing_there() -> None:
    seen = [("ann", 0), ("bob", 0), ("cem", 0), ("ann", 1), ("bob", 1), ("ann", 2)]
    views = tuple(View(filename="a.png", image_sha1=sha1_of(number), model="01L", labeler=who) for who, number in seen)
    boxes = [drawn(Box(0, 0, 9, 9), "bob", 1), drawn(Box(0, 0, 9, 9), "ann", 2)]
    given = replace(material(*boxes, images=4), views=views)
    found = common(given)
    assert found.labelers == ("ann", "bob", "cem")
    assert [sha1 for sha1, _ in found.images] == [sha1_of(0), sha1_of(1)]
    assert (found.alone, found.unseen, found.alone_boxes) == (1, 1, 1)
    rated = rate(given, 2)
    assert rated.ratings.values.tolist() == [[0, 0, 0]] * 4 + [[0, 1, -1]] + [[0, 0, -1]] * 3
    assert rated.ratings.image.tolist() == [0] * 4 + [1] * 4
    assert rate(given, 1, labelers=("cem", "bob")).ratings.values.tolist() == [[0, 0]], "bob and cem share one"


def test_a_labeler_who_is_named_and_drew_nothing_has_seen_everything_where_no_views_are_given() -> None:
    rated = rate(material(drawn(Box(0, 0, 9, 9))), 1, labelers=("ann", "bob"))
    assert rated.ratings.values.tolist() == [[1, 0]]


def test_simulated_labelers_are_rated_as_they_were_drawn() -> None:
    made = simulated(20, per_side=4, seed=3, unseen=0.2)
    rated = rate(made, 4)
    assert rated.unassigned == 0
    expected = set()
    for one in made.annotations:  # the tile of the box's centre
        column, row = int(one.box.center[0] * 4 // 640), int(one.box.center[1] * 4 // 480)
        expected.add((one.image_sha1, one.model, row * 4 + column, one.labeler))
    found = common(made)
    for unit, who in np.argwhere(rated.ratings.values == 1).tolist():
        expected.remove((*found.images[unit // 16], unit % 16, found.labelers[who]))
    counted = {pair for pair in found.images}
    assert not [one for one in expected if one[:2] in counted], "every box of an image that counts is in a tile"
    assert (rated.ratings.values == -1).any()


def test_reconstructions_of_a_photograph_are_drawn_together_wherever_they_stand_in_the_table() -> None:
    made = simulated(3, per_side=2, models=("01L", "02L"))
    mixed = replace(made, images=made.images[::2] + made.images[1::2])
    found = common(mixed)
    assert [number for number in found.photograph] == [0, 0, 1, 1, 2, 2]
    assert [model for _, model in found.images] == ["01L", "02L"] * 3
    rated = rate(mixed, 2)
    assert rated.ratings.images == 3
    assert np.array_equal(rated.ratings.values, rate(made, 2).ratings.values)


def test_nothing_seen_by_two_is_no_units() -> None:
    rated = rate(material(images=2, labelers=("ann",)), 4)
    assert rated.ratings.values.shape == (0, 1)
    assert common(material(images=2, labelers=("ann",))).alone == 2
    assert common(material(images=2, labelers=())).unseen == 2


def test_ten_thousand_images_of_256_tiles_take_seconds() -> None:
    # 30,000 boxes; what takes long is the records, not the tiles.
    boxes = tuple(drawn(Box(number % 90, number % 80, 9, 9), who, number) for number in range(10_000) for who in "abc")
    given = material(*boxes, images=10_000, labelers=())
    start = time.process_time()
    rated = rate(given, 16)
    assert time.process_time() - start < 5
    assert rated.ratings.values.shape == (2_560_000, 3)
    assert rated.unassigned + int((rated.ratings.values == 1).sum()) == 30_000


def test_requests_that_cannot_be_met_are_refused() -> None:
    given = material(drawn(Box(0, 0, 9, 9)))
    for wrong in (0, -1, 129):
        with pytest.raises(UsageError, match="1 to 128"):
            rate(given, wrong)
    with pytest.raises(UsageError, match="majority or largest"):
        rate(given, 2, "half")
    with pytest.raises(UsageError, match="fewer units per side"):
        rate(material(images=4000), 128)
    with pytest.raises(InputError, match="at most"):
        rate(material(size=(MAX_SIDE + 1, 1)), 2)


def test_the_largest_image_does_not_overflow() -> None:
    size = (MAX_SIDE, MAX_SIDE)
    assert tiles_of(Box(0, 0, *size), 128, "largest", size) == [0]
    assert tiles_of(Box(0, 0, *size), 128, "majority", size) == []
    assert tiles_of(Box(MAX_SIDE - 9, MAX_SIDE - 9, 9, 9), 128, "majority", size) == [128**2 - 1]
