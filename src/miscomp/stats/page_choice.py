"""Which annotations a report shows: a bounded number, spread evenly over codecs, rates and categories."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from miscomp.corpus.selection import shuffled
from miscomp.records import Annotation
from miscomp.stats.material import Material

Cell = tuple[str, str, str]
"""Codec, rate (`low`, `high` or empty), and main category or empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryRequest:
    """What is to be shown."""

    count: int = 200
    """At most so many annotations."""
    seed: int = 0
    """Of the order in which they are drawn; a smaller count is the beginning of a larger one."""


def cell_of(material: Material, one: Annotation) -> Cell:
    """Where an annotation stands in the gallery; one of several categories stands under its main one."""
    categories = one.categories
    return material.codec_of(one.model), material.rate_of(one.model), categories[0].value if categories else ""


def choose(material: Material, annotations: Sequence[Annotation], request: GalleryRequest) -> list[Annotation]:
    """One of each cell, then a second of each, until there are enough; order within and between cells is drawn."""
    by_key = {_key(one): one for one in annotations}
    cells: dict[Cell, list[Annotation]] = {}
    for key in shuffled(by_key, seed=request.seed, purpose="gallery"):
        cells.setdefault(cell_of(material, by_key[key]), []).append(by_key[key])
    waiting = deque(deque(found) for found in cells.values())
    chosen: list[Annotation] = []
    while waiting and len(chosen) < request.count:
        found = waiting.popleft()
        chosen.append(found.popleft())
        if found:
            waiting.append(found)
    return chosen


def _key(one: Annotation) -> str:
    # Tables of several detectors or imports may give two boxes one id: the box is part of what tells them apart.
    return "\0".join((one.image_sha1, one.model, one.labeler, one.id, str(one.box)))
