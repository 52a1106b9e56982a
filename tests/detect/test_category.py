"""The category of a planted change; the oracle is what was planted (taxonomy, section III-B)."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from planted import BLACK, BLUE, RED, WHITE, Colour, arrow, lawn, moved, polygon, with_disc, with_polygon
from scipy import ndimage

from miscomp.detect.category import categorise
from miscomp.detect.cells import measure
from miscomp.images import Pixels
from miscomp.records import Box
from miscomp.taxonomy import Category, split_categories

CENTER = (100, 90)
BOX = Box(76, 66, 48, 48)
SQUARE = moved([(-14, -14), (14, -14), (14, 14), (-14, 14)], *CENTER)


def category(original: Pixels, reconstruction: Pixels, box: Box = BOX) -> str:
    return categorise(measure(original, reconstruction), box)[0]


def main(original: Pixels, reconstruction: Pixels, box: Box = BOX) -> Category:
    return split_categories(category(original, reconstruction, box))[0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("colour", [RED, WHITE, BLACK])
def test_a_thing_that_fades_away_or_appears_is_amplitude(colour: Colour, seed: int) -> None:
    bare = lawn(seed=seed)
    full = with_disc(bare, CENTER, 28, colour)
    assert main(full, bare) is Category.AMPLITUDE
    assert main(bare, full) is Category.AMPLITUDE


def test_another_colour_is_amplitude() -> None:
    bare = lawn()
    assert main(with_disc(bare, CENTER, 28, RED), with_disc(bare, CENTER, 28, BLUE)) is Category.AMPLITUDE


def test_lower_contrast_is_amplitude_alone() -> None:
    a = lawn(contrast=25)
    flat = a.astype(float).mean((0, 1))
    assert category(a, np.round(flat + 0.5 * (a - flat)).astype(np.uint8)) == "AMPLITUDE"


def test_blur_is_amplitude() -> None:
    a = lawn(contrast=25)
    assert main(a, np.round(ndimage.gaussian_filter(a.astype(float), (2, 2, 0))).astype(np.uint8)) is Category.AMPLITUDE


@pytest.mark.parametrize("shift", [(3, 0), (0, 3), (2, 2), (-3, 0), (6, 0)])
@pytest.mark.parametrize(
    "corners", [SQUARE, polygon(CENTER, 60, 16), arrow(CENTER, 48)], ids=["square", "disc", "arrow"]
)
def test_a_thing_that_moved_is_geometry(corners: list[tuple[float, float]], shift: tuple[int, int]) -> None:
    bare = lawn()
    before, after = with_polygon(bare, corners, WHITE), with_polygon(bare, moved(corners, *shift), WHITE)
    assert main(before, after) is Category.GEOMETRY


def test_a_picture_that_moved_is_geometry_alone_and_says_how_far() -> None:
    canvas = lawn(200, 208, contrast=25)
    name, evidence = categorise(measure(canvas[:, :200], canvas[:, 4:204]), BOX)
    assert name == "GEOMETRY"
    assert evidence.numbers["displacement_px"] == pytest.approx(4, abs=0.1)
    assert "moved by about 4.0 pixels" in evidence.words


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("colour", [RED, WHITE, BLACK])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (SQUARE, polygon(CENTER, 60, 28 / math.sqrt(math.pi))),
        (polygon(CENTER, 60, 14), polygon(CENTER, 3, 14 * math.sqrt(4 * math.pi / 27**0.5))),
        (SQUARE, polygon(CENTER, 4, 14 * math.sqrt(2))),
        (arrow(CENTER, 40), arrow(CENTER, 40, mirrored=True)),
    ],
    ids=["square becomes disc", "disc becomes triangle", "square turns", "arrow is mirrored"],
)
def test_a_thing_of_equal_area_and_another_contour_is_shape(
    before: list[tuple[float, float]], after: list[tuple[float, float]], colour: Colour, seed: int
) -> None:
    bare = lawn(seed=seed)
    assert main(with_polygon(bare, before, colour), with_polygon(bare, after, colour)) is Category.SHAPE


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (64, 64)])
def test_no_difference_still_has_a_name_and_no_score(size: tuple[int, int]) -> None:
    flat = np.full((*size, 3), 90, np.uint8)
    name, evidence = categorise(measure(flat, flat), Box(0, 0, size[1], size[0]))
    assert name in tuple(Category) and evidence.value == 0


def test_the_numbers_are_plain_finite_and_name_every_category() -> None:
    bare = lawn()
    _, evidence = categorise(measure(with_disc(bare, CENTER, 28), bare), BOX)
    assert {f"score_{c.value.lower()}" for c in Category} < set(evidence.numbers)
    assert all(type(value) is float and math.isfinite(value) for value in evidence.numbers.values())
    assert json.loads(json.dumps(evidence.numbers)) == evidence.numbers
    assert type(evidence.value) is float and evidence.words
