"""The icon: a picture in its frame, a question in it, and a spark where the frame is open.

`assets/icon.svg` is made of filled polygons only (`M`, `L`, `Z`, absolute), so that Pillow can draw the same shapes.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import numpy as np
from PIL import Image, ImageColor, ImageDraw

from miscomp.images import Pixels

_SIDE = 32
"""Of the SVG's view box."""
_FINER = 8
_PATH = re.compile(r'<path fill="(#[0-9a-f]{6})" d="M([-0-9. L]+)Z"/>')


@cache
def icon_svg() -> str:
    """The icon as SVG, for pages."""
    return (files("miscomp.disclose") / "assets" / "icon.svg").read_text(encoding="utf-8")


def shapes() -> list[tuple[str, list[tuple[float, float]]]]:
    """Colour and corners of each polygon, in the order of painting, in units of a 32 x 32 square."""
    found = []
    for colour, path in _PATH.findall(icon_svg()):
        corners = [point.split() for point in path.split("L")]
        found.append((colour, [(float(x), float(y)) for x, y in corners]))
    return found


def draw_icon(side: int) -> Pixels:
    """The icon on its white ground, `side` x `side` pixels; raises `ValueError` for less than 8."""
    if side < 8:
        raise ValueError(f"the icon needs at least 8 pixels a side, got {side}")
    large = Image.new("RGB", (side * _FINER, side * _FINER))
    pen = ImageDraw.Draw(large)
    scale = side * _FINER / _SIDE
    for colour, corners in shapes():
        pen.polygon([(x * scale, y * scale) for x, y in corners], fill=ImageColor.getrgb(colour))
    return np.asarray(large.resize((side, side), Image.Resampling.BOX))
