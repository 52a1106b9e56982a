"""Plates with text: dark letters on white within a dark border, readable whatever lies around them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from miscomp.disclose.icon import draw_icon
from miscomp.images import Pixels

INK = (0, 0, 0)
GROUND = (255, 255, 255)
"""Black and white have a contrast of 21 : 1 (WCAG 2); so to any colour, one of them has at least 4.58 : 1."""
LEAST_SIZE = 11
"""Height of letters in pixels, below which they cannot be read."""


def letter_size(width: int, height: int) -> int:
    """Size of letters that suits a picture of `width` x `height` pixels: seen at any size, they look alike."""
    return max(LEAST_SIZE, round(0.026 * min(width, 1.5 * height)))


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """The letters, DejaVu Sans: Latin, Greek and Cyrillic; Pillow's own font has no umlauts."""
    content = (files("miscomp.disclose") / "assets" / "label.ttf").read_bytes()
    # The basic layout is the same wherever Pillow is; the other needs a library that may be missing.
    return ImageFont.truetype(io.BytesIO(content), size, layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """Text broken into lines."""

    lines: tuple[str, ...]
    size: int
    """Of the letters, in pixels."""

    @property
    def width(self) -> int:
        """Of the longest line, in pixels."""
        return max(int(np.ceil(font(self.size).getlength(line))) for line in self.lines)

    @property
    def pitch(self) -> int:
        """From line to line, in pixels."""
        return round(1.3 * self.size)

    @property
    def height(self) -> int:
        """Of all lines, in pixels."""
        return self.pitch * len(self.lines)


def broken(texts: tuple[str, ...], size: int, width: int) -> Lines:
    """Each text on lines of its own, at most `width` pixels wide; what has no space to break at is broken anywhere."""
    lines: list[str] = []
    for text in texts:
        lines += _broken_line(text, font(size), width)
    return Lines(lines=tuple(lines), size=size)


def _broken_line(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[str]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if face.getlength(longer) <= width:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and face.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def write_lines(image: Image.Image, text: Lines, x: int, y: int) -> None:
    """Write lines in ink, their upper left corner at x, y."""
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(text.lines):
        pen.text((x, y + number * text.pitch), line, font=font(text.size), fill=INK)


def plate(text: Lines, *, icon: bool, border: int) -> Pixels:
    """Text, with the icon before it where asked for, on a white plate with a dark border of `border` pixels."""
    margin = border + max(2, round(0.35 * text.size))
    side = icon_side(text.size) if icon else 0
    left = margin + side + (round(0.5 * text.size) if icon else 0)
    height = max(text.height, side) + 2 * margin
    image = Image.new("RGB", (left + text.width + margin, height), INK)
    ImageDraw.Draw(image).rectangle((border, border, image.width - 1 - border, height - 1 - border), fill=GROUND)
    if icon:
        image.paste(Image.fromarray(draw_icon(side)), (margin, (height - side) // 2))
    write_lines(image, text, left, (height - text.height) // 2)
    return np.asarray(image)


def icon_side(size: int) -> int:
    """Side of the icon beside two lines of letters, in pixels."""
    return max(16, round(2.3 * size))
