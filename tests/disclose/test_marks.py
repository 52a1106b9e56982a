"""Marks on pictures: readable on any ground, over no finding, and never on the picture that came in."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from miscomp.disclose.icon import draw_icon, icon_svg, shapes
from miscomp.disclose.marks import LEAST_WIDTH, NoRoom, Style, draw_mark
from miscomp.disclose.plates import GROUND, INK, LEAST_SIZE, broken, font, letter_size
from miscomp.disclose.sources import picture_of
from miscomp.disclose.statement import Codec, Coding, Detector, Place, Statement
from miscomp.disclose.wording import languages
from miscomp.errors import UnknownName, UsageError
from miscomp.images import Pixels

HEIGHT, WIDTH = 300, 400


def ground(kind: str, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """A bright sky, a night, or noise with hard edges."""
    if kind == "busy":
        return np.random.default_rng(1).choice(np.array([0, 90, 255], np.uint8), (height, width, 3))
    low = {"light": 225, "dark": 0}[kind]
    return np.broadcast_to(np.linspace(low, low + 30, width)[None, :, None], (height, width, 3)).astype(np.uint8)


def told(pixels: Pixels, *places: Place, findings: int | None = None) -> Statement:
    return Statement(
        codec=Codec(name="hific", kind=Coding.GENERATIVE),
        picture=picture_of(pixels),
        compared=True,
        detector=Detector(name="fused"),
        findings=len(places) if findings is None else findings,
        places=places,
        risk=0.42,
        risk_form="miscomp-risk-1",
    )


def luminance(pixels: Pixels) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """WCAG 2, relative luminance of sRGB."""
    value = pixels / 255.0
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ np.array([0.2126, 0.7152, 0.0722]))


def contrast(one: float, other: float) -> float:
    low, high = sorted((float(one), float(other)))
    return (high + 0.05) / (low + 0.05)


def changed(before: Pixels, after: Pixels) -> tuple[slice, slice]:
    """The smallest window that holds all that differs."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


@pytest.mark.parametrize("kind", ["light", "dark", "busy"])
@pytest.mark.parametrize("scale", [1, 5])
def test_the_strip_leaves_every_pixel_and_can_be_read(kind: str, scale: int) -> None:
    pixels = ground(kind, HEIGHT * scale, WIDTH * scale)
    marked = draw_mark(pixels, told(pixels))
    assert np.array_equal(marked[: HEIGHT * scale], pixels)
    assert 0.03 < marked.shape[0] / (HEIGHT * scale) - 1 < 0.2
    bright = luminance(marked[HEIGHT * scale :])
    # The line that parts it from the picture, then dark letters on a white ground.
    assert contrast(bright[0].max(), np.median(bright)) >= 4.5
    letters = bright[:, WIDTH * scale // 4 :]
    assert (letters < 0.1).mean() > 0.02
    assert contrast(np.quantile(letters[2:], 0.01), np.median(letters)) >= 4.5


@pytest.mark.parametrize("kind", ["light", "dark", "busy"])
def test_a_corner_mark_stands_out_on_any_ground(kind: str) -> None:
    pixels = ground(kind)
    marked = draw_mark(pixels, told(pixels), style=Style.CORNER)
    assert marked.shape == pixels.shape
    window = changed(pixels, marked)
    plate = luminance(marked[window])
    assert contrast(np.quantile(plate[2:-2, 2:-2], 0.01), np.median(plate)) >= 4.5
    # Around it: the border or the ground inside it has 4.5 : 1 to each of the pixels beside the plate.
    beside = luminance(pixels[window[0].start - 1, window[1]])
    edge, inside = luminance(np.array([[INK, GROUND]], np.uint8))[0]
    assert min(max(contrast(one, edge), contrast(one, inside)) for one in beside) >= 4.5
    assert 0.02 < plate.size / pixels[..., 0].size < 0.12


def test_no_colour_hides_both_border_and_plate() -> None:
    grey = luminance(np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2))[0]
    assert min(max(contrast(one, 0), contrast(one, 1)) for one in grey) >= 4.5


@pytest.mark.parametrize("style", Style)
def test_the_picture_that_came_in_is_not_touched(style: Style) -> None:
    pixels = ground("busy")
    before = pixels.copy()
    pixels.setflags(write=False)
    draw_mark(pixels, told(pixels, Place(x=5, y=5, w=30, h=20)), style=style, boxes=True)
    assert np.array_equal(pixels, before)


@st.composite
def some_places(draw: st.DrawFn) -> tuple[Place, ...]:
    found = []
    for _ in range(draw(st.integers(0, 6))):
        x, y = draw(st.integers(0, WIDTH - 1)), draw(st.integers(0, HEIGHT - 1))
        w, h = draw(st.integers(1, min(90, WIDTH - x))), draw(st.integers(1, min(90, HEIGHT - y)))
        found.append(Place(x=x, y=y, w=w, h=h, category="SHAPE", symbol=draw(st.booleans())))
    return tuple(found)


@settings(max_examples=40, deadline=None)
@given(some_places(), st.sampled_from([Style.STRIP, Style.CORNER]), st.booleans())
def test_the_pixels_of_findings_are_bit_identical(places: tuple[Place, ...], style: Style, boxes: bool) -> None:
    pixels = ground("busy")
    try:
        marked = draw_mark(pixels, told(pixels, *places), style=style, boxes=boxes)
    except NoRoom:
        assert style == Style.CORNER
        return
    for one in places:
        where = (slice(one.y, one.y + one.h), slice(one.x, one.x + one.w))
        assert np.array_equal(marked[where], pixels[where])


