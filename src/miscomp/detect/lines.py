"""Two readings of one line, aligned letter by letter by what the letters are and by where they stand."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from miscomp.detect.similar import exchange_cost, gap_cost
from miscomp.detect.strips import place_along, sides
from miscomp.detect.words import Letter, Quad, Word

_REACH = 0.5
"""How far the first and last letter of a word reach, in units of the usual distance."""
_AWAY = 0.6
"""What a letter costs that stands a letter's width from where it should."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A letter of a line."""

    letter: Letter
    at: float
    """Its middle along the line, 0 to 1 of the quad's length."""
    word: int
    """Which word of the line it belongs to."""

    @property
    def char(self) -> str:
        """The character without full-width forms; may be several for a ligature."""
        return unicodedata.normalize("NFKC", self.letter.char)


def placed(words: Sequence[Word], quad: Quad) -> list[Placed]:
    """The letters of words in reading order; words without letters have them spread evenly over their boxes."""
    return [
        Placed(letter, at, number)
        for number, word in enumerate(words)
        for letter, at in zip(_letters(word), _places(word, quad), strict=True)
    ]


def align(before: Sequence[Placed], after: Sequence[Placed], *, pitch: float) -> list[tuple[int | None, int | None]]:
    """Pairs of positions in an alignment of least cost; `None` marks a letter that the other side does not have.

    `pitch` is the usual distance of letters in the unit of their places: a letter far from its counterpart
    costs more, so that of two equal letters the right one is missed.
    """
    table = [[0.0]]
    for new in after:
        table[0].append(table[0][-1] + gap_cost(new.char))
    for i, old in enumerate(before):
        drop = gap_cost(old.char)
        row = [table[i][0] + drop]
        for j, new in enumerate(after):
            swap = table[i][j] + _cost(old, new, pitch)
            row.append(min(swap, table[i][j + 1] + drop, row[j] + gap_cost(new.char)))
        table.append(row)
    return _path(table, before, after, pitch)


def pitch_of(letters: Sequence[Placed]) -> float:
    """The usual distance between neighbours, in the unit of their places; 1 for a single letter."""
    steps = sorted(b.at - a.at for a, b in pairwise(letters) if a.word == b.word)
    return max(steps[len(steps) // 2], 1e-6) if steps else 1.0


def extents(letters: Sequence[Placed], quad: Quad) -> list[tuple[float, float]]:
    """From where to where each letter reaches along the line: halfway to its neighbours in the same word."""
    along, across = sides(quad)
    reach = _REACH * min(pitch_of(letters), across / along)
    found = []
    for k, one in enumerate(letters):
        before = letters[k - 1] if k and letters[k - 1].word == one.word else None
        after = letters[k + 1] if k + 1 < len(letters) and letters[k + 1].word == one.word else None
        left = (before.at + one.at) / 2 if before else one.at - reach
        right = (after.at + one.at) / 2 if after else one.at + reach
        found.append((left, right))
    return found


def _path(
    table: list[list[float]], before: Sequence[Placed], after: Sequence[Placed], pitch: float
) -> list[tuple[int | None, int | None]]:
    i, j = len(before), len(after)
    pairs: list[tuple[int | None, int | None]] = []
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + _cost(before[i - 1], after[j - 1], pitch):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and table[i][j] == table[i - 1][j] + gap_cost(before[i - 1].char):
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _cost(old: Placed, new: Placed, pitch: float) -> float:
    away = max(abs(old.at - new.at) / pitch - 0.25, 0.0)
    return exchange_cost(old.char, new.char) + _AWAY * away


def _letters(word: Word) -> tuple[Letter, ...]:
    return word.letters or tuple(Letter(char, word.box, word.confidence) for char in word.text)


def _places(word: Word, quad: Quad) -> list[float]:
    if word.letters:
        return [place_along(quad, *letter.box.center) for letter in word.letters]
    (x, y), count = word.box.center, max(len(word.text), 1)
    corners = [(a, b) for a in (word.box.x, word.box.right) for b in (word.box.y, word.box.bottom)]
    reach = [place_along(quad, *corner) for corner in corners]
    middle, length = place_along(quad, x, y), max(reach) - min(reach)
    return [middle + length * ((k + 0.5) / count - 0.5) for k in range(count)]
