"""Shapes of drawn letters; the oracle is which letter was drawn otherwise."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from miscomp.detect.shapes import Shape, compare_shapes
from miscomp.detect.words import Quad
from miscomp.images import Pixels

CELL, HEIGHT = 16, 30
COUNT = 6
QUAD: Quad = ((10.0, 5.0), (10.0 + CELL * COUNT, 5.0), (10.0 + CELL * COUNT, 5.0 + HEIGHT), (10.0, 5.0 + HEIGHT))
EXTENTS = [(k / COUNT, (k + 1) / COUNT) for k in range(COUNT)]


def drawn(text: str, *, shift: int = 0) -> Pixels:
    """Six letters, each in a cell of its own."""
    picture = Image.new("RGB", (CELL * COUNT + 20, HEIGHT + 10), (205, 205, 200))
    for k, char in enumerate(text):
        place = (10 + CELL * k + CELL // 2 + shift, 5 + HEIGHT // 2)
        ImageDraw.Draw(picture).text(place, char, fill=(20, 20, 30), font=ImageFont.load_default(20), anchor="mm")
    return np.asarray(picture)


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def blurred(pixels: Pixels) -> Pixels:
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(1.2)))


def shapes(before: Pixels, after: Pixels) -> list[Shape]:
    found = [shape for shape in compare_shapes(before, after, QUAD, EXTENTS) if shape is not None]
    assert len(found) == COUNT
    return found


@pytest.mark.parametrize(("text", "at"), [("193475", 2), ("198475", 2), ("1B8375", 1), ("10E475", 2)])
@pytest.mark.parametrize("quality", [15, 60])
def test_a_replaced_letter_differs_more_than_all_others(text: str, at: int, quality: int) -> None:
    before = text[:at] + {"3": "8", "8": "6", "B": "8", "E": "F"}[text[at]] + text[at + 1 :]
    found = shapes(drawn(before), jpeg(drawn(text), quality))
    others = [shape for k, shape in enumerate(found) if k != at]
    assert found[at].difference > 2 * max(shape.difference for shape in others)
    assert found[at].ratio > 2 * max(shape.ratio for shape in others) and found[at].ratio > 3


def test_equal_pictures_have_no_difference() -> None:
    assert all(shape.difference == 0 for shape in shapes(drawn("198475"), drawn("198475")))


def test_a_shift_by_a_pixel_and_less_contrast_are_no_difference() -> None:
    faint = np.asarray(100 + 0.7 * (drawn("198475", shift=1).astype(np.float32) - 100)).astype(np.uint8)
    assert all(shape.difference < 0.1 and shape.ratio < 1.2 for shape in shapes(drawn("198475"), faint))


def test_blur_that_takes_all_letters_alike_makes_no_letter_stand_out() -> None:
    found = shapes(drawn("198475"), blurred(drawn("198475")))
    assert max(shape.ratio for shape in found) < 2


def test_a_letter_alone_is_weighed_against_a_usual_difference() -> None:
    (kept,) = compare_shapes(drawn("8     "), jpeg(drawn("8     "), 60), QUAD, EXTENTS[:1])
    (changed,) = compare_shapes(drawn("8     "), jpeg(drawn("3     "), 60), QUAD, EXTENTS[:1])
    assert kept is not None and changed is not None
    assert kept.ratio < 0.5 < 2 < changed.ratio


def test_a_line_without_contrast_has_no_shapes() -> None:
    flat = np.full((40, 120, 3), 200, np.uint8)
    assert compare_shapes(flat, drawn("198475"), QUAD, EXTENTS) == [None] * COUNT


@pytest.mark.parametrize("extent", [(-1.0, -0.5), (1.2, 1.5), (0.4, 0.4), (-0.2, 1.2)])
def test_extents_beyond_the_line_are_clipped(extent: tuple[float, float]) -> None:
    (shape,) = compare_shapes(drawn("198475"), drawn("193475"), QUAD, [extent])
    assert shape is not None and np.isfinite(shape.difference) and np.isfinite(shape.ratio)


def test_the_smallest_lines_can_be_compared() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(0, 255, (4, 5, 3), dtype=np.uint8) for _ in range(2))
    tiny: Quad = ((0.0, 0.0), (1.0, 0.0), (1.0, 4.0), (0.0, 4.0))
    assert len(compare_shapes(a, b, tiny, [(0.0, 1.0)])) == 1
