"""Boxes into tiles: what agreement is measured on (Hofer and Böhme 2025, section 3.2.4).

An image of W x H pixels has n x n tiles; tile (row i, column j) is [jW/n, (j+1)W/n) x [iH/n, (i+1)H/n). Borders may lie
between pixels: a box's share of a tile is worked out in whole numbers, n times as large, so nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from miscomp.errors import InputError, UsageError
from miscomp.records import Annotation, ImageRow
from miscomp.stats.material import Material
from miscomp.stats.ratings import MISSING, Indices, Ratings

MAX_PER_SIDE = 128
MAX_UNITS = 20_000_000
MAX_SIDE = 2**22
"""Pixels; with it and `MAX_PER_SIDE`, twice an area n * n times as large still fits 64 bits."""


class Rule(StrEnum):
    """Which tile a box makes annotated; never more than one."""

    MAJORITY = "majority"
    """The paper's: the tile that holds more than half of the box. A box over several tiles may have none."""
    LARGEST = "largest"
    """The tile that holds most of the box; of equal ones the first, row by row from the top left."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Common:
    """The reconstructions that at least two of the labelers have seen, and the boxes on them."""

    labelers: tuple[str, ...]
    images: tuple[tuple[str, str], ...]
    """(SHA-1, model); all of a photograph lie one behind the other."""
    photograph: Indices
    """By image, which photograph it is of, 0, 1, 2 ... in order."""
    seen: npt.NDArray[np.bool_]
    """(images, labelers)."""
    image: Indices
    """By box, which image it is on."""
    labeler: Indices
    """By box, who drew it."""
    boxes: Indices
    """(boxes, 2 axes, 3): start, length, and the image's length; x before y."""
    alone: int
    """Reconstructions that one of the labelers alone has seen; they say nothing about agreement."""
    unseen: int
    """Reconstructions that none of them has seen."""
    alone_boxes: int
    """Boxes on those that one alone has seen; they count nowhere."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Rated:
    """Who called which tile annotated."""

    per_side: int
    rule: Rule
    ratings: Ratings
    """Tiles of an image lie row by row from the top left."""
    boxes: int
    unassigned: int
    """Boxes that made no tile annotated."""

    @property
    def tiles(self) -> int:
        """Tiles of an image."""
        return self.per_side**2


def common(material: Material, labelers: Sequence[str] = ()) -> Common:
    """What two or more of the labelers (all of the material's, where none are named) have seen.

    Raises `InputError` for an image longer than `MAX_SIDE`.
    """
    names = tuple(dict.fromkeys(labelers)) or material.labelers
    place = {name: number for number, name in enumerate(names)}
    rows, counts = _rows(material, names)
    number = {(one.image_sha1, one.model): index for index, (one, _) in enumerate(rows)}
    photograph = {sha1: index for index, sha1 in enumerate(dict.fromkeys(sha1 for sha1, _ in number))}
    theirs = [one for one in material.annotations if one.labeler in place]
    boxes = [one for one in theirs if (one.image_sha1, one.model) in number]
    image = [number[one.image_sha1, one.model] for one in boxes]
    spans = [_spans(one, rows[index][0]) for one, index in zip(boxes, image, strict=True)]
    return Common(
        labelers=names,
        images=tuple(number),
        photograph=np.array([photograph[sha1] for sha1, _ in number], dtype=np.int64),
        seen=np.array([seen for _, seen in rows], dtype=np.bool_).reshape(len(rows), len(names)),
        image=np.array(image, dtype=np.int64),
        labeler=np.array([place[one.labeler] for one in boxes], dtype=np.int64),
        boxes=np.array(spans, dtype=np.int64).reshape(-1, 2, 3),
        alone=counts[1],
        unseen=counts[0],
        alone_boxes=len(theirs) - len(boxes),
    )


def _rows(material: Material, names: Sequence[str]) -> tuple[list[tuple[ImageRow, list[bool]]], dict[int, int]]:
    """Photograph by photograph, what two have seen and who did; and how many reconstructions none, and one, have."""
    seen_by = material.seen_by()
    order = {sha1: rank for rank, sha1 in enumerate(dict.fromkeys(one.image_sha1 for one in material.images))}
    rows = []
    counts = {0: 0, 1: 0}
    for one in sorted(material.images, key=lambda one: order[one.image_sha1]):
        seen = [name in seen_by[one.image_sha1, one.model] for name in names]
        if sum(seen) < 2:
            counts[sum(seen)] += 1
            continue
        if max(one.width, one.height) > MAX_SIDE:
            size = f"{one.width} x {one.height} pixels"
            raise InputError(one.filename, f"{size}; agreement is for at most {MAX_SIDE} a side")
        rows.append((one, seen))
    return rows, counts


def _spans(one: Annotation, image: ImageRow) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    return (one.x, one.w, image.width), (one.y, one.h, image.height)


def rate(material: Material, per_side: int, rule: Rule | str = Rule.MAJORITY, labelers: Sequence[str] = ()) -> Rated:
    """Rate every tile; see `common` for who and what counts and `rate_common` for errors."""
    return rate_common(common(material, labelers), per_side, rule)


def rate_common(found: Common, per_side: int, rule: Rule | str = Rule.MAJORITY) -> Rated:
    """1 where a labeler drew a box that makes the tile annotated, 0 where not, -1 where the image was not seen.

    What a resample will draw is a photograph with all its reconstructions: they show the same places.

    Raises `UsageError` for an unknown rule, and unless `per_side` is 1 to `MAX_PER_SIDE` and the tiles of all images
    at most `MAX_UNITS`.
    """
    wanted = as_rule(rule)
    check_per_side(per_side)
    tiles = per_side**2
    if tiles * len(found.images) > MAX_UNITS:
        raise UsageError(
            f"{len(found.images)} images of {per_side} x {per_side} tiles are more than {MAX_UNITS:,} units; ask for "
            "fewer units per side, or for some models only"
        )
    values = np.where(np.repeat(found.seen, tiles, axis=0), np.int8(0), np.int8(MISSING))
    columns, in_x = _tile(found.boxes[:, 0], per_side)
    rows, in_y = _tile(found.boxes[:, 1], per_side)
    area = found.boxes[:, 0, 1] * found.boxes[:, 1, 1] * tiles
    assigned = 2 * in_x * in_y > area if wanted == Rule.MAJORITY else np.ones(len(area), dtype=np.bool_)
    unit = found.image * tiles + rows * per_side + columns
    values[unit[assigned], found.labeler[assigned]] = 1
    ratings = Ratings(values=values, image=np.repeat(found.photograph, tiles), labelers=found.labelers)
    unassigned = len(area) - int(assigned.sum())
    return Rated(per_side=per_side, rule=wanted, ratings=ratings, boxes=len(area), unassigned=unassigned)


def as_rule(rule: Rule | str) -> Rule:
    """Raise `UsageError` for a rule that there is not."""
    if rule not in tuple(Rule):
        raise UsageError(f"unknown rule {str(rule)!r}; a box counts by {' or '.join(Rule)}")
    return Rule(rule)


def check_per_side(per_side: int) -> None:
    """Raise `UsageError` unless an image can be cut so."""
    if not 1 <= per_side <= MAX_PER_SIDE:
        raise UsageError(f"units per side must be 1 to {MAX_PER_SIDE}, got {per_side}")


def _tile(spans: Indices, per_side: int) -> tuple[Indices, Indices]:
    """The tile of one axis that overlaps each span most (of equal ones the first), and by how much, times `per_side`.

    It is the one in which the span begins or the next: a third is reached only where the next one is full. Since a
    tile's share of a box is the product of both axes', the best tile of the plane is the best of each.
    """
    start, length, total = (spans[:, column] for column in range(3))
    begin, end = start * per_side, (start + length) * per_side
    first = begin // total
    border = (first + 1) * total
    here = np.minimum(end, border) - begin
    there = np.clip(end - border, 0, total)
    return np.where(here >= there, first, first + 1), np.maximum(here, there)
