"""How alike characters look: what readers confuse by themselves, and what an exchange of characters therefore costs."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from functools import lru_cache

_SAME_SHAPE = ("0Oo", "1Il|", "Cc", "Kk", "Pp", "Ss", "Uu", "Vv", "Ww", "Xx", "Zz")
"""Drawn alike in many fonts; the size alone tells capitals from small letters."""
_ALIKE = ("0oqd", "1il|!j", "2z", "5s", "8b", "6g", "uv", "cg")
"""What readers confuse by themselves; capitals stand for small letters too."""
_SAME_LEVEL = 0.9
OTHER_CASE = 0.8
_ALIKE_LEVEL = 0.5
_ALIKE_COST = 0.25


def folded(text: str) -> str:
    """The text without spaces, full-width forms and ligatures taken apart."""
    return "".join(c for c in unicodedata.normalize("NFKC", text) if not c.isspace())


@lru_cache(maxsize=1 << 14)
def alikeness(a: str, b: str) -> float:
    """How easily a reader takes one character for another.

    0 hardly, 0.5 for look-alikes, 0.8 for the other case and among punctuation, 0.9 for one shape, 1 for one character.
    """
    if a == b:
        return 1.0
    if any(a in group and b in group for group in _SAME_SHAPE):
        return _SAME_LEVEL
    x, y = a.casefold(), b.casefold()
    if x == y or not (x.isalnum() or y.isalnum()):
        return OTHER_CASE
    return _ALIKE_LEVEL if any(x in group and y in group for group in _ALIKE) else 0.0


def exchange_cost(a: str, b: str) -> float:
    """Of one character for another: 0 for the same, a quarter for what readers confuse, else 1."""
    alike = alikeness(a, b)
    return 0.0 if alike == 1.0 else _ALIKE_COST if alike else 1.0


def gap_cost(char: str) -> float:
    """Of a character that the other reading does not have: letters and digits cost 1, punctuation a quarter."""
    return 1.0 if any(c.isalnum() for c in char) else _ALIKE_COST


def levenshtein(a: str, b: str) -> int:
    """Fewest insertions, deletions and substitutions of characters that turn `a` into `b`."""
    return round(edit_distance(a, b, lambda x, y: float(x != y), lambda _: 1.0))


def edit_distance(a: str, b: str, exchange: Callable[[str, str], float], gap: Callable[[str], float]) -> float:
    """Least cost of exchanges and gaps that turn `a` into `b`."""
    row = [0.0]
    for y in b:
        row.append(row[-1] + gap(y))
    for x in a:
        diagonal, row[0] = row[0], row[0] + gap(x)
        for j, y in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + gap(x), row[j - 1] + gap(y), diagonal + exchange(x, y))
    return row[-1]
