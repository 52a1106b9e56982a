"""Pictures of text drawn by Pillow; the oracle is the text that was drawn and where."""

import socket
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from miscomp.detect import reader as reader_module
from miscomp.detect.reader import RapidReader
from miscomp.errors import MissingExtra
from miscomp.images import Pixels
from miscomp.records import Box


def drawn(text: str, *, size: tuple[int, int], at: tuple[int, int], height: int = 32) -> tuple[Pixels, Box]:
    """A grey picture with dark text, and the box of its ink."""
    picture = Image.new("RGB", size, (205, 205, 200))
    ImageDraw.Draw(picture).text(at, text, fill=(20, 20, 30), font=ImageFont.load_default(height))
    pixels = np.asarray(picture)
    ys, xs = np.nonzero(pixels[..., 0] < 120)
    return pixels, Box(int(xs.min()), int(ys.min()), int(np.ptp(xs)) + 1, int(np.ptp(ys)) + 1)


@pytest.fixture(scope="module")
def reader() -> RapidReader:
    pytest.importorskip("rapidocr", reason="the extra 'text' is not installed")
    return RapidReader(threads=1)


def test_a_word_is_read_with_a_tight_box(reader: RapidReader) -> None:
    pixels, ink = drawn("Station", size=(320, 120), at=(90, 40))
    (word,) = reader.read(pixels)
    assert word.text == "Station"
    assert word.confidence > 0.9
    assert word.box.iou(ink) > 0.6


def test_words_of_a_line_get_their_own_boxes(reader: RapidReader) -> None:
    pixels, _ = drawn("EXIT", size=(320, 120), at=(40, 40))
    _, number = drawn("EXIT 42", size=(320, 120), at=(40, 40))
    both, _ = drawn("EXIT 42", size=(320, 120), at=(40, 40))
    exit_word, number_word = reader.read(both)
    assert (exit_word.text, number_word.text) == ("EXIT", "42")
    assert exit_word.box.right <= number_word.box.x + 3
    assert abs(number_word.box.right - number.right) < 10
    assert reader.read(pixels)[0].box.iou(exit_word.box) > 0.6


def test_reading_is_the_same_every_time(reader: RapidReader) -> None:
    pixels, _ = drawn("Platform 9", size=(320, 120), at=(40, 40))
    assert reader.lines(pixels) == reader.lines(pixels) == RapidReader(threads=1).lines(pixels)


def test_a_picture_without_text_has_no_words(reader: RapidReader) -> None:
    assert reader.read(np.full((90, 120, 3), 128, np.uint8)) == []


@pytest.mark.parametrize("shape", [(1, 1), (1, 40000), (40000, 1), (7, 33), (2000, 6)])
def test_the_smallest_and_thinnest_pictures_can_be_read(reader: RapidReader, shape: tuple[int, int]) -> None:
    assert reader.read(np.full((*shape, 3), 128, np.uint8)) == []


@pytest.mark.parametrize("turn", [1, 3])
def test_text_standing_on_its_side_is_read(reader: RapidReader, turn: int) -> None:
    pixels, _ = drawn("Station", size=(320, 120), at=(90, 40))
    assert [word.text for word in reader.read(np.rot90(pixels, turn).copy())] == ["Station"]


def test_a_region_is_read_without_searching(reader: RapidReader) -> None:
    pixels, ink = drawn("Station", size=(320, 120), at=(90, 40))
    x, y, right, bottom = ink.x - 4, ink.y - 4, ink.right + 4, ink.bottom + 4
    (word,) = reader.read_region(pixels, ((x, y), (right, y), (right, bottom), (x, bottom)))
    assert word.text == "Station"
    assert reader.read_region(pixels, ((0, 0), (60, 0), (60, 20), (0, 20))) == ()


def test_text_that_crosses_the_border_of_tiles_is_read_once(
    reader: RapidReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "_VIEW_PIXELS", 20_000)
    monkeypatch.setattr(reader_module, "_TILE", 320)
    monkeypatch.setattr(reader_module, "_TILE_OVERLAP", 200)
    pixels, ink = drawn("Station", size=(560, 120), at=(240, 40))
    views = [view for view, scale in reader_module._views(560, 120) if scale == 1.0]
    assert [view.x for view in views] == [0, 120, 240]
    assert views[0].x < ink.x < views[0].right < ink.right
    (word,) = reader.read(pixels)
    assert word.text == "Station"
    assert word.box.iou(ink) > 0.6


@pytest.mark.parametrize(("width", "height"), [(6000, 4000), (1281, 2000), (20000, 500), (9000, 100)])
def test_views_cover_large_pictures_and_stay_small(width: int, height: int) -> None:
    views = list(reader_module._views(width, height))
    assert all(view.area * scale**2 <= 1281 * 1281 for view, scale in views)
    for box, _ in views:
        box.check_inside(width, height)
    tiles = [box for box, scale in views if scale == 1.0]
    for axis, length in ((0, width), (1, height)):
        spans = sorted({(t.x, t.right) if axis == 0 else (t.y, t.bottom) for t in tiles})
        assert spans[0][0] == 0 and spans[-1][1] == length
        assert all(b[0] <= a[1] - 159 for a, b in pairwise(spans))


def test_nothing_is_fetched_and_nothing_is_printed(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rapidocr", reason="the extra 'text' is not installed")

    def refuse(*_args: object, **_options: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    pixels, _ = drawn("EXIT 42", size=(320, 120), at=(40, 40))
    assert len(RapidReader(threads=1).read(pixels)) == 2
    assert capfd.readouterr() == ("", "")


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    with pytest.raises(MissingExtra, match=r"rapidocr.*pip install 'miscomp\[text\]'"):
        RapidReader().read(np.zeros((8, 8, 3), np.uint8))


def test_missing_models_are_an_error_instead_of_a_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = ModuleType("rapidocr")
    package.__file__ = str(tmp_path / "__init__.py")
    monkeypatch.setitem(sys.modules, "rapidocr", package)
    with pytest.raises(MissingExtra, match="_det_"):
        RapidReader().read(np.zeros((8, 8, 3), np.uint8))


def test_threads_must_be_positive() -> None:
    with pytest.raises(ValueError, match="threads must be >= 1, got 0"):
        RapidReader(threads=0)


def test_every_letter_has_its_own_cell_and_its_rivals(reader: RapidReader) -> None:
    pixels, ink = drawn("EXIT 42", size=(320, 120), at=(40, 40))
    words = reader.read(pixels)
    letters = [letter for word in words for letter in word.letters]
    assert ["".join(letter.char for letter in word.letters) for word in words] == ["EXIT", "42"]
    assert all(a.box.right <= b.box.x + 2 for a, b in pairwise(letters))
    assert letters[0].box.x <= ink.x + 2 and letters[-1].box.right >= ink.right - 2
    for letter in letters:
        assert letter.probability(letter.char) == letter.confidence > 0.9
        assert sum(probability for _, probability in letter.rivals) <= 0.1
        assert letter.char not in dict(letter.rivals)
