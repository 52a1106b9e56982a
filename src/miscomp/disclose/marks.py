"""Marks for the eye: a strip below the picture, or a plate in a corner of it, and outlines of what was found.

The result is another picture; the one that comes in is never changed. No mark lies over a finding: its pixels come out
as they went in, because they are what a viewer has to judge.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from PIL import Image

from miscomp.disclose.icon import draw_icon
from miscomp.disclose.outlines import draw_outlines, line_width
from miscomp.disclose.plates import GROUND, INK, broken, icon_side, letter_size, plate, write_lines
from miscomp.disclose.statement import Picture, Statement
from miscomp.disclose.wording import Words, words
from miscomp.errors import UsageError
from miscomp.images import Pixels, pixel_sha256
from miscomp.records import Box

LEAST_WIDTH = 160
"""Of a strip, in pixels: a narrower picture gets a white margin on its right."""


class Style(StrEnum):
    """Where the mark stands."""

    STRIP = "strip"
    """Below the picture, which gets taller; no pixel of it is touched."""
    CORNER = "corner"
    """On the picture, in a corner without findings."""
    NONE = "none"
    """No mark: outlines alone."""


class NoRoom(UsageError):
    """The picture cannot be drawn on; a strip always has room."""


def draw_mark(
    pixels: Pixels, statement: Statement, *, style: str = Style.STRIP, language: str = "en", boxes: bool = False
) -> Pixels:
    """A marked copy of a picture; with `boxes`, the listed findings are outlined too, their categories beside them.

    Raises `UsageError` for a style that is none of `Style`, where nothing is to be drawn at all, and where the
    statement is of another picture; `NoRoom` where a mark on the picture might hide a finding, or where the picture is
    too small for it; `UnknownName` for a language that there is not.
    """
    if style not in tuple(Style):
        raise UsageError(f"there is no style {style!r} of marks; there are {', '.join(Style)}")
    if style == Style.NONE and not boxes:
        raise UsageError("style none without boxes draws nothing; ask for a mark, for boxes, or for both")
    _check(pixels, statement)
    said = words(statement, language)
    found = [Box(place.x, place.y, place.w, place.h) for place in statement.places]
    marked = np.array(pixels)
    taken: list[Box] = []
    if (style == Style.CORNER or boxes) and (statement.findings or 0) > len(found):
        raise NoRoom(
            f"only {len(found)} of {statement.findings} findings have a place here, so the picture cannot be drawn on "
            "without hiding the others; use a strip without boxes"
        )
    if style == Style.CORNER:
        taken.append(_draw_corner(marked, said, found))
    if boxes:
        draw_outlines(marked, statement.places, language=language, taken=taken)
    return _with_strip(marked, said) if style == Style.STRIP else marked


def _check(pixels: Pixels, statement: Statement) -> None:
    height, width = pixels.shape[:2]
    about: Picture = statement.picture
    if (about.width, about.height) != (width, height):
        raise UsageError(
            f"the statement is of a picture of {about.width} x {about.height} pixels, this one has {width} x {height}"
        )
    if about.pixel_sha256 and about.pixel_sha256 != pixel_sha256(pixels):
        raise UsageError("the statement is of other pixels than this picture's; make one for this picture")


def _with_strip(pixels: Pixels, said: Words) -> Pixels:
    height, width = pixels.shape[:2]
    size = letter_size(width, height)
    whole = max(width, LEAST_WIDTH)
    margin, side, line = round(0.7 * size), icon_side(size), line_width(width, height)
    left = 2 * margin + side
    text = broken((said.label, said.detail), size, whole - left - margin)
    strip = line + max(text.height, side) + 2 * margin
    image = Image.new("RGB", (whole, strip), GROUND)
    image.paste(INK, (0, 0, whole, line))
    image.paste(Image.fromarray(draw_icon(side)), (margin, line + (strip - line - side) // 2))
    write_lines(image, text, left, line + (strip - line - text.height) // 2)
    marked = np.full((height + strip, whole, 3), 255, np.uint8)
    marked[:height, :width] = pixels
    marked[height:] = np.asarray(image)
    return marked


def _draw_corner(pixels: Pixels, said: Words, found: list[Box]) -> Box:
    """Draw the plate into the first free corner, and return where it lies."""
    height, width = pixels.shape[:2]
    size = letter_size(width, height)
    line = line_width(width, height)
    mark = plate(broken(said.mark, size, width), icon=True, border=line)
    tall, wide = mark.shape[:2]
    margin = round(0.7 * size)
    if wide + 2 * margin > 0.8 * width or tall + 2 * margin > 0.5 * height:
        raise NoRoom(f"a picture of {width} x {height} pixels is too small for a mark in its corner; use a strip")
    right, bottom = width - margin - wide, height - margin - tall
    for x, y in ((right, bottom), (margin, bottom), (right, margin), (margin, margin)):
        place = Box(x, y, wide, tall)
        # Outlines of findings must have room beside the plate.
        if not any(place.grown(3 * line, width, height).intersection(one) for one in found):
            pixels[y : y + tall, x : x + wide] = mark
            return place
    raise NoRoom("every corner of the picture has a finding, which no mark may cover; use a strip")
