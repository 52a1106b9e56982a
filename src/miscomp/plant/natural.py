"""Natural positives: known words in a photograph that nothing but a codec changed, and what a reader makes of them.

The truth is a reading. It comes from the same reader that the text detector uses: where that reader errs, labels and
detector err alike, so scores on these pairs say less about other detectors than planted pairs do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from miscomp.codecs.spec import CodecSpec
from miscomp.detect.reader import TextReader
from miscomp.detect.words import SURE, Quad, Word, reading_cost
from miscomp.images import Pixels
from miscomp.plant.scene import is_free
from miscomp.plant.words import label
from miscomp.records import Box

BPPS = (0.1, 0.2, 0.4)
"""Rates at which words break, from most to some."""

PREFIX = "natural:"
"""What a natural pair's model begins with."""

HEIGHTS = (8, 10, 12, 14, 18, 24)
"""Heights of capitals in pixels; each comes equally often."""

_TRIES = 4
_OTHER = 1.0
"""`reading_cost` from which two readings are different words: one letter that no reader confuses."""


class WrittenWord(Protocol):
    """A word that was rendered into a picture."""

    @property
    def region(self) -> Box:
        """What is painted over."""
        ...

    @property
    def after(self) -> Pixels:
        """What stands in `region`."""
        ...

    @property
    def word(self) -> Box:
        """Tight around the letters, in the picture's frame."""
        ...

    @property
    def quad(self) -> Quad: ...

    @property
    def text(self) -> str: ...


WordPutter = Callable[..., WrittenWord | None]
"""Called with pixels, text, letter height, generator and `free`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWord:
    """A word and where it stands."""

    text: str
    box: Box
    quad: Quad
    height: int
    """Of capitals, in pixels."""
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a codec made of a word, as read."""

    outcome: Literal["label", "negative", "unreadable"]
    reading: str
    confidence: float


def natural_specs(specs: Sequence[CodecSpec]) -> list[CodecSpec]:
    """Each codec that was asked for at each of `BPPS`."""
    return [
        CodecSpec(name, bpp=bpp) for name in dict.fromkeys(spec.name for spec in specs if spec.any_rate) for bpp in BPPS
    ]


def put_words(
    pixels: Pixels, *, rng: np.random.Generator, count: int, put: WordPutter
) -> tuple[Pixels, list[KnownWord]]:
    """A copy of the picture with up to `count` words in it, apart from each other."""
    picture, known, taken = pixels.copy(), list[KnownWord](), list[Box]()
    view = picture.view()
    view.setflags(write=False)
    rounds = [rng.permutation(HEIGHTS).tolist() for _ in range(-(-count // len(HEIGHTS)))]
    heights = [height for one in rounds for height in one][:count]
    for height in heights:
        for _ in range(_TRIES):
            seed = int(rng.integers(2**31))
            inner = np.random.default_rng(seed)
            written = put(view, _text(inner), height, inner, free=lambda box: is_free(box, taken, picture))
            if written is None or not is_free(written.region, taken, picture):
                continue
            region = written.region
            picture[region.y : region.bottom, region.x : region.right] = written.after
            taken.append(region)
            known.append(KnownWord(text=written.text, box=written.word, quad=written.quad, height=height, seed=seed))
            break
    picture.setflags(write=False)
    return picture, known


def _text(rng: np.random.Generator) -> str:
    """A word or serial number in letters that the reader knows."""
    while True:
        text = label(rng)
        if text.isascii():
            return text


def readable(word: KnownWord, pixels: Pixels, reader: TextReader) -> bool:
    """Whether the reader surely reads the word rightly in the original; others are no evidence."""
    return _judge(word, reader.read_region(pixels, word.quad)).outcome == "negative"


def judge(word: KnownWord, pixels: Pixels, reader: TextReader) -> Verdict:
    """What became of a word in a reconstruction.

    Surely read as it is written, capitals aside: a negative. Surely read with another letter, one that readers do not
    confuse by themselves, and with nothing but letters and digits: a label. All else is unreadable.
    """
    return _judge(word, reader.read_region(pixels, word.quad))


def _judge(word: KnownWord, found: Sequence[Word]) -> Verdict:
    reading = " ".join(one.text for one in found)
    confidence = min((one.confidence for one in found), default=0.0)
    cost = reading_cost(word.text.casefold(), reading.casefold())
    outcome: Literal["label", "negative", "unreadable"] = "unreadable"
    if confidence >= SURE and cost == 0:
        outcome = "negative"
    elif confidence >= SURE and cost >= _OTHER and reading.replace(" ", "").isalnum():
        outcome = "label"
    return Verdict(outcome=outcome, reading=reading, confidence=confidence)
