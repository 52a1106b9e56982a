"""Text in original and reconstruction: read both, compare letter by letter, and keep what is no reading error.

A difference between two readings is weak evidence: readers err. So both sides are asked again under
changes that alter no meaning (a slight blur, JPEG, a shifted frame), and the shapes of the letters are compared
with each other. Where either speaks of a letter, `miscomp.detect.letters` weighs both.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

import numpy as np
from PIL import Image, ImageFilter

from miscomp.detect.letters import Evidence, Reading, aligned, kept, likeliest_other
from miscomp.detect.lines import Placed, extents, placed
from miscomp.detect.reader import TextReader
from miscomp.detect.shapes import Shape, compare_shapes
from miscomp.detect.similar import folded, levenshtein
from miscomp.detect.strips import grown, moved
from miscomp.detect.words import SURE, ChangeKind, Letter, Line, Quad, Word, WordChange, is_sure, plausibility
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
_COVERED = 0.7
"""Share of a word that must lie within a known one for both to be the same place."""
_ODD_DIFFERENCE = 0.25
_ODD_RATIO = 2.0
"""Letters whose shape differs by less, or by less than this times the others, are read again only if they read
otherwise."""


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
    forward = [c for line in _best(lines, max_lines) for c in _compared(line, there, reader)]
    known = _sure_words(lines)
    backward = [
        _reversed(change)
        for line in _best(lines_after, max_lines)
        if not _is_known(line, known)
        for change in _compared(line, back, reader, backwards=True)
    ]
    skipped = sum(max(len(found) - max_lines, 0) for found in (lines, lines_after))
    return TextChanges(_ranked(forward, backward), known, _sure_words(lines_after), skipped)


@dataclass(frozen=True, slots=True)
class _Strip:
    """A line in patches of both pictures, so that nothing larger than the line is blurred or coded again."""

    here: Pixels
    there: Pixels
    quad: Quad
    """In the patches."""
    letters: tuple[Placed, ...]
    """In the pictures; their places along the line hold for the patches too."""
    reader: TextReader

    def read(self, pixels: Pixels, quad: Quad) -> Reading:
        """A patch, read within `quad` and aligned with the line."""
        return aligned(self.letters, placed(self.reader.read_region(pixels, quad), self.quad))


def _compared(
    line: Line, pair: tuple[Pixels, Pixels], reader: TextReader, *, backwards: bool = False
) -> Iterator[WordChange]:
    """What became of the words of `line`, read in the first of `pair`, in the second."""
    strip = _strip(line, pair, reader)
    if strip is None:
        return
    first = strip.read(strip.there, strip.quad)
    shapes = _shapes(strip, line.words)
    places = _word_places(strip.letters, len(line.words))
    suspects = [n for n, word in enumerate(line.words) if is_sure(word) and _is_odd(strip, places[n], first, shapes)]
    if not suspects:
        return
    here = [strip.read(p, q) for p, q in _harmless(strip.here, strip.quad)]
    there = [first, *(strip.read(p, q) for p, q in _harmless(strip.there, strip.quad))]
    for number in suspects:
        word, place = line.words[number], places[number]
        letters = [(strip.letters[k].letter, _evidence(strip, k, (here, there), shapes[k])) for k in places[number]]
        change = _change(word, letters, [(r.text(place), r.certainty(place)) for r in there], backwards=backwards)
        if change is not None:
            yield change


def _strip(line: Line, pair: tuple[Pixels, Pixels], reader: TextReader) -> _Strip | None:
    """None where no word is sure or both pictures are equal."""
    if not any(is_sure(word) for word in line.words):
        return None
    height, width = pair[0].shape[:2]
    patch = _around(line.quad, width, height)
    here, there = (p[patch.y : patch.bottom, patch.x : patch.right] for p in pair)
    if np.array_equal(here, there):
        return None
    quad = moved(line.quad, -patch.x, -patch.y)
    return _Strip(here, there, quad, tuple(placed(line.words, line.quad)), reader)


def _shapes(strip: _Strip, words: Sequence[Word]) -> list[Shape | None]:
    """Of each letter; `None` too where the reader does not say where a word's letters stand."""
    shapes = compare_shapes(strip.here, strip.there, strip.quad, extents(strip.letters, strip.quad))
    return [shape if words[p.word].letters else None for p, shape in zip(strip.letters, shapes, strict=True)]


def _is_odd(strip: _Strip, place: range, first: Reading, shapes: Sequence[Shape | None]) -> bool:
    """Whether a word reads otherwise, or a letter of it differs more than the line's others do."""
    for k in place:
        if kept(first.letters[k], strip.letters[k].char) < SURE or first.added(k):
            return True
        shape = shapes[k]
        if shape is not None and shape.difference >= _ODD_DIFFERENCE and shape.ratio >= _ODD_RATIO:
            return True
    return False


