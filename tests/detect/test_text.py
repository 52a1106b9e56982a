"""Pairs of drawn pictures whose words were changed on purpose; the oracle is what was drawn."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from miscomp.detect.reader import RapidReader
from miscomp.detect.text import text_changes
from miscomp.detect.words import Line, Quad, Word
from miscomp.images import Pixels
from miscomp.records import Box


def sign(*texts: str, blur: Box | None = None) -> Pixels:
    """A sign with one line of text per row of 60 pixels; the pixels in `blur` are blurred away."""
    picture = Image.new("RGB", (320, 60 * len(texts) + 20), (205, 205, 200))
    for row, text in enumerate(texts):
        ImageDraw.Draw(picture).text((40, 60 * row + 20), text, fill=(20, 20, 30), font=ImageFont.load_default(32))
    if blur:
        corners = (blur.x, blur.y, blur.right, blur.bottom)
        picture.paste(picture.crop(corners).filter(ImageFilter.GaussianBlur(9)), corners[:2])
    return np.asarray(picture)


def ink(pixels: Pixels, from_x: int) -> Box:
    ys, xs = np.nonzero(pixels[:, from_x:, 0] < 120)
    return Box(int(xs.min()) + from_x, int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)


@pytest.fixture(scope="module")
def reader() -> RapidReader:
    pytest.importorskip("rapidocr", reason="the extra 'text' is not installed")
    return RapidReader(threads=1)


def test_a_changed_digit_is_found_at_its_word(reader: RapidReader) -> None:
    original = sign("EXIT 42")
    result = text_changes(original, sign("EXIT 47"), reader)
    (change,) = result.changes
    assert (change.kind, change.before, change.after, change.distance) == ("changed", "42", "47", 1)
    assert (change.letters, change.box.contains(*ink(original, from_x=134).center)) == ("2", True)
    assert change.box.iou(ink(original, from_x=134)) > 0.5
    assert [word.text for word in result.original] == ["EXIT", "42"]
    assert [word.text for word in result.reconstruction] == ["EXIT", "47"]


def test_a_word_blurred_away_is_lost_and_the_other_way_round_it_appeared(reader: RapidReader) -> None:
    sharp, blurred = sign("EXIT", "Platform"), sign("EXIT", "Platform", blur=Box(20, 70, 280, 60))
    (lost,) = text_changes(sharp, blurred, reader).changes
    assert (lost.kind, lost.before) == ("lost", "Platform")
    (appeared,) = text_changes(blurred, sharp, reader).changes
    assert (appeared.kind, appeared.after) == ("appeared", "Platform")
    assert lost.box.iou(appeared.box) > 0.9


def test_identical_pictures_have_words_and_no_changes(reader: RapidReader) -> None:
    result = text_changes(sign("EXIT 42"), sign("EXIT 42"), reader)
    assert result.changes == ()
    assert result.original == result.reconstruction
    assert [word.text for word in result.original] == ["EXIT", "42"]


def test_mild_jpeg_changes_no_word(reader: RapidReader) -> None:
    original = sign("EXIT 42", "Platform")
    file = io.BytesIO()
    Image.fromarray(original).save(file, "JPEG", quality=95)
    result = text_changes(original, np.asarray(Image.open(file)), reader)
    assert not np.array_equal(original, np.asarray(Image.open(file)))
    assert result.changes == ()
    assert len(result.original) == 3


class ScriptedReader:
    """Reads one line; the given answers come in turn, the last one for ever. Counts how often it is asked."""

    def __init__(self, found: list[Line], answers: list[Word | None]) -> None:
        self.found = found
        self.answers = answers
        self.asked = 0

    def lines(self, pixels: Pixels) -> list[Line]:
        """The scripted lines for the original (which is all zero), none for the reconstruction."""
        return [] if pixels.any() else self.found

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        """The next answer."""
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        return (answer,) if answer else ()


ZERO, ONE = np.zeros((40, 200, 3), np.uint8), np.ones((40, 200, 3), np.uint8)
LINE_QUAD: Quad = ((8.0, 8.0), (88.0, 8.0), (88.0, 28.0), (8.0, 28.0))
EXIT, EDIT = Word("EXIT", Box(8, 8, 80, 20), 0.99), Word("EDIT", Box(8, 8, 80, 20), 0.99)


def test_a_word_that_a_harmless_change_of_the_original_alters_as_much_is_no_evidence() -> None:
    reader = ScriptedReader([Line(LINE_QUAD, (EXIT,))], [EDIT])
    assert text_changes(ZERO, ONE, reader).changes == ()
    assert reader.asked > 1


def test_a_word_that_one_kind_reading_of_the_reconstruction_restores_is_no_change() -> None:
    stable = ScriptedReader([Line(LINE_QUAD, (EXIT,))], [EDIT, *[EXIT] * 5, EDIT])
    (change,) = text_changes(ZERO, ONE, stable).changes
    assert (change.kind, change.before, change.after, change.box) == ("changed", "EXIT", "EDIT", EXIT.box)
    restored = ScriptedReader([Line(LINE_QUAD, (EXIT,))], [EDIT, *[EXIT] * 6, EDIT])
    assert text_changes(ZERO, ONE, restored).changes == ()


def test_a_word_that_is_read_the_same_is_asked_for_once() -> None:
    reader = ScriptedReader([Line(LINE_QUAD, (EXIT,))], [EXIT])
    assert text_changes(ZERO, ONE, reader).changes == ()
    assert reader.asked == 1


def test_lines_over_the_limit_are_counted_and_not_compared() -> None:
    weak = Word("NO", Box(100, 8, 40, 20), 0.9)
    lines = [Line(LINE_QUAD, (weak,)), Line(LINE_QUAD, (EXIT,))]
    reader = ScriptedReader(lines, [EXIT])
    result = text_changes(ZERO, ONE, reader, max_lines=1)
    assert (reader.asked, result.lines_skipped, result.changes) == (1, 1, ())
