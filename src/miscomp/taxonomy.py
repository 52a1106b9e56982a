"""The three categories of miscompressions and their order in writing.

Source: Hofer and Böhme, "A Taxonomy of Miscompressions", WIFS 2024, section III-B.
"""

from __future__ import annotations

from enum import StrEnum


class Category(StrEnum):
    """What happened to the signal, seen as signal processing."""

    AMPLITUDE = "AMPLITUDE"
    """Same structure; contrast, brightness or colour changed, or an object faded away."""
    GEOMETRY = "GEOMETRY"
    """Explained by a displacement: shifted, rotated, scaled or sheared."""
    SHAPE = "SHAPE"
    """Contours changed, explained by neither of the others."""


class Origin(StrEnum):
    """Who made an annotation."""

    PERSON = "person"
    DETECTOR = "detector"
    TRUTH = "truth"
    SIMULATED = "simulated"


class MultiKind(StrEnum):
    """Types of multi-miscompression noted by labelers (SCLIC appendix 2.2.2)."""

    COLOR = "color"
    MERGING = "merging"
    IRREGULAR_BLURRING = "irregular_blurring"
    TEXTURE = "texture"
    RESHAPING = "reshaping"
    NOTEWORTHY = "noteworthy"
    TO_DISCUSS = "to_discuss"


def join_categories(categories: tuple[Category, ...]) -> str:
    """Write categories as in the tables, the main one first: `SHAPE+AMPLITUDE`; none gives an empty string."""
    if len(set(categories)) != len(categories):
        raise ValueError(f"a category appears twice in {[c.value for c in categories]}")
    return "+".join(category.value for category in categories)


def split_categories(text: str) -> tuple[Category, ...]:
    """Read `SHAPE+AMPLITUDE`; an empty string gives no category. Raises `ValueError` for anything else."""
    if not text:
        return ()
    known = {category.value: category for category in Category}
    parts = text.split("+")
    for part in parts:
        if part not in known:
            raise ValueError(f"unknown category {part!r}; allowed: {', '.join(known)}, joined by '+'")
    categories = tuple(known[part] for part in parts)
    join_categories(categories)
    return categories
