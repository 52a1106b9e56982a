"""Analogue clocks, drawn flat."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from miscomp.images import Pixels
from miscomp.plant.composite import EDGE
from miscomp.plant.styles import Colour

_WHITE: Colour = (244, 244, 240)
_BLACK: Colour = (24, 24, 28)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """A clock's look, and its hands' angles in degrees clockwise from twelve."""

    radius: float
    """In canvas pixels."""
    dial: Colour
    ink: Colour
    rim: Colour
    thick: float
    """Of the minute hand, in canvas pixels."""
    square: bool
    ticks: int
    """Marks around the dial."""
    second_hand: float | None
    hour: float
    minute: float


_DIALS: tuple[tuple[Colour, Colour, Colour], ...] = (
    (_WHITE, _BLACK, _BLACK),
    (_WHITE, _BLACK, (150, 150, 155)),
    ((30, 30, 36), (238, 236, 226), (90, 90, 94)),
    ((238, 228, 200), (52, 36, 26), (122, 82, 42)),
    ((20, 50, 110), (226, 190, 104), (226, 190, 104)),
)


def random_clock(radius: float, rng: np.random.Generator) -> Clock:
    """A clock of any look that shows any time."""
    dial, ink, rim = _DIALS[int(rng.integers(len(_DIALS)))]
    minutes = int(rng.integers(720))
    return Clock(
        radius=radius,
        dial=dial,
        ink=ink,
        rim=rim,
        thick=radius * float(rng.uniform(0.07, 0.11)),
        square=bool(rng.random() < 0.15),
        ticks=int(rng.choice([4, 12, 12])),
        second_hand=float(rng.uniform(0, 360)) if rng.random() < 0.25 else None,
        hour=minutes / 2,
        minute=minutes % 60 * 6.0,
    )


def drawn_clock(clock: Clock) -> tuple[Pixels, npt.NDArray[np.uint8]]:
    """The clock and its outline."""
    side = math.ceil(2 * clock.radius) + 2 * EDGE
    middle, r = side / 2, clock.radius
    picture, outline = Image.new("RGB", (side, side), clock.rim), Image.new("L", (side, side))
    draw = ImageDraw.Draw(picture)
    inner = r * 0.9
    for canvas, reach, fill in ((ImageDraw.Draw(outline), r, 255), (draw, inner, clock.dial)):
        area = (middle - reach, middle - reach, middle + reach, middle + reach)
        if clock.square:
            canvas.rectangle(area, fill=fill)
        else:
            canvas.ellipse(area, fill=fill)

    def at(angle: float, reach: float) -> tuple[float, float]:
        turn = math.radians(angle)
        return middle + reach * math.sin(turn), middle - reach * math.cos(turn)

    for tick in range(clock.ticks):
        angle = tick * 360 / clock.ticks
        width = clock.thick * (0.9 if angle % 90 == 0 else 0.6)
        draw.line((at(angle, inner * 0.8), at(angle, inner * 0.95)), fill=clock.ink, width=max(round(width), 1))
    for angle, reach, width in ((clock.hour, 0.5, 1.5), (clock.minute, 0.78, 1.0)):
        draw.line(
            (at(angle, -0.12 * r), at(angle, reach * r)), fill=clock.ink, width=max(round(clock.thick * width), 1)
        )
    if clock.second_hand is not None:
        ends = (at(clock.second_hand, -0.15 * r), at(clock.second_hand, 0.8 * r))
        draw.line(ends, fill=(190, 30, 30), width=max(round(clock.thick * 0.35), 1))
    hub = clock.thick
    draw.ellipse((middle - hub, middle - hub, middle + hub, middle + hub), fill=clock.ink)
    return np.array(picture), np.array(outline)
