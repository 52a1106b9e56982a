"""Strips that Pillow drew, and networks that are not there; the oracle is what was drawn."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from miscomp.detect.reader import _model_files
from miscomp.detect.recognise import Recogniser
from miscomp.errors import MissingExtra
from miscomp.images import Pixels


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    pytest.importorskip("rapidocr", reason="the extra 'text' is not installed")
    return Recogniser(_model_files()["Rec"], threads=1)


def strip(text: str, *, width: int = 200) -> Pixels:
    picture = Image.new("RGB", (width, 48), (205, 205, 200))
    ImageDraw.Draw(picture).text((8, 24), text, fill=(20, 20, 30), font=ImageFont.load_default(34), anchor="lm")
    return np.ascontiguousarray(np.asarray(picture)[:, :, ::-1])


def test_marks_stand_where_their_letters_were_drawn(recogniser: Recogniser) -> None:
    font = ImageFont.load_default(34)
    marks = recogniser.read(strip("1984"))
    assert "".join(mark.char for mark in marks) == "1984"
    for k, mark in enumerate(marks):
        middle = (8 + (font.getlength("1984"[:k]) + font.getlength("1984"[: k + 1])) / 2) / 200
        assert abs(mark.center - middle) < 0.04
        assert mark.confidence > 0.9


def test_what_else_a_letter_might_be_is_told_by_falling_probability(recogniser: Recogniser) -> None:
    smeared = np.asarray(Image.fromarray(strip("8B6")).resize((22, 6)).resize((200, 48)))
    rivals = [mark.rivals for mark in recogniser.read(smeared) if mark.rivals]
    assert rivals
    for found in rivals:
        probabilities = [probability for _, probability in found]
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0.01 <= p <= 1 for p in probabilities) and len(found) <= 5


@pytest.mark.parametrize("width", [8, 60, 700])
def test_strips_of_any_width_are_read(recogniser: Recogniser, width: int) -> None:
    assert recogniser.read(np.full((48, width, 3), 128, np.uint8)) == ()


def test_strips_of_another_height_are_refused(recogniser: Recogniser) -> None:
    with pytest.raises(ValueError, match="48 pixels high, got 40"):
        recogniser.read(np.zeros((40, 80, 3), np.uint8))


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match=r"onnxruntime.*pip install 'miscomp\[text\]'"):
        Recogniser(Path("model.onnx"), threads=1)
