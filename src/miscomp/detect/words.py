"""Words that were read, and what became of them: matching by place, comparing by edit distance.

Nothing here reads pictures. A reading is never proof: confidences say how sure the reader was, and
differences that readers make by themselves (0 and O, capitals, punctuation) weigh little.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from miscomp.records import Box

Quad = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""Corners (x, y) of a line of text in pixels, in reading order: start top, end top, end bottom, start bottom."""

SURE = 0.8
"""A reading below this confidence is no evidence by itself."""

_WEAK = 0.25
_SAME_PLACE = 0.3
_LOOKALIKES = ("0oqd", "1il|!j", "2z", "5s", "8b", "6g", "uv", "cg")
_STROKES = frozenset("1il|!j")


@dataclass(frozen=True, slots=True)
class Word:
    """A word as read: its tight box and how sure the reader was of its letters, 0 to 1."""

    text: str
    box: Box
    confidence: float


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
    """A word that may have been lost, changed or that appeared; `confidence` (0 to 1) that this is no reading error."""

    kind: Literal["lost", "changed", "appeared"]
    box: Box
    before: str
    """The original's reading; empty where nothing could be read."""
    after: str
    """The reconstruction's reading; empty where nothing could be read."""
    distance: int
    """Levenshtein distance between the two readings, in characters."""
    confidence: float

    @property
    def words(self) -> str:
        """The change in a plain sentence, worded as a candidate."""
        if self.kind == "changed":
            return f'the reading "{self.before}" may have become "{self.after}"'
        if self.kind == "lost":
            now = f' (now read as "{self.after}")' if self.after else ""
            return f'the reading "{self.before}" may no longer be readable{now}'
        was = f' (the original was read as "{self.before}")' if self.before else ""
        return f'the reading "{self.after}" may have appeared where nothing was readable{was}'


@dataclass(frozen=True, slots=True)
class Match:
    """What stands at the place of a word in the other reading; `word` is `None` where only that one has a word."""

    word: Word | None
    text: str
    box: Box
    confidence: float
    cost: float
    """`reading_cost` between the two."""


