"""Text in original and reconstruction: read both, compare word by word, and keep what is no reading error.

A difference between two readings is weak evidence: readers err. So both sides are asked again under
changes that alter no meaning (a slight blur, JPEG, a shifted frame). A word counts only when even the
kindest reading of the one picture differs by more than such changes make the other one differ from itself.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter

from miscomp.detect.reader import TextReader, grown, moved
from miscomp.detect.words import SURE, Line, Match, Quad, Word, WordChange, as_change, match_words, plausibility
from miscomp.images import Pixels
from miscomp.records import Box

MIN_CONFIDENCE = 0.5
"""Changes of less confidence are dropped."""

_PATCH_MARGIN = 8
_SHIFT = 0.03
_GROW = 0.06
_BLUR = 0.015
_BLUR_SIGMA = 0.7
_JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True)
class TextChanges:
    """What reading says about a pair."""

    changes: tuple[WordChange, ...]
    """Best first."""
    original: tuple[Word, ...]
    """Words read surely in the original: its regions of text."""
    reconstruction: tuple[Word, ...]
    """Words read surely in the reconstruction."""
    lines_skipped: int
    """Lines that were read but not compared because of `max_lines`."""


def text_changes(original: Pixels, reconstruction: Pixels, reader: TextReader, *, max_lines: int = 400) -> TextChanges:
    """Words that may have been lost or changed, or may have appeared, each with a confidence >= `MIN_CONFIDENCE`.

    Both pictures have the same size. At most `max_lines` lines of each, the most surely read first, are compared.
    """
    lines = reader.lines(original)
    if np.array_equal(original, reconstruction):
        return TextChanges((), _sure_words(lines), _sure_words(lines), 0)
    lines_after = reader.lines(reconstruction)
    there, back = (original, reconstruction), (reconstruction, original)
    forward = [c for line in _best(lines, max_lines) for c in _verified(line, there, reader)]
    backward = [c for line in _best(lines_after, max_lines) for c in _verified(line, back, reader, backwards=True)]
    skipped = sum(max(len(found) - max_lines, 0) for found in (lines, lines_after))
    changes = _ranked(forward, [_reversed(change) for change in backward])
    return TextChanges(changes, _sure_words(lines), _sure_words(lines_after), skipped)


def _verified(
    line: Line, pair: tuple[Pixels, Pixels], reader: TextReader, *, backwards: bool = False
) -> Iterator[WordChange]:
    """Words of `line`, read in the first of `pair`, that the second does not show under any harmless change."""
    if not any(_is_sure(word) for word in line.words):
        return
    height, width = pair[0].shape[:2]
    patch = _around(line.quad, width, height)
    here, there = (p[patch.y : patch.bottom, patch.x : patch.right] for p in pair)
    if np.array_equal(here, there):
        return
    quad = moved(line.quad, -patch.x, -patch.y)
    words = tuple(w for w in line.words if patch.intersection(w.box) == w.box.area)
    words = tuple(replace(w, box=Box(w.box.x - patch.x, w.box.y - patch.y, w.box.w, w.box.h)) for w in words)
    first = _matches(words, reader.read_region(there, quad))
    suspects = [w for w in words if _is_sure(w) and as_change(first[w]) is not None]
    if not suspects:
        return
    again_here = [_matches(words, reader.read_region(p, q)) for p, q in _harmless(here, quad)]
    again_there = [first, *(_matches(words, reader.read_region(p, q)) for p, q in _harmless(there, quad))]
    for word in suspects:
        noise = max(m[word].cost for m in again_here)
        change = _change(word, [m[word] for m in again_there], noise=noise, backwards=backwards)
        if change is not None:
            box = Box(change.box.x + patch.x, change.box.y + patch.y, change.box.w, change.box.h)
            yield replace(change, box=box)


def _change(word: Word, readings: Sequence[Match], *, noise: float, backwards: bool) -> WordChange | None:
    """The change that even the kindest of the other picture's readings shows beyond `noise`.

    `noise` is the greatest cost that harmless changes of the word's own picture cause. A word is `changed`
    where most readings surely agree on another one, else `lost`; seen backwards it only counts as lost
    (it appeared) where most readings are unsure, since a word that is merely hard to read did not appear.
    """
    kindest = min(readings, key=lambda m: (m.cost, -m.confidence))
    beyond = min(1.0, max(kindest.cost - noise, 0.0))
    confidence = round(word.confidence * plausibility(word.text) * beyond, 3)
    sure = [m.text for m in readings if m.confidence >= SURE and plausibility(m.text)]
    common = max(sure, key=sure.count) if sure else ""
    agreed = 4 * sure.count(common) >= 3 * len(readings)
    if confidence < MIN_CONFIDENCE or (backwards and not agreed and 2 * len(sure) > len(readings)):
        return None
    text, certainty = (common, 1.0) if agreed else (readings[0].text, 0.0)
    change = as_change(replace(kindest, text=text, confidence=certainty))
    return replace(change, confidence=confidence) if change else None


def _harmless(pixels: Pixels, quad: Quad) -> Iterator[tuple[Pixels, Quad]]:
    """Changes of a picture or of the frame around a line that leave the meaning of any text alone.

    Blur and frame scale with the height of the line, so that they weigh the same on large letters.
    """
    picture = Image.fromarray(pixels)
    height = max(math.dist(quad[0], quad[3]), 1.0)
    yield np.asarray(picture.filter(ImageFilter.GaussianBlur(max(_BLUR_SIGMA, _BLUR * height)))), quad
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    with Image.open(file) as decoded:
        yield np.asarray(decoded), quad
    yield pixels, moved(quad, _SHIFT * height, _SHIFT * height)
    yield pixels, moved(quad, -_SHIFT * height, -_SHIFT * height)
    yield pixels, grown(quad, _GROW * height)


def _matches(words: Sequence[Word], reading: Sequence[Word]) -> dict[Word, Match]:
    return {match.word: match for match in match_words(words, reading) if match.word is not None}


def _best(lines: Sequence[Line], count: int) -> list[Line]:
    return sorted(lines, key=lambda line: (-line.weight, line.quad))[:count]


def _is_sure(word: Word) -> bool:
    return word.confidence >= SURE and plausibility(word.text) > 0


def _sure_words(lines: Sequence[Line]) -> tuple[Word, ...]:
    words = [word for line in lines for word in line.words if _is_sure(word)]
    return tuple(sorted(words, key=lambda w: (w.box.y, w.box.x, w.text)))


def _around(quad: Quad, width: int, height: int) -> Box:
    """The pixels that a strip along `quad` is made from, with a margin for blur and interpolation."""
    (left, top), (right, bottom) = np.floor(np.min(quad, axis=0)), np.ceil(np.max(quad, axis=0))
    x, y = min(max(int(left), 0), width - 1), min(max(int(top), 0), height - 1)
    box = Box(x, y, max(min(int(right), width) - x, 1), max(min(int(bottom), height) - y, 1))
    return box.grown(_PATCH_MARGIN, width, height)


def _reversed(change: WordChange) -> WordChange:
    """A change seen from the reconstruction, as seen from the original: what was lost on the way back appeared."""
    return replace(
        change, kind="changed" if change.kind == "changed" else "appeared", before=change.after, after=change.before
    )


def _ranked(forward: Sequence[WordChange], backward: Sequence[WordChange]) -> tuple[WordChange, ...]:
    """Changes by falling confidence; of two that share most of a place, the one seen from the original."""
    new = [c for c in backward if all(2 * c.box.intersection(k.box) < min(c.box.area, k.box.area) for k in forward)]
    return tuple(sorted([*forward, *new], key=lambda c: (-c.confidence, c.box, c.before, c.after)))
