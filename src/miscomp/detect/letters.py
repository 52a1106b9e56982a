"""The evidence that one letter changed: what both sides read under harmless changes, and how its shape compares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from miscomp.detect.lines import Placed, align, pitch_of
from miscomp.detect.shapes import Shape
from miscomp.detect.similar import OTHER_CASE, alikeness
from miscomp.detect.words import SURE, Letter

_HALF_KEPT = 0.5
_BIAS, _RATIO, _KEPT, _OTHER = -5.3, 4.8, 0.8, 2.0
"""Fitted to some 2 800 letters, 190 of them replaced, of signs rendered into photographs and coded by JPEG and by a
learned codec at 0.25, 0.5 and 0.75 bpp; then made stricter for letters that still read the same."""
_ODD = 0.02
"""Readings and losses are never taken to be surer than this allows."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Another reading of a line, aligned with the line's letters; one entry for each of them."""

    letters: tuple[Letter | None, ...]
    """What stands in the letter's place."""
    before: tuple[tuple[Letter, ...], ...]
    """What only this reading has before the letter, within the word that the letter begins."""
    after: tuple[tuple[Letter, ...], ...]
    """What only this reading has after the letter."""

    def text(self, place: range) -> str:
        """The reading of a part of the line."""
        found: list[Letter] = []
        for k in place:
            letter = self.letters[k]
            found += [*self.before[k], *([letter] if letter else []), *self.after[k]]
        return "".join(letter.char for letter in found)

    def certainty(self, place: range) -> float:
        """Mean confidence in the letters of a part of the line; 0 without any."""
        found = [letter.confidence for k in place if (letter := self.letters[k])]
        return sum(found) / len(found) if found else 0.0

    def added(self, k: int) -> float:
        """How surely a letter or digit stands beside letter `k` that the line does not have."""
        return max((x.confidence for x in (*self.before[k], *self.after[k]) if x.char.isalnum()), default=0.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What speaks for a change of one letter."""

    kept: float
    """Greatest probability that the letter still stands there, over all readings of the other picture."""
    stable: float
    """Least probability of the letter over the readings of its own picture."""
    other: float
    """Mean probability, over the readings of the other picture, of the likeliest other character."""
    shape: Shape | None
    """None where the line has no contrast to compare."""

    @property
    def confidence(self) -> float:
        """From 0 to 1, that the letter changed.

        With shapes a logistic function, fitted to signs rendered into photographs; without, what reading says.
        """
        if self.shape is None:
            return max(self.stable - self.kept, 0.0)
        kept = min(max(self.kept, _ODD), 1 - _ODD)
        z = (
            _BIAS
            + _RATIO * math.log(self.shape.ratio + 1e-3)
            - _KEPT * math.log(kept / (1 - kept))
            + _OTHER * self.other
        )
        # Where harmless changes alter the reading of the letter's own picture too, reading proves little.
        return min(self.stable / SURE, 1.0) / (1 + math.exp(-z))


def aligned(line: Sequence[Placed], reading: Sequence[Placed]) -> Reading:
    """A reading as seen from the letters of a line."""
    pairs = align(line, reading, pitch=pitch_of(line))
    partner = {j: i for i, j in pairs if i is not None and j is not None}
    words = {(line[i].word, reading[j].word) for j, i in partner.items()}
    letters: list[Letter | None] = [None] * len(line)
    before: list[list[Letter]] = [[] for _ in line]
    after: list[list[Letter]] = [[] for _ in line]
    previous: int | None = None
    for position, (i, j) in enumerate(pairs):
        if i is not None:
            previous = i
            letters[i] = reading[j].letter if j is not None else None
        elif j is not None:
            following = next((k for k, _ in pairs[position:] if k is not None), None)
            if previous is not None and (line[previous].word, reading[j].word) in words:
                after[previous].append(reading[j].letter)
            elif following is not None and (line[following].word, reading[j].word) in words:
                before[following].append(reading[j].letter)
    return Reading(tuple(letters), tuple(map(tuple, before)), tuple(map(tuple, after)))


def kept(letter: Letter | None, char: str) -> float:
    """Probability that `char`, or one of the same shape, is what stands there; the other case counts half."""
    if letter is None:
        return 0.0
    total = 0.0
    for other, probability in ((letter.char, letter.confidence), *letter.rivals):
        alike = alikeness(other, char)
        total += probability * (1.0 if alike > OTHER_CASE else _HALF_KEPT if alike == OTHER_CASE else 0.0)
    return min(total, 1.0)


def likeliest_other(letters: Sequence[Letter | None], char: str) -> float:
    """Mean probability over several readings of the character, not of the same shape, that most of it falls to."""
    totals: dict[str, float] = {}
    for letter in letters:
        for other, probability in ((letter.char, letter.confidence), *letter.rivals) if letter else ():
            if alikeness(other, char) < OTHER_CASE:
                totals[other] = totals.get(other, 0.0) + probability
    return max(totals.values(), default=0.0) / max(len(letters), 1)