def levenshtein(a: str, b: str) -> int:
    """Fewest insertions, deletions and substitutions of characters that turn `a` into `b`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def reading_cost(a: str, b: str) -> float:
    """Edit distance in which look-alikes, capitals and punctuation cost a quarter; 0 means that both read the same."""
    return _edit_table(_folded(a), _folded(b))[-1][-1]


def plausibility(text: str) -> float:
    """How much a string looks like a word or number, 0 to 1.

    Needs two letters or digits. Bars alone ("Il1") and one letter repeated ("EEE") give 0: facades and fences read so.
    """
    letters = [c for c in _folded(text).casefold() if c.isalnum()]
    if len(letters) < 2 or set(letters) <= _STROKES:
        return 0.0
    if len(set(letters)) == 1 and letters[0].isalpha():
        return 0.0
    return min(1.0, (len(letters) + 1) / 4)


def match_words(before: Sequence[Word], after: Sequence[Word]) -> list[Match]:
    """For every word of `before` what `after` has at its place, then the words that only `after` has.

    Words are matched by overlap. Where one reading joins or parts words ("NOEXIT", "NO EXIT"), the letters
    are aligned across the words, so only words whose letters differ cost anything.
    """
    matches: list[Match] = []
    for old, new in _places(before, after):
        matches.extend(_match_place([before[i] for i in old], [after[j] for j in new]))
    return sorted(matches, key=lambda m: (m.word is None, m.box.y, m.box.x, m.box.w, m.box.h, m.text))


def compare_words(before: Sequence[Word], after: Sequence[Word]) -> list[WordChange]:
    """Words lost, changed or appeared between two readings of the same scene, from top to bottom.

    A word counts when it was read with at least `SURE` and is plausible. Where the other reading is unsure
    the word is `lost`, the less so the surer the other reading is; identical readings give no change.
    """
    changes = [change for match in match_words(before, after) if (change := as_change(match))]
    return sorted(changes, key=lambda c: (c.box.y, c.box.x, c.box.w, c.box.h, c.kind))


def as_change(match: Match) -> WordChange | None:
    """The change that a match speaks for, or `None` where it is too weak to count."""
    if match.word is None:
        confidence = _rounded(match.confidence * plausibility(match.text))
        if match.confidence < SURE or not confidence:
            return None
        return WordChange("appeared", match.box, "", match.text, len(match.text), confidence)
    word, weight = match.word, plausibility(match.word.text) * min(1.0, match.cost)
    if word.confidence < SURE or not weight:
        return None
    changed = bool(match.text) and match.confidence >= SURE
    certainty = match.confidence if changed else (1.0 - match.confidence if match.text else 1.0)
    confidence = _rounded(word.confidence * weight * certainty)
    if not confidence:
        return None
    distance = levenshtein(word.text, match.text)
    return WordChange("changed" if changed else "lost", word.box, word.text, match.text, distance, confidence)


def _rounded(confidence: float) -> float:
    return round(confidence, 3)


def _folded(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKC", text) if not c.isspace())


def _insertion_cost(char: str) -> float:
    return 1.0 if char.isalnum() else _WEAK


def _substitution_cost(a: str, b: str) -> float:
    if a == b:
        return 0.0
    x, y = a.casefold(), b.casefold()
    if x == y or not (x.isalnum() or y.isalnum()) or any(x in group and y in group for group in _LOOKALIKES):
        return _WEAK
    return 1.0


def _edit_table(a: str, b: str) -> list[list[float]]:
    table = [[0.0]]
    for y in b:
        table[0].append(table[0][-1] + _insertion_cost(y))
    for i, x in enumerate(a):
        above, drop = table[i], _insertion_cost(x)
        row = [above[0] + drop]
        for j, y in enumerate(b):
            replace = above[j] + _substitution_cost(x, y)
            row.append(min(replace, above[j + 1] + drop, row[j] + _insertion_cost(y)))
        table.append(row)
    return table


def _aligned(a: str, b: str) -> list[tuple[int | None, int | None]]:
    """Pairs of positions in an alignment of least cost; `None` marks an inserted or dropped character."""
    table = _edit_table(a, b)
    i, j = len(a), len(b)
    pairs: list[tuple[int | None, int | None]] = []
    while i or j:
        if i and j and table[i][j] == table[i - 1][j - 1] + _substitution_cost(a[i - 1], b[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i and table[i][j] == table[i - 1][j] + _insertion_cost(a[i - 1]):
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]


def _places(before: Sequence[Word], after: Sequence[Word]) -> list[tuple[list[int], list[int]]]:
    """Groups of words, as indices into both readings, that are linked by overlapping boxes."""
    both = [*before, *after]
    group = list(range(len(both)))

    def root(i: int) -> int:
        while group[i] != i:
            group[i] = group[group[i]]
            i = group[i]
        return i

    for i, j in _overlaps(before, after):
        group[root(len(before) + j)] = root(i)
    places: dict[int, tuple[list[int], list[int]]] = {}
    for i in range(len(both)):
        old, new = places.setdefault(root(i), ([], []))
        (old if i < len(before) else new).append(i if i < len(before) else i - len(before))
    return list(places.values())


def _overlaps(before: Sequence[Word], after: Sequence[Word]) -> list[tuple[int, int]]:
    if not before or not after:
        return []
    a = np.array([(w.box.x, w.box.y, w.box.right, w.box.bottom, w.box.area) for w in before], np.int64)[:, None]
    b = np.array([(w.box.x, w.box.y, w.box.right, w.box.bottom, w.box.area) for w in after], np.int64)[None]
    width = np.minimum(a[..., 2], b[..., 2]) - np.maximum(a[..., 0], b[..., 0])
    height = np.minimum(a[..., 3], b[..., 3]) - np.maximum(a[..., 1], b[..., 1])
    both = np.maximum(width, 0) * np.maximum(height, 0)
    return [(int(i), int(j)) for i, j in np.argwhere(both >= _SAME_PLACE * np.minimum(a[..., 4], b[..., 4]))]


def _in_reading_order(words: Sequence[Word]) -> list[Word]:
    """Left to right; top to bottom where the words stand above each other."""
    spread_x = max(w.box.center[0] for w in words) - min(w.box.center[0] for w in words)
    spread_y = max(w.box.center[1] for w in words) - min(w.box.center[1] for w in words)
    axis = 0 if spread_x >= spread_y else 1
    return sorted(words, key=lambda w: (w.box.center[axis], w.box.center[1 - axis], w.text))


def _match_place(old: Sequence[Word], new: Sequence[Word]) -> list[Match]:
    if not old:
        return [Match(None, w.text, w.box, w.confidence, reading_cost("", w.text)) for w in new]
    if not new:
        return [Match(w, "", w.box, 0.0, reading_cost(w.text, "")) for w in old]
    old, new = _in_reading_order(old), _in_reading_order(new)
    old_owner = [k for k, w in enumerate(old) for _ in _folded(w.text)]
    new_owner = [k for k, w in enumerate(new) for _ in _folded(w.text)]
    letters = "".join(_folded(w.text) for w in new)
    pairs = _aligned("".join(_folded(w.text) for w in old), letters)
    linked = {new_owner[j] for i, j in pairs if i is not None and j is not None}
    texts, sources = [""] * len(old), [set[int]() for _ in old]
    current = 0
    for i, j in pairs:
        current = old_owner[i] if i is not None else current
        if j is not None and new_owner[j] in linked:
            texts[current] += letters[j]
            sources[current].add(new_owner[j])
    matches = []
    for word, text, source in zip(old, texts, sources, strict=True):
        confidence = float(np.mean([new[k].confidence for k in sorted(source)])) if source else 0.0
        matches.append(Match(word, text, word.box, confidence, reading_cost(word.text, text)))
    alone = [w for k, w in enumerate(new) if k not in linked]
    return matches + [Match(None, w.text, w.box, w.confidence, reading_cost("", w.text)) for w in alone]
