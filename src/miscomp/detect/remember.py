"""A reader that reads the same pixels once."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from miscomp.detect.reader import TextReader
from miscomp.detect.words import Line, Quad, Word
from miscomp.images import Pixels, pixel_sha256

_REMEMBERED = 64


@dataclass
class RememberingReader:
    """Reads a picture the first time and remembers what it read, for the last 64 pictures.

    Every codec's reconstruction is compared with one original, and several detectors see one pair.
    """

    reader: TextReader
    saved_seconds: float = 0.0
    """What the readings handed out again took when they were made: a time without them is too short by this."""
    _seen: dict[str, tuple[list[Line], float]] = field(default_factory=dict)

    def lines(self, pixels: Pixels) -> list[Line]:
        """Every line of text in the picture."""
        key = pixel_sha256(pixels)
        if key in self._seen:
            self.saved_seconds += self._seen[key][1]
        else:
            while len(self._seen) >= _REMEMBERED:
                del self._seen[next(iter(self._seen))]
            begin = time.perf_counter()
            lines = self.reader.lines(pixels)
            self._seen[key] = (lines, time.perf_counter() - begin)
        return list(self._seen[key][0])

    def read_region(self, pixels: Pixels, quad: Quad) -> tuple[Word, ...]:
        """The words within `quad`, read anew."""
        return self.reader.read_region(pixels, quad)