def _evidence(
    strip: _Strip, k: int, readings: tuple[Sequence[Reading], Sequence[Reading]], shape: Shape | None
) -> Evidence:
    """Of one letter and of what stands beside it."""
    char = strip.letters[k].char
    here, there = readings
    return Evidence(
        kept=min(max(kept(r.letters[k], char) for r in there), max(1 - r.added(k) for r in there)),
        stable=min(min(kept(r.letters[k], char) for r in here), min(1 - r.added(k) for r in here)),
        other=likeliest_other([r.letters[k] for r in there], char),
        shape=shape,
    )


def _change(
    word: Word, letters: Sequence[tuple[Letter, Evidence]], readings: Sequence[tuple[str, float]], *, backwards: bool
) -> WordChange | None:
    """The change that the evidence of a word's letters adds up to.

    A word is `changed` where most readings surely agree on another one, `reshaped` where they read the same, else
    `lost`; seen backwards it only counts as lost (it appeared) where most readings are unsure, since a word
    that is merely hard to read did not appear.
    """
    sharpest = max(evidence.confidence for _, evidence in letters)
    gone = sum(max(e.stable - e.kept, 0.0) for _, e in letters) / len(letters) * plausibility(word.text)
    confidence = round(word.confidence * max(sharpest, gone), 3)
    sure = [text for text, certainty in readings if certainty >= SURE and plausibility(text)]
    common = max(sure, key=sure.count) if sure else ""
    agreed = 4 * sure.count(common) >= 3 * len(readings)
    if confidence < MIN_CONFIDENCE or (backwards and not agreed and 2 * len(sure) > len(readings)):
        return None
    differing = _differing(letters, unreadable=gone >= MIN_CONFIDENCE)
    box = differing[0].box
    for letter in differing[1:]:
        box = box.union_box(letter.box)
    after = common if agreed else readings[0][0]
    same = folded(after) == folded(word.text)
    return WordChange(
        kind="reshaped" if same else "changed" if agreed else "lost",
        box=box,
        before=word.text,
        after=after,
        distance=levenshtein(word.text, after),
        confidence=confidence,
        letters="".join(letter.char for letter in differing),
    )


def _differing(letters: Sequence[tuple[Letter, Evidence]], *, unreadable: bool) -> list[Letter]:
    """The letters that a change is about: of an unreadable word all that are not found again, else what stands out.

    Beside one that reads otherwise, one that does not was only touched by it.
    """
    other = [letter for letter, evidence in letters if evidence.kept < MIN_CONFIDENCE]
    shaped = [letter for letter, evidence in letters if evidence.confidence >= MIN_CONFIDENCE]
    both = [letter for letter in shaped if letter in other]
    return (other if unreadable else both) or shaped or other or [letter for letter, _ in letters]


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


def _word_places(letters: Sequence[Placed], words: int) -> list[range]:
    """For each word of a line which of the line's letters it has."""
    counts = [sum(letter.word == number for letter in letters) for number in range(words)]
    ends = list(accumulate(counts, initial=0))
    return [range(a, b) for a, b in pairwise(ends)]


def _is_known(line: Line, words: Sequence[Word]) -> bool:
    """Whether every sure word of a line stands where the original surely has one, so that it was compared before."""
    return all(
        any(_COVERED * word.box.area <= word.box.intersection(known.box) for known in words)
        for word in line.words
        if is_sure(word)
    )


def _best(lines: Sequence[Line], count: int) -> list[Line]:
    return sorted(lines, key=lambda line: (-line.weight, line.quad))[:count]


def _sure_words(lines: Sequence[Line]) -> tuple[Word, ...]:
    words = [word for line in lines for word in line.words if is_sure(word)]
    return tuple(sorted(words, key=lambda w: (w.box.y, w.box.x, w.text)))


def _around(quad: Quad, width: int, height: int) -> Box:
    """The pixels that a strip along `quad` is made from, with a margin for blur and interpolation."""
    (left, top), (right, bottom) = np.floor(np.min(quad, axis=0)), np.ceil(np.max(quad, axis=0))
    x, y = min(max(int(left), 0), width - 1), min(max(int(top), 0), height - 1)
    box = Box(x, y, max(min(int(right), width) - x, 1), max(min(int(bottom), height) - y, 1))
    return box.grown(_PATCH_MARGIN, width, height)


def _reversed(change: WordChange) -> WordChange:
    """A change seen from the reconstruction, as seen from the original: what was lost on the way back appeared."""
    kind: ChangeKind = "appeared" if change.kind == "lost" else change.kind
    return replace(change, kind=kind, before=change.after, after=change.before)


def _ranked(forward: Sequence[WordChange], backward: Sequence[WordChange]) -> tuple[WordChange, ...]:
    """Changes by falling confidence; of two that share most of a place, the one seen from the original."""
    new = [c for c in backward if all(2 * c.box.intersection(k.box) < min(c.box.area, k.box.area) for k in forward)]
    return tuple(sorted([*forward, *new], key=lambda c: (-c.confidence, c.box, c.before, c.after)))
