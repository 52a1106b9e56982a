"""Words that were read, and what became of them.

Nothing here reads pictures. A reading is never proof: confidences say how sure the reader was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from miscomp.detect.similar import edit_distance, exchange_cost, folded, gap_cost
from miscomp.records import Box

Quad = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""Corners (x, y) of a line of text in pixels, in reading order: start top, end top, end bottom, start bottom."""

SURE = 0.8
"""A reading below this confidence is no evidence by itself."""

ChangeKind = Literal["lost", "changed", "appeared", "reshaped"]

_SURE_ALONE = 0.9
_STROKES = frozenset("1il|!j")
_ROUND = frozenset("0oqdc")


@dataclass(frozen=True, slots=True)
class Letter:
    """One character as read: its cell in the line, and what else it might be."""

    char: str
    box: Box
    confidence: float
    rivals: tuple[tuple[str, float], ...] = ()
    """Other characters with their probabilities, the likeliest first."""

    def probability(self, char: str) -> float:
        """That this is `char`, according to the reader; 0 where it did not think of it."""
        return self.confidence if char == self.char else dict(self.rivals).get(char, 0.0)


@dataclass(frozen=True, slots=True)
class Word:
    """A word as read: its tight box and how sure the reader was of its letters, 0 to 1."""

    text: str
    box: Box
    confidence: float
    letters: tuple[Letter, ...] = ()
    """One for each character of `text`; empty where the reader does not say where they stand."""

    def moved(self, dx: int, dy: int) -> Word:
        """The word `dx` pixels further right and `dy` further down."""
        letters = tuple(replace(one, box=_moved(one.box, dx, dy)) for one in self.letters)
        return replace(self, box=_moved(self.box, dx, dy), letters=letters)


@dataclass(frozen=True, slots=True)
class Line:
    """Words read together from one strip of the picture, in reading order; `quad` allows reading it again elsewhere."""

    quad: Quad
    words: tuple[Word, ...]

    @property
    def box(self) -> Box:
        """Smallest box around all words; a line without words is never made."""
        box = self.words[0].box
        for word in self.words[1:]:
            box = box.union_box(word.box)
        return box

    @property
    def weight(self) -> float:
        """Letters read, each counted by its confidence; of two readings of one place the heavier is better."""
        return sum(word.confidence * len(word.text) for word in self.words)


@dataclass(frozen=True, slots=True)
class WordChange:
    """A word that may have been lost, changed or that appeared; `confidence` (0 to 1) that this is no reading error.

    `reshaped` is a word whose letters look otherwise though it reads the same.
    """

    kind: ChangeKind
    box: Box
    """Around the letters that differ; around the word where all do, or where it is unknown which."""
    before: str
    """The original's reading; empty where nothing could be read."""
    after: str
    """The reconstruction's reading; empty where nothing could be read."""
    distance: int
    """Levenshtein distance between the two readings, in characters; 0 for a reshaped word."""
    confidence: float
    letters: str = ""
    """The original's letters that differ, where that is known."""

    @property
    def words(self) -> str:
        """The change in a plain sentence, worded as a candidate."""
        if self.kind == "changed":
            return f'the reading "{self.before}" may have become "{self.after}"'
        if self.kind == "reshaped":
            return f'the "{self.letters}" of "{self.before}" may look otherwise, though it still reads the same'
        if self.kind == "lost":
            now = f' (now read as "{self.after}")' if self.after else ""
            return f'the reading "{self.before}" may no longer be readable{now}'
        was = f' (the original was read as "{self.before}")' if self.before else ""
        return f'the reading "{self.after}" may have appeared where nothing was readable{was}'


def reading_cost(a: str, b: str) -> float:
    """Edit distance in which look-alikes, capitals and punctuation cost a quarter; 0 means that both read the same."""
    return edit_distance(folded(a), folded(b), exchange_cost, gap_cost)


def plausibility(text: str) -> float:
    """How much a string looks like a word or number, 0 to 1.

    Bars alone ("Il1"), one letter repeated ("EEE") and single round ones give 0: facades, fences and wheels read so.
    """
    letters = [c for c in folded(text).casefold() if c.isalnum()]
    if not letters or set(letters) <= _STROKES:
        return 0.0
    if len(letters) == 1:
        return 0.0 if letters[0] in _ROUND or len(folded(text)) > 1 else 0.5
    if len(set(letters)) == 1 and letters[0].isalpha():
        return 0.0
    return min(1.0, (len(letters) + 1) / 4)


def is_sure(word: Word) -> bool:
    """Whether a reading is evidence by itself; a single character must be read more surely than a word."""
    least = SURE if len(word.text) > 1 else _SURE_ALONE
    return word.confidence >= least and plausibility(word.text) > 0


def _moved(box: Box, dx: int, dy: int) -> Box:
    return Box(box.x + dx, box.y + dy, box.w, box.h)
