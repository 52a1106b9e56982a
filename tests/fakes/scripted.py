"""A reader of text that follows a script, for tests of what is made of readings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from miscomp.detect.words import Line, Quad, Word
from miscomp.images import Pixels
from miscomp.records import Box


class ScriptedReader:
    """Tells pictures apart by their brightest value, and reads in each what the script has for it."""

    def __init__(self, script: Mapping[int, Sequence[Line]]) -> None:
        self._script = script

    def lines(self, pixels: Pixels) -> list[Line]:
        """The lines of the picture."""
        return list(self._script.get(int(pixels.max()), ()))

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        """The first line's words of the picture that shows the region, placed along the quad."""
        nearest = min(self._script, key=lambda value: abs(value - int(pixels.max())))
        (left, top), (right, bottom) = quad[0], quad[2]
        box = Box(max(round(left), 0), max(round(top), 0), max(round(right - left), 1), max(round(bottom - top), 1))
        return tuple(Word(w.text, box, w.confidence) for one in self._script[nearest][:1] for w in one.words)


def line(text: str, box: Box, confidence: float = 0.99) -> Line:
    """A line of one word that fills its box."""
    corners = ((box.x, box.y), (box.right, box.y), (box.right, box.bottom), (box.x, box.bottom))
    a, b, c, d = ((float(x), float(y)) for x, y in corners)
    return Line((a, b, c, d), (Word(text, box, confidence),))
