"""Contact sheets: pictures side by side, unscaled, each with a line of text below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from miscomp.images import Pixels

_MARGIN = 12
_LABEL = 22
_TITLE = 30
_INK, _PAPER = (30, 30, 34), (250, 250, 248)


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A picture and what stands below it."""

    pixels: Pixels
    label: str


def draw_sheet(title: str, lines: Sequence[Sequence[Shown]]) -> Pixels:
    """One row of pictures for each line, in columns that are as wide as their widest picture or text."""
    columns = max(len(line) for line in lines)
    widths = [max((_width(line[i]) for line in lines if i < len(line)), default=0) for i in range(columns)]
    heights = [max(shown.pixels.shape[0] for shown in line) for line in lines]
    size = (sum(widths) + _MARGIN * (columns + 1), _TITLE + _MARGIN + sum(h + _LABEL + _MARGIN for h in heights))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_MARGIN, _MARGIN), title, fill=_INK, font=ImageFont.load_default(18))
    top = _TITLE + _MARGIN
    for line, height in zip(lines, heights, strict=True):
        left = _MARGIN
        for shown, width in zip(line, widths, strict=False):
            sheet.paste(Image.fromarray(np.ascontiguousarray(shown.pixels)), (left, top))
            below = top + shown.pixels.shape[0]
            draw.text((left, below + 3), shown.label, fill=_INK, font=ImageFont.load_default(14))
            left += width + _MARGIN
        top += height + _LABEL + _MARGIN
    return np.asarray(sheet)


def _width(shown: Shown) -> int:
    text = math.ceil(ImageFont.load_default(14).getlength(shown.label))
    return max(int(shown.pixels.shape[1]), text)
