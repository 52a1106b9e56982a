"""Outlines around findings, with their categories, on none of any finding's pixels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from miscomp.disclose.plates import GROUND, INK, LEAST_SIZE, Lines, letter_size, plate
from miscomp.disclose.statement import Place
from miscomp.disclose.wording import Phrases
from miscomp.images import Pixels
from miscomp.records import Box


def line_width(width: int, height: int) -> int:
    """Width of one line of an outline, in pixels, for a picture of `width` x `height`."""
    return max(1, round(letter_size(width, height) / 12))


def draw_outlines(pixels: Pixels, places: Sequence[Place], *, language: str, taken: Iterable[Box]) -> None:
    """Outline each place in `pixels`, dark within light, and write its category beside it where there is room.

    Both lie outside the place. Where an outline would cross another finding it is interrupted there; what is written
    covers neither a finding nor what is `taken`.
    """
    height, width = pixels.shape[:2]
    line, size = line_width(width, height), max(LEAST_SIZE, round(0.75 * letter_size(width, height)))
    before = pixels.copy()
    boxes = [Box(place.x, place.y, place.w, place.h) for place in places]
    kept = [*boxes, *taken]
    for colour, margin in ((GROUND, 2 * line), (INK, line)):
        for box in boxes:
            _ring(pixels, box, margin, line, colour)
    say = Phrases(language)
    rings = [box.grown(2 * line, width, height) for box in boxes]
    for place, box in zip(places, boxes, strict=True):
        tag = plate(Lines(lines=(_named(place, say),), size=size), icon=False, border=line)
        others = [ring for ring, other in zip(rings, boxes, strict=True) if other is not box]
        spot = _spot(box, tag, 2 * line, pixels, [*kept, *others])
        if spot is not None:
            pixels[spot.y : spot.bottom, spot.x : spot.right] = tag
            kept.append(spot)
    for one in (*boxes, *taken):
        pixels[one.y : one.bottom, one.x : one.right] = before[one.y : one.bottom, one.x : one.right]


def _ring(pixels: Pixels, box: Box, margin: int, line: int, colour: tuple[int, int, int]) -> None:
    """Paint the `line` pixels that end `margin` pixels outside the box, clipped to the picture."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = box.x - margin, box.y - margin, box.right + margin, box.bottom + margin
    for x0, y0, x1, y1 in (
        (left, top, right, top + line),
        (left, bottom - line, right, bottom),
        (left, top, left + line, bottom),
        (right - line, top, right, bottom),
    ):
        pixels[max(y0, 0) : min(max(y1, 0), height), max(x0, 0) : min(max(x1, 0), width)] = np.array(colour, np.uint8)


def _spot(box: Box, tag: Pixels, gap: int, pixels: Pixels, kept: Sequence[Box]) -> Box | None:
    """Where a tag fits into the picture beside a box and covers nothing that is to be kept."""
    height, width = pixels.shape[:2]
    tall, wide = tag.shape[:2]
    for x, y in _around(box, wide, tall, gap):
        if x < 0 or y < 0 or x + wide > width or y + tall > height:
            continue
        spot = Box(x, y, wide, tall)
        if not any(spot.intersection(one) for one in kept):
            return spot
    return None


def _around(box: Box, wide: int, tall: int, gap: int) -> Iterator[tuple[int, int]]:
    """Corners of a tag above, below, right and left of a box, flush with its edges or in the middle."""
    for y in (box.y - gap - tall, box.bottom + gap):
        yield from ((x, y) for x in (box.x - gap, box.right + gap - wide, box.x + (box.w - wide) // 2))
    for x in (box.right + gap, box.x - gap - wide):
        yield from ((x, y) for y in (box.y - gap, box.bottom + gap - tall, box.y + (box.h - tall) // 2))


def _named(place: Place, say: Phrases) -> str:
    """The category, or that it is a possible change, and whether it lies on a symbol."""
    name = place.category or say("box")
    return f"{name}, {say('box_symbol')}" if place.symbol else name
