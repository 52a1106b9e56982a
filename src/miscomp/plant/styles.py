"""The sorts of signs: what stands on them, their colours and faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from miscomp.plant.fonts import SEGMENTS, Face, faces
from miscomp.plant.words import TextSource, display, label, plate, price, room, street, word

Colour = tuple[int, int, int]

_WHITE: Colour = (244, 244, 240)
_BLACK: Colour = (22, 22, 26)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """A sort of sign. Colours are (ground, ink); paddings and the like are drawn anew for every sign."""

    name: str
    text: TextSource
    colours: tuple[tuple[Colour, Colour], ...]
    faces: tuple[str, ...] = ()
    """Beginnings of the names of its faces among the bundled ones; empty: any."""
    segments: bool = False
    shines: bool = False
    two_lines: float = 0.0
    """How often a second line stands below."""
    border: float = 0.5
    """How often it has a border line."""
    strip: float = 0.0
    """How often a blue strip stands at its left."""


STYLES = (
    Style(
        name="plate",
        text=plate,
        faces=("DejaVuSans-Bold", "DejaVuSansMono", "Aileron"),
        colours=(
            (_WHITE, _BLACK),
            ((246, 204, 40), _BLACK),
            ((28, 28, 32), (226, 226, 224)),
            (_WHITE, (16, 44, 110)),
            (_WHITE, (150, 24, 28)),
        ),
        border=0.9,
        strip=0.4,
    ),
    Style(
        name="street sign",
        text=street,
        colours=(
            ((18, 72, 150), _WHITE),
            (_WHITE, _BLACK),
            ((4, 104, 62), _WHITE),
            ((92, 52, 24), (238, 230, 202)),
            ((248, 204, 8), _BLACK),
        ),
        two_lines=0.3,
        border=0.7,
    ),
    Style(
        name="shop sign",
        text=word,
        colours=(
            ((130, 22, 32), (248, 230, 184)),
            ((32, 32, 34), (230, 192, 96)),
            ((240, 230, 210), (62, 32, 22)),
            ((6, 90, 110), _WHITE),
            (_WHITE, (198, 24, 42)),
            ((62, 82, 42), (244, 240, 222)),
        ),
        two_lines=0.25,
    ),
    Style(
        name="label",
        text=label,
        colours=(
            (_WHITE, _BLACK),
            ((252, 234, 124), _BLACK),
            ((234, 224, 200), (72, 52, 42)),
            ((224, 226, 228), (24, 42, 120)),
        ),
        two_lines=0.4,
    ),
    Style(
        name="price tag",
        text=price,
        colours=(
            ((252, 218, 10), (198, 14, 24)),
            ((198, 22, 32), _WHITE),
            (_WHITE, (198, 14, 24)),
            ((252, 222, 44), _BLACK),
            (_BLACK, _WHITE),
        ),
        border=0.3,
    ),
    Style(
        name="house number",
        text=room,
        colours=(
            ((18, 62, 140), _WHITE),
            (_WHITE, _BLACK),
            ((42, 40, 40), (210, 180, 112)),
            ((22, 80, 62), _WHITE),
        ),
        border=0.6,
    ),
    Style(
        name="display",
        text=display,
        segments=True,
        shines=True,
        colours=(
            ((16, 16, 18), (255, 56, 40)),
            ((14, 18, 14), (84, 250, 110)),
            ((18, 16, 12), (255, 176, 52)),
            ((10, 16, 20), (110, 220, 255)),
        ),
    ),
    Style(name="LCD", text=display, segments=True, colours=(((152, 166, 142), (30, 38, 34)),), border=0.8),
)


def pick_style(rng: np.random.Generator) -> Style:
    """One of the sorts of signs."""
    return STYLES[int(rng.integers(len(STYLES)))]


def pick_face(style: Style, text: str, rng: np.random.Generator, own: Sequence[Face] = ()) -> Face | None:
    """A face of the style's that has every letter; the user's `own` take the bundled ones' place, if there are any."""
    if style.segments:
        return SEGMENTS if SEGMENTS.has(text) else None
    fitting: list[Face] = list(own) or [one for one in faces() if not style.faces or one.name.startswith(style.faces)]
    fitting = [one for one in fitting if one.has(text)]
    return fitting[int(rng.integers(len(fitting)))] if fitting else None
