"""Changes of signs without writing: clock hands, arrows, traffic lights and displays."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from miscomp.images import Pixels
from miscomp.plant.boards import make_board
from miscomp.plant.clocks import drawn_clock, random_clock
from miscomp.plant.composite import EDGE, Canvas, Placing, Wanted, place
from miscomp.plant.edits import Edit, Free, check_strength
from miscomp.plant.signboard import letter_height_for
from miscomp.plant.styles import STYLES, Colour, pick_face

_WHITE: Colour = (244, 244, 240)
_BLACK: Colour = (24, 24, 28)
_Point = tuple[float, float]
_Mask = npt.NDArray[np.uint8]


def _share(strength: float) -> float:
    """0 at strength 0.25 and below, 1 at 1."""
    return (max(strength, 0.25) - 0.25) / 0.75


def _size(
    pixels: Pixels, strength: float, rng: np.random.Generator, *, weak: tuple[float, float], plain: tuple[float, float]
) -> float:
    """A length in pixels, log-uniform between limits that grow with the strength, at most a third of the picture."""
    share = _share(strength)
    low, high = (a ** (1 - share) * b**share for a, b in zip(weak, plain, strict=True))
    length = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return min(length, float(min(pixels.shape[:2])) / 3)


def _scale(length: float) -> int:
    return 4 if length < 60 else 3


def _place(
    pixels: Pixels,
    outline: _Mask,
    look: tuple[int, float, float],
    rng: np.random.Generator,
    *,
    free: Free,
) -> Placing | None:
    """`look`: canvas pixels for one pixel, width of the finest stroke in pixels, most turn in degrees."""
    scale, finest, turn = look
    height, width = outline.shape
    wanted = Wanted(size=(width, height), scale=scale, finest=finest, most_turn=math.radians(turn))
    return place(pixels, wanted, rng, free=free)


def clock_hand(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """One hand of a clock points elsewhere: 15 degrees off at strength 0.25 and below, 120 at 1."""
    check_strength(strength)
    across = _size(pixels, strength, rng, weak=(26, 44), plain=(70, 170))
    scale = _scale(across)
    clock = random_clock(across * scale / 2, rng)
    right, outline = drawn_clock(clock)
    placing = _place(pixels, outline, (scale, max(0.03 * across, 0.8), 8), rng, free=free)
    if placing is None:
        return None
    angle = (15 + 105 * _share(strength)) * (1 if rng.random() < 0.5 else -1)
    name = "hour" if rng.random() < 0.4 else "minute"
    moved = replace(clock, hour=clock.hour + angle) if name == "hour" else replace(clock, minute=clock.minute + angle)
    wrong, _ = drawn_clock(moved)
    note = f"the {name} hand of a clock points {abs(angle):.0f} degrees off"
    return placing.edit(Canvas(rgb=right, alpha=outline), Canvas(rgb=wrong, alpha=outline), note)


# Arrows


_ARROWS: tuple[tuple[_Point, ...], ...] = (
    ((-0.8, -0.16), (0.1, -0.16), (0.1, -0.5), (0.8, 0), (0.1, 0.5), (0.1, 0.16), (-0.8, 0.16)),
    (
        (-0.8, -0.1),
        (0.3, -0.1),
        (-0.05, -0.45),
        (0.2, -0.5),
        (0.75, 0),
        (0.2, 0.5),
        (-0.05, 0.45),
        (0.3, 0.1),
        (-0.8, 0.1),
    ),
    (
        *((-0.55, 0.75), (-0.55, -0.1), (-0.4, -0.35), (-0.2, -0.42), (0.15, -0.42), (0.15, -0.75), (0.75, -0.25)),
        *((0.15, 0.22), (0.15, -0.1), (-0.12, -0.1), (-0.22, 0.02), (-0.22, 0.75)),
    ),
    ((-0.45, 0.75), (-0.7, 0.5), (0.1, -0.3), (-0.25, -0.65), (0.65, -0.65), (0.65, 0.25), (0.35, -0.05)),
)
"""Straight, straight with a slim head, turning, slanting; corners in units of half the sign's height."""

