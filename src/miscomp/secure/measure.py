"""What is left of a picture after it was compressed again.

Destruction means all of these together. A low PSNR alone proves none: the negatives of photographs reach about 7 dB
and can be read, which the fitted PSNR and the local correlation show.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from miscomp.detect.reader import TextReader
from miscomp.detect.words import Word, is_sure, reading_cost
from miscomp.images import Pixels
from miscomp.metrics.psnr import check_pair, psnr_pixels
from miscomp.metrics.structure import local_correlation
from miscomp.tensors import to_tensor

_Levels: TypeAlias = npt.NDArray[np.int64]

_STRIP_PIXELS = 2**18

_SAME_PLACE = 0.5
"""Share of the smaller of two boxes that the other must cover for both readings to be of one place."""

_SAME_WORD = 1.0
"""Readings that cost less to turn into each other differ in look-alikes, capitals and punctuation only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recompression:
    """A picture p beside p2, what its re-compression made of it; lower figures are more destruction."""

    psnr_db: float
    """Of p2 against p, all channels together; inf for equal pictures."""
    normalised_psnr_db: float
    """The same after each of the two was stretched by itself so that its least and greatest value, over all channels,
    are 0 and 255: what the published code of SLIC calls PSNR. inf where both are equal then; nan, as undefined there,
    where either picture has one value alone."""
    fitted_psnr_db: float
    """Of p against a * p2 + b with the best a and b for each channel, neither rounded nor clipped; a may be negative.
    At least `psnr_db` and at least `flat_psnr_db`; inf where the fit is exact, as for a negative or a constant p."""
    flat_psnr_db: float
    """Of p against its own mean colour, the floor of the fitted PSNR: nothing can be destroyed further than that.
    14.67 dB in the mean over Kodak, so no fitted PSNR averages less there. inf for a p of one colour."""
    local_correlation: float
    """Mean absolute correlation of the luminances in windows of 16 x 16 pixels, 8 apart: 0 to 1. Windows that are flat
    in either picture count as 0, so a picture reaches 1 with itself only where all of it has detail: 0.74 for Kodak's
    kodim15 and its own negative, 0 for one colour. Two unrelated photographs (kodim15, kodim23) reach 0.18."""
    words: int | None = None
    """Words read surely in p; `None` without a reader."""
    words_read_again: int | None = None
    """How many of them are read in p2 too, at the same place and whatever the confidence; `None` without a reader."""


def measure(p: Pixels, p2: Pixels, *, reader: TextReader | None = None) -> Recompression:
    """Compare 8-bit pictures (h, w, 3) of one size; the words are read only with a reader. Raises `SizeMismatch`.

    Of text, that is whether a reader of text still finds it: a person may read more.
    """
    check_pair(p, p2)
    words, again = (None, None) if reader is None else _words(p, p2, reader)
    fitted, flat = _fits(p, p2)
    return Recompression(
        psnr_db=psnr_pixels(p, p2),
        normalised_psnr_db=_normalised(p, p2),
        fitted_psnr_db=_decibels(fitted),
        flat_psnr_db=_decibels(flat),
        local_correlation=float(local_correlation(to_tensor(p), to_tensor(p2))),
        words=words,
        words_read_again=again,
    )


def _decibels(mse: float) -> float:
    """PSNR for a mean squared error in levels of 255."""
    return math.inf if mse == 0 else 10 * math.log10(255**2 / mse)


def _strips(p: Pixels, p2: Pixels) -> Iterator[tuple[_Levels, _Levels]]:
    """Both pictures in strips of rows as whole numbers, so that sums of products are exact and the memory small."""
    rows = max(1, _STRIP_PIXELS // p.shape[1])
    for top in range(0, p.shape[0], rows):
        yield p[top : top + rows].astype(np.int64), p2[top : top + rows].astype(np.int64)


def _normalised(p: Pixels, p2: Pixels) -> float:
    low, low2 = int(p.min()), int(p2.min())
    span, span2 = int(p.max()) - low, int(p2.max()) - low2
    if not span or not span2:
        return math.nan
    # The stretched difference times span * span2 / 255 is a whole number.
    squares = sum(int(np.square((x - low) * span2 - (y - low2) * span).sum()) for x, y in _strips(p, p2))
    return _decibels(255**2 * squares / ((span * span2) ** 2 * p.size))


def _fits(p: Pixels, p2: Pixels) -> tuple[float, float]:
    """Mean squared errors in levels of p against the best fit of p2, and against p's mean colour.

    From Python's whole numbers up to the last division, so that an exact fit has no error at all.
    """
    n = p.shape[0] * p.shape[1]
    x, y, xx, yy, xy = ([0, 0, 0] for _ in range(5))
    for strip, strip2 in _strips(p, p2):
        products = ((x, strip), (y, strip2), (xx, strip * strip), (yy, strip2 * strip2), (xy, strip * strip2))
        for sums, values in products:
            sums[:] = [total + int(one) for total, one in zip(sums, values.sum((0, 1)), strict=True)]
    fitted = flat = 0.0
    for c in range(3):
        spread, spread2 = n * xx[c] - x[c] ** 2, n * yy[c] - y[c] ** 2
        left = (spread * spread2 - (n * xy[c] - x[c] * y[c]) ** 2) / spread2 if spread2 else spread
        fitted += left / (3 * n * n)
        flat += spread / (3 * n * n)
    return fitted, flat


def _words(p: Pixels, p2: Pixels, reader: TextReader) -> tuple[int, int]:
    """Words read surely in p, and how many of them are read in p2.

    In p2 a word counts wherever it is found: by the search for text, and by reading where its line was in p.
    """
    lines = reader.lines(p)
    found = [word for line in reader.lines(p2) for word in line.words]
    known = again = 0
    for line in lines:
        sure = [word for word in line.words if is_sure(word)]
        if sure:
            known += len(sure)
            again += _read_again(sure, found, reader.read_region(p2, line.quad))
    return known, again


def _read_again(sure: list[Word], found: list[Word], there: tuple[Word, ...]) -> int:
    def same(a: Word, b: Word) -> bool:
        shared = a.box.intersection(b.box)
        at_place = shared >= _SAME_PLACE * min(a.box.area, b.box.area)
        return at_place and reading_cost(a.text, b.text) < _SAME_WORD

    return sum(any(same(word, other) for other in (*found, *there)) for word in sure)
