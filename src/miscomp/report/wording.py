"""The words of a report: every claim is a candidate, every number says what it is."""

from __future__ import annotations

import math
import unicodedata

from miscomp.taxonomy import Category

QUESTIONS = (
    ("changed", "Did something visibly change?", "speaks for"),
    ("relevant", "Does what changed carry meaning?", "speaks for"),
    ("suspicion", "Does the reconstruction alone give it away?", "speaks against"),
    ("expected", "Is it what one would expect there?", "speaks against"),
    ("category", "What kind of change?", ""),
)
"""Field of `Finding`, the question it answers, and what a high value means for the finding."""

SPEAKS_AGAINST_NOTE = "The last two speak against a finding only together."

CATEGORY_WORDS = {
    Category.AMPLITUDE.value: "same structure; contrast, brightness or colour may differ, or something may have faded",
    Category.GEOMETRY.value: "may have moved, turned, been scaled or sheared",
    Category.SHAPE.value: "contours may differ, explained by neither of the others",
}

LIMITS = (
    "It reads only some scripts, and small or blurred text poorly: a changed word it cannot read is not named as text.",
    "It does not know who a person is, or whether a face is still the same face.",
    "It does not know your field: a dial, a diagram, a plant or a wound may carry meaning that it does not see.",
    "It can miss changes of a few pixels, and whatever changed alike everywhere in the picture.",
    "It does not know the scene. You may; compare with what you know.",
    "A score orders candidates. It is not a probability.",
    "No findings does not prove that a reconstruction is faithful.",
)

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def visible(text: str) -> str:
    """Make control, direction and unpaired characters visible as `⟨U+202E⟩`, so that no name can pose as another."""
    if text.isprintable():
        return text
    return "".join(f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in _HIDDEN and c != "\n" else c for c in text)


def one_line(text: str) -> str:
    """Make line feeds visible too, for places where a message is one line."""
    return visible(text).replace("\n", "⟨U+000A⟩")


def number(value: float | None, digits: int = 2) -> str:
    """A figure with fixed digits; an en dash for unknown, a sign for infinity."""
    if value is None or math.isnan(value):
        return "\u2013"
    if math.isinf(value):
        return "∞" if value > 0 else "\u2212∞"
    return f"{value:.{digits}f}"


def short_number(value: float | str) -> str:
    """A number behind an answer: four digits are enough to follow the argument; text stays as it is."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    return f"{value:.4g}"


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 image`, `2 images`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}".replace(",", "\u202f")
