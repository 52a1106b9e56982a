"""Signs with writing, drawn flat.

A `Board` can be drawn again with another letter, with faded or with smeared letters; everything else stays as it was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from miscomp.images import Pixels
from miscomp.plant.composite import EDGE, Canvas, Wanted
from miscomp.plant.fonts import Face, Glyph
from miscomp.plant.styles import Colour, Style

STROKE = 0.12
"""Width of a letter's stroke as a share of its height; a photograph softer than that makes it illegible."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A letter on a board: the pen stands at (x, y) on the baseline, in canvas pixels."""

    letter: str
    x: float
    y: float
    line: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """A sign before it is drawn."""

    style: str
    face: Face
    cap: int
    """Height of a capital in canvas pixels."""
    scale: int
    ground: Pixels
    alpha: npt.NDArray[np.uint8]
    ink: Colour
    shines: bool
    slots: tuple[Slot, ...]
    """The letters, without spaces."""

    def draw(self, *, fading: Mapping[int, float] | None = None, smearing: Mapping[int, float] | None = None) -> Canvas:
        """The sign; by a letter's number: how far it is gone (0 to 1), or its blur in canvas pixels."""
        fading, smearing = fading or {}, smearing or {}
        cover = np.zeros_like(self.alpha)
        for sigma in sorted({0.0, *smearing.values()}):
            layer = np.zeros_like(cover)
            for number, slot in enumerate(self.slots):
                if smearing.get(number, 0.0) == sigma:
                    _stamp(layer, self.face.glyph(slot.letter, self.cap), slot, 1 - fading.get(number, 0.0))
            if sigma:
                layer = _smeared(layer, sigma)
            cover = np.maximum(cover, layer)
        picture = Image.fromarray(self.ground)
        picture.paste(self.ink, mask=Image.fromarray(cover))
        return Canvas(rgb=np.array(picture), alpha=self.alpha, glow=cover if self.shines else None)

    def wanted(self) -> Wanted:
        """What the board needs of a place."""
        height, width = self.alpha.shape
        return Wanted(size=(width, height), scale=self.scale, finest=STROKE * self.cap / self.scale)

    def with_letter(self, number: int, letter: str) -> Board:
        """The same board with one letter replaced, about the same middle."""
        slot = self.slots[number]
        old, new = (self.face.glyph(one, self.cap) for one in (slot.letter, letter))
        x = slot.x + old.left + old.mask.shape[1] / 2 - new.left - new.mask.shape[1] / 2
        changed = replace(slot, letter=letter, x=x)
        return replace(self, slots=(*self.slots[:number], changed, *self.slots[number + 1 :]))

    def letters_box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of all letters on the canvas."""
        edges = []
        for slot in self.slots:
            glyph = self.face.glyph(slot.letter, self.cap)
            left, top = slot.x + glyph.left, slot.y + glyph.top
            edges.append((left, top, left + glyph.mask.shape[1], top + glyph.mask.shape[0]))
        lefts, tops, rights, bottoms = zip(*edges, strict=True)
        return min(lefts), min(tops), max(rights), max(bottoms)


def _stamp(layer: npt.NDArray[np.uint8], glyph: Glyph, slot: Slot, opacity: float) -> None:
    x, y = round(slot.x) + glyph.left, round(slot.y) + glyph.top
    top, left = max(-y, 0), max(-x, 0)
    piece = glyph.mask[top : max(layer.shape[0] - y, top), left : max(layer.shape[1] - x, left)]
    if opacity < 1:
        piece = np.rint(piece * np.float32(opacity)).astype(np.uint8)
    there = layer[y + top : y + top + piece.shape[0], x + left : x + left + piece.shape[1]]
    np.maximum(there, piece, out=there)


def _smeared(layer: npt.NDArray[np.uint8], sigma: float) -> npt.NDArray[np.uint8]:
    """A Gaussian blur, done on a smaller copy where it is wide."""
    h, w = layer.shape
    shrink = max(round(sigma / 2 - 0.5), 1)
    small = cv2.resize(layer, (max(w // shrink, 1), max(h // shrink, 1)), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / shrink, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.resize(small, (w, h), interpolation=cv2.INTER_LINEAR), np.uint8)


def make_board(style: Style, face: Face, lines: Sequence[str], letter_height: float, rng: np.random.Generator) -> Board:
    """Lay out a sign whose capitals are `letter_height` pixels high when it is shown."""
    scale = 4 if letter_height < 24 else 3
    cap = max(round(letter_height * scale), 1)
    pad_x, pad_y, gap, spread = cap * rng.uniform((0.3, 0.3, 0.5, 0.0), (0.8, 0.6, 0.8, 0.14))
    strip = cap * 0.7 if rng.random() < style.strip else 0.0
    widths = [_width(face, line, cap, spread) for line in lines]
    inner = max(widths)
    slots: list[Slot] = []
    for number, line in enumerate(lines):
        x = EDGE + pad_x + strip + (inner - widths[number]) / 2
        y = EDGE + pad_y + cap + number * (cap + gap)
        slots += _slots(face, line, (x, y, cap, spread), number)
    # Some room below: descenders.
    height = round(2 * EDGE + 2 * pad_y + len(lines) * cap + (len(lines) - 1) * gap + 0.12 * cap)
    size = (round(2 * EDGE + 2 * pad_x + strip + float(inner)), height)
    ground, ink = (_jittered(one, rng) for one in style.colours[int(rng.integers(len(style.colours)))])
    plain, alpha = _ground(size, (ground, ink), rng.random() < style.border, rng)
    if strip:
        plain[EDGE:-EDGE, EDGE : EDGE + round(strip)] = (16, 56, 150)
    return Board(
        style=style.name,
        face=face,
        cap=cap,
        scale=scale,
        ground=plain,
        alpha=alpha,
        ink=ink,
        shines=style.shines,
        slots=tuple(slots),
    )


def _width(face: Face, line: str, cap: int, spread: float) -> float:
    return sum(face.glyph(letter, cap).advance + spread for letter in line) - spread


def _slots(face: Face, line: str, start: tuple[float, float, int, float], number: int) -> list[Slot]:
    x, y, cap, spread = start
    slots = []
    for letter in line:
        if letter != " ":
            slots.append(Slot(letter, x, y, number))
        x += face.glyph(letter, cap).advance + spread
    return slots


def _jittered(colour: Colour, rng: np.random.Generator) -> Colour:
    r, g, b = (min(max(value + int(rng.integers(-8, 9)), 0), 255) for value in colour)
    return r, g, b


def _ground(
    size: tuple[int, int], colours: tuple[Colour, Colour], border: bool, rng: np.random.Generator
) -> tuple[Pixels, npt.NDArray[np.uint8]]:
    """The sign without letters, and its outline with round corners."""
    w, h = size
    radius = float(rng.uniform(0, 0.18)) * min(size)
    picture, outline = Image.new("RGB", size, colours[0]), Image.new("L", size)
    area = (EDGE, EDGE, w - 1 - EDGE, h - 1 - EDGE)
    ImageDraw.Draw(outline).rounded_rectangle(area, radius, fill=255)
    if border:
        inset, line = rng.uniform((0.0, 0.025), (0.07, 0.06)) * h
        within = (area[0] + inset, area[1] + inset, area[2] - inset, area[3] - inset)
        draw = ImageDraw.Draw(picture)
        draw.rounded_rectangle(within, max(radius - inset, 0), outline=colours[1], width=max(round(line), 1))
    return np.array(picture), np.array(outline)
