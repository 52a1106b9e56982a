"""Known words. Oracles: readings that a script gives, and the places that were asked for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from planted import lawn
from tiny_kinds import put_word

from miscomp.codecs.spec import parse_spec
from miscomp.detect.words import Line, Quad, Word
from miscomp.images import Pixels
from miscomp.plant.natural import HEIGHTS, KnownWord, judge, natural_specs, put_words, readable
from miscomp.records import Box

PHOTO = lawn(200, 240)
BOX = Box(10, 10, 40, 12)
QUAD: Quad = ((10, 10), (50, 10), (50, 22), (10, 22))


@dataclass
class Scripted:
    words: tuple[Word, ...]

    def lines(self, pixels: Pixels) -> list[Line]:
        return []

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        assert quad == QUAD
        return self.words


def outcome(text: str, *read: tuple[str, float]) -> str:
    known = KnownWord(text=text, box=BOX, quad=QUAD, height=12, seed=0)
    reader = Scripted(tuple(Word(word, BOX, confidence) for word, confidence in read))
    verdict = judge(known, PHOTO, reader)
    assert readable(known, PHOTO, reader) == (verdict.outcome == "negative")
    assert verdict.confidence == min((confidence for _, confidence in read), default=0)
    return verdict.outcome


@pytest.mark.parametrize(
    ("read", "wanted"),
    [
        ([("HOTEL", 0.95)], "negative"),
        ([("Hotel", 0.95)], "negative"),
        ([("HOT", 0.95), ("EL", 0.9)], "negative"),
        ([("HOSEL", 0.95)], "label"),
        ([("HOTELS", 0.95)], "label"),
        ([("HOSEL", 0.7)], "unreadable"),
        ([("HOTEL", 0.7)], "unreadable"),
        ([("H0TEL", 0.95)], "unreadable"),  # readers confuse 0 and O by themselves
        ([("HOT/L", 0.95)], "unreadable"),  # no letter stands there
        ([("HOT", 0.95), ("AL", 0.5)], "unreadable"),
        ([], "unreadable"),
    ],
)
def test_a_reading_decides(read: list[tuple[str, float]], wanted: str) -> None:
    assert outcome("HOTEL", *read) == wanted


def test_words_are_put_apart_in_a_copy_and_of_every_height() -> None:
    before = PHOTO.copy()
    pixels, known = put_words(PHOTO, rng=np.random.default_rng(0), count=6, put=put_word)
    assert np.array_equal(PHOTO, before) and sorted(word.height for word in known) == sorted(HEIGHTS)
    for one in known:
        assert not pixels[one.box.y : one.box.bottom, one.box.x : one.box.right].any()
        assert all(one is other or not one.box.intersection(other.box) for other in known)
    again, _ = put_words(PHOTO, rng=np.random.default_rng(0), count=6, put=put_word)
    assert np.array_equal(again, pixels)
    _, crowded = put_words(PHOTO, rng=np.random.default_rng(0), count=200, put=put_word)
    assert 6 < len(crowded) < 200


def test_each_codec_has_each_low_rate() -> None:
    specs = [parse_spec(name) for name in ("jpeg@0.25bpp", "lucid@0.25bpp", "jpeg@0.75bpp")]
    wanted = [f"{name}@{bpp}bpp" for name in ("jpeg", "lucid") for bpp in (0.1, 0.2, 0.4)]
    assert [str(spec) for spec in natural_specs(specs)] == wanted