_CHEVRON: tuple[_Point, ...] = ((-0.45, -0.8), (0.05, -0.8), (0.5, 0), (0.05, 0.8), (-0.45, 0.8), (0.0, 0))

_ARROW_COLOURS: tuple[tuple[Colour, Colour], ...] = (
    ((18, 72, 150), _WHITE),
    (_WHITE, _BLACK),
    (_BLACK, _WHITE),
    ((4, 120, 72), _WHITE),
    ((246, 200, 10), _BLACK),
    (_WHITE, (190, 22, 30)),
    ((190, 22, 30), _WHITE),
)


def arrow_mirrored(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An arrow, or a row of chevrons, points the other way: signs from 14 pixels high, when weak, to 140."""
    check_strength(strength)
    tall = _size(pixels, strength, rng, weak=(14, 26), plain=(50, 140))
    chevrons = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
    disc = not chevrons and rng.random() < 0.4
    scale = _scale(tall)
    height = tall * scale
    width = height * (chevrons * 0.75 + 0.3 if chevrons else 1.0 if disc else float(rng.uniform(1.0, 1.9)))
    width = min(width, pixels.shape[1] * scale * 0.7)
    colours = _ARROW_COLOURS[int(rng.integers(len(_ARROW_COLOURS)))]
    ground, outline = _panel((round(width), round(height)), colours, disc, rng)
    placing = _place(pixels, outline, (scale, max(0.06 * tall, 0.8), 12), rng, free=free)
    if placing is None:
        return None
    kind = int(rng.integers(len(_ARROWS)))
    ink = _arrow_ink(outline.shape, height, kind, chevrons)
    if rng.random() < 0.5:
        ink = np.ascontiguousarray(ink[:, ::-1])
    canvases = []
    for cover in (ink, np.ascontiguousarray(ink[:, ::-1])):
        picture = ground.copy()
        picture.paste(colours[1], mask=Image.fromarray(cover))
        canvases.append(Canvas(rgb=np.array(picture), alpha=outline))
    what = "chevrons point" if chevrons else "an arrow points"
    return placing.edit(canvases[0], canvases[1], f"{what} the other way")


def _panel(
    size: tuple[int, int], colours: tuple[Colour, Colour], disc: bool, rng: np.random.Generator
) -> tuple[Image.Image, _Mask]:
    """The sign without its arrow, the same seen in a mirror; and its outline."""
    w, h = (side + 2 * EDGE for side in size)
    picture, outline = Image.new("RGB", (w, h), colours[0]), Image.new("L", (w, h))
    area = (EDGE, EDGE, w - 1 - EDGE, h - 1 - EDGE)
    radius = min(size) / 2 if disc else float(rng.uniform(0, 0.15)) * min(size)
    ImageDraw.Draw(outline).rounded_rectangle(area, radius, fill=255)
    if rng.random() < 0.6:
        line = max(round(float(rng.uniform(0.02, 0.05)) * h), 1)
        ImageDraw.Draw(picture).rounded_rectangle(area, radius, outline=colours[1], width=line)
    return picture, np.array(outline)


def _arrow_ink(shape: tuple[int, ...], height: float, kind: int, chevrons: int) -> _Mask:
    """Where the arrow is, pointing right, in the middle of a canvas."""
    rows, columns = shape[:2]
    ink = Image.new("L", (columns, rows))
    draw = ImageDraw.Draw(ink)
    half = height * 0.46 * (1.0 if chevrons else 0.85)
    corners = _CHEVRON if chevrons else _ARROWS[kind]
    for number in range(max(chevrons, 1)):
        shift = (number - (max(chevrons, 1) - 1) / 2) * height * 0.7
        draw.polygon([(columns / 2 + shift + x * half, rows / 2 + y * half) for x, y in corners], fill=255)
    return np.array(ink)


# Signals


_LAMPS: dict[str, Colour] = {"red": (255, 54, 40), "amber": (255, 186, 50), "green": (70, 250, 150)}


def signal(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """Another lamp of a traffic light is lit, its lamp goes off or on, or a display does; weak: small and dim."""
    check_strength(strength)
    if rng.random() < 0.25:
        return _display_off(pixels, strength, rng, free=free)
    lamp = _size(pixels, strength, rng, weak=(7, 12), plain=(18, 48))
    names = ("red", "green") if rng.random() < 0.25 else ("red", "amber", "green")
    lamp = min(lamp, min(pixels.shape[:2]) * 0.7 / (len(names) * 1.4))
    scale = _scale(lamp)
    flat = bool(rng.random() < 0.15)
    level = 0.35 + 0.65 * _share(strength)
    first, second = _states(names, rng)
    canvases = [_lights(lamp * scale, names, lit, level=level, flat=flat) for lit in (first, second)]
    placing = _place(pixels, canvases[0].alpha, (scale, max(0.15 * lamp, 0.8), 5), rng, free=free)
    if placing is None:
        return None
    note = f"a traffic light: {first or 'off'} became {second or 'off'}"
    return placing.edit(canvases[0], canvases[1], note)


def _states(names: tuple[str, ...], rng: np.random.Generator) -> tuple[str, str]:
    """Which lamp is lit first and then; empty for none."""
    first = str(rng.choice(names))
    if rng.random() < 0.3:
        return (first, "") if rng.random() < 0.6 else ("", first)
    return first, str(rng.choice([name for name in names if name != first]))


def _lights(lamp: float, names: tuple[str, ...], lit: str, *, level: float, flat: bool) -> Canvas:
    """A traffic light with lamps `lamp` canvas pixels across; `flat` lays it on its side."""
    step = lamp * 1.3
    size = (round(lamp * 1.5) + 2 * EDGE, round(step * len(names) + lamp * 0.25) + 2 * EDGE)
    picture, outline, glow = Image.new("RGB", size, (34, 36, 36)), Image.new("L", size), Image.new("L", size)
    area = (EDGE, EDGE, size[0] - 1 - EDGE, size[1] - 1 - EDGE)
    ImageDraw.Draw(outline).rounded_rectangle(area, lamp * 0.2, fill=255)
    draw, shine = ImageDraw.Draw(picture), ImageDraw.Draw(glow)
    for number, name in enumerate(names):
        x, y = size[0] / 2, EDGE + lamp * 0.125 + step * (number + 0.5)
        colour = np.array(_LAMPS[name], np.float64)
        for reach, strength in ((0.54, 0.0), (0.47, 0.7), (0.36, 0.85), (0.2, 1.0)):
            r = lamp * reach
            on = level * strength if name == lit else 0.0
            body = (16, 16, 18) if not strength else _rgb(colour * (0.2 + 0.8 * on) + 90 * on * (reach < 0.3))
            draw.ellipse((x - r, y - r, x + r, y + r), fill=body)
            shine.ellipse((x - r, y - r, x + r, y + r), fill=round(255 * on))
    layers = [layer.transpose(Image.Transpose.ROTATE_90) if flat else layer for layer in (picture, outline, glow)]
    return Canvas(rgb=np.array(layers[0]), alpha=np.array(layers[1]), glow=np.array(layers[2]))


def _rgb(values: npt.NDArray[np.float64]) -> Colour:
    r, g, b = (int(value) for value in values.clip(0, 255))
    return r, g, b


def _display_off(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A shining display goes off, or a dark one on; dimmed to less than half at the least."""
    style = next(style for style in STYLES if style.shines)
    text = style.text(rng)
    face = pick_face(style, text, rng)
    if face is None:
        return None
    tall = min(letter_height_for(strength, rng), pixels.shape[1] * 0.8 / (0.8 * len(text) + 2))
    board = make_board(style, face, [text], tall, rng)
    placing = place(pixels, board.wanted(), rng, free=free)
    if placing is None:
        return None
    dark = dict.fromkeys(range(len(board.slots)), 0.6 + 0.4 * _share(strength))
    lit, off = board.draw(), board.draw(fading=dark)
    if rng.random() < 0.3:
        return placing.edit(off, lit, f"a display went on: {text}")
    return placing.edit(lit, off, f"a display went off: {text}")