def test_outlines_run_around_a_finding_and_carry_its_category() -> None:
    pixels = ground("light")
    place = Place(x=150, y=100, w=40, h=30, category="SHAPE+AMPLITUDE", symbol=True)
    marked = draw_mark(pixels, told(pixels, place), boxes=True)[:HEIGHT]
    around = [marked[99, 150:190], marked[130, 150:190], marked[100:130, 149], marked[100:130, 190]]
    assert all((line == INK).all() for line in around)
    assert (marked[98, 149:191] == GROUND).all() and (marked[131, 149:191] == GROUND).all()
    plain = draw_mark(pixels, told(pixels, place.model_copy(update={"category": "", "symbol": False})), boxes=True)
    assert not np.array_equal(plain[:HEIGHT], marked)
    german = draw_mark(pixels, told(pixels, place), boxes=True, language="de")[:HEIGHT]
    assert not np.array_equal(german, marked)
    without = draw_mark(pixels, told(pixels, place))[:HEIGHT]
    assert np.array_equal(without, pixels)


def test_a_corner_mark_takes_the_first_free_corner() -> None:
    pixels = ground("dark")
    bottom = Place(x=0, y=HEIGHT - 20, w=WIDTH, h=10)
    free = draw_mark(pixels, told(pixels), style=Style.CORNER)
    moved = draw_mark(pixels, told(pixels, bottom), style=Style.CORNER)
    assert changed(pixels, free)[0].start > HEIGHT / 2 > changed(pixels, moved)[0].stop
    assert changed(pixels, free)[1].start > WIDTH / 4


def test_a_corner_mark_that_would_hide_a_finding_is_refused() -> None:
    pixels = ground("dark")
    everywhere = [Place(x=x, y=y, w=30, h=30) for x in (10, 360) for y in (10, 260)]
    with pytest.raises(NoRoom, match=r"every corner of the picture has a finding.*use a strip"):
        draw_mark(pixels, told(pixels, *everywhere), style=Style.CORNER)
    with pytest.raises(NoRoom, match="only 1 of 9 findings have a place"):
        draw_mark(pixels, told(pixels, everywhere[0], findings=9), style=Style.CORNER)
    with pytest.raises(NoRoom, match="use a strip without boxes"):
        draw_mark(pixels, told(pixels, everywhere[0], findings=9), boxes=True)
    small = ground("dark", 40, 60)
    with pytest.raises(NoRoom, match="60 x 40 pixels is too small"):
        draw_mark(small, told(small), style=Style.CORNER)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (3, 900), (900, 3), (60, 60)])
@pytest.mark.parametrize("language", languages())
def test_every_size_has_a_strip(height: int, width: int, language: str) -> None:
    pixels = ground("busy", height, width)
    marked = draw_mark(pixels, told(pixels, Place(x=0, y=0, w=1, h=1)), language=language, boxes=True)
    assert marked.shape[1] == max(width, LEAST_WIDTH)
    assert marked[0, 0].tolist() == pixels[0, 0].tolist()
    assert (marked[height + 3 :] < 128).all(axis=2).any()


def test_a_statement_of_another_picture_is_refused() -> None:
    pixels = ground("light")
    other = ground("busy")
    with pytest.raises(UsageError, match="of other pixels"):
        draw_mark(other, told(pixels))
    with pytest.raises(UsageError, match="400 x 300 pixels, this one has 399 x 300"):
        draw_mark(other[:, :-1], told(pixels))
    with pytest.raises(UnknownName):
        draw_mark(pixels, told(pixels), language="tlh")


def test_boxes_alone_leave_the_size_and_nothing_to_draw_is_refused() -> None:
    pixels = ground("dark")
    said = told(pixels, Place(x=150, y=100, w=40, h=30))
    marked = draw_mark(pixels, said, style="none", boxes=True)
    assert np.array_equal(marked, draw_mark(pixels, said, boxes=True)[:HEIGHT])
    with pytest.raises(UsageError, match="draws nothing"):
        draw_mark(pixels, said, style="none")
    with pytest.raises(UsageError, match="no style 'stripe' of marks; there are strip, corner, none"):
        draw_mark(pixels, said, style="stripe")


def test_letters_grow_with_the_picture_and_lines_fit() -> None:
    assert letter_size(1, 1) == letter_size(400, 300) == LEAST_SIZE
    assert letter_size(4000, 3000) == 104
    text = broken(("a few words and Donaudampfschifffahrtsgesellschaft",), 11, 90)
    assert all(font(11).getlength(line) <= 90 for line in text.lines)
    assert "".join(text.lines).replace(" ", "") == "afewwordsandDonaudampfschifffahrtsgesellschaft"


def test_the_icon_s_shapes_are_all_read_and_fill_its_square() -> None:
    assert len(shapes()) == icon_svg().count("<path") >= 5
    assert all(0 <= value <= 32 for _, corners in shapes() for corner in corners for value in corner)
    assert all(len(corners) >= 4 for _, corners in shapes())


def test_the_icon_keeps_its_parts_at_16_pixels() -> None:
    icon = draw_icon(16)
    dark = luminance(icon) < 0.18
    assert dark[6:10, 1:3].any() and dark[14, 2:12].all()  # the frame
    assert dark[5:12, 5:9].sum() >= 6  # the question
    red = (icon[..., 0].astype(int) - icon[..., 2]) > 90
    assert red[1:7, 10:15].sum() >= 8 and not red[8:].any()  # the spark
    with pytest.raises(ValueError, match="at least 8 pixels"):
        draw_icon(7)


def test_the_font_comes_with_its_licence() -> None:
    assert font(12).getname()[0] == "DejaVu Sans"
    assert "Bitstream" in (files("miscomp.disclose") / "assets" / "label-font-LICENSE.txt").read_text(encoding="utf-8")
    assert isinstance(Image.fromarray(draw_icon(64)), Image.Image)
