"""A flat, rendered thing put into a photograph in perspective, lit, blurred and grained like its place.

The same `Placing` shows several canvases, so that two versions of a sign differ only by what is on them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.images import Pixels
from miscomp.plant.edits import Edit, Free
from miscomp.records import Box

Floats = npt.NDArray[np.float32]
Point = tuple[float, float]

EDGE = 2
"""Transparent canvas pixels at every side, so that borders are antialiased."""
MOST_TURN = math.radians(12)
LARGEST_SHARE = 0.94
"""Of the picture's width and height that a sign takes at most."""

_TRIES = 10
_LOOK = 160
"""Side of the square around a place in which the photograph's blur and grain are measured."""
_REBLUR = 1.0
_LEAST_EDGES = 12
_SHARPEST, _SOFTEST = 0.5, 4.0
"""Pixels of Gaussian blur: no photograph is taken to be sharper or softer than this."""
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Canvas:
    """A flat picture, a few times as large as it will be shown."""

    rgb: Pixels
    """Colours in even white light; painted beyond the outline too, so that borders don't bleed."""
    alpha: npt.NDArray[np.uint8]
    """Coverage, 0 in the outer `EDGE` pixels."""
    glow: npt.NDArray[np.uint8] | None = None
    """How far a pixel shines by itself, whatever the light of the place."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placing:
    """A place in a photograph and everything that makes a canvas look as if it stood there."""

    region: Box
    matrix: npt.NDArray[np.float64]
    """From canvas pixels to pixels of the region, `scale` times enlarged."""
    scale: int
    blur: float
    """Standard deviation in pixels that is added after rendering."""
    light: Floats
    """(h, w, 3): what white paper looks like there, 1 = 255."""
    floor: float
    """What black looks like there."""
    noise: Floats
    photograph: Pixels

    def show(self, canvas: Canvas) -> Pixels:
        """The region with the canvas in it."""
        layers = self._warped(np.asarray(cv2.merge([*cv2.split(canvas.rgb), canvas.alpha]), np.uint8))
        alpha, rgb = layers[..., 3:], layers[..., :3]
        lit = self.light
        if canvas.glow is not None:
            glow = self._warped(canvas.glow)[..., None]
            lit = lit + (1 - lit) * glow
        shown = self.floor + np.maximum(lit - self.floor, 0) * rgb
        photograph = self.photograph.astype(np.float32) / 255
        mixed = photograph + alpha * (shown + self.noise - photograph)
        pixels: Pixels = np.rint(mixed.clip(0, 1) * 255).astype(np.uint8)
        return pixels

    def _warped(self, flat: npt.NDArray[np.uint8]) -> Floats:
        size = (self.region.w * self.scale, self.region.h * self.scale)
        large = cv2.warpPerspective(flat, self.matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        small = cv2.resize(large, (self.region.w, self.region.h), interpolation=cv2.INTER_AREA)
        return blurred(np.asarray(small, np.float32) * np.float32(1 / 255), self.blur)

    def point(self, x: float, y: float) -> Point:
        """Where a point of the canvas lies in the photograph."""
        u, v, w = self.matrix @ (x, y, 1.0)
        return float(self.region.x + u / w / self.scale), float(self.region.y + v / w / self.scale)

    def corners(self, rectangle: tuple[float, float, float, float]) -> tuple[Point, Point, Point, Point]:
        """Left, top, right, bottom on the canvas as four points of the photograph, clockwise from the top left."""
        left, top, right, bottom = rectangle
        return (self.point(left, top), self.point(right, top), self.point(right, bottom), self.point(left, bottom))

    def edit(self, right: Canvas, wrong: Canvas, note: str) -> Edit | None:
        """The change from one canvas to the other; none where it cannot be seen."""
        edit = Edit(region=self.region, before=self.show(right), after=self.show(wrong), note=note)
        return None if edit.box is None else edit


def box_around(points: Sequence[Point], inside: Box) -> Box:
    """The pixels that points enclose, clipped to a box; at least one pixel."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    left = min(max(math.floor(min(xs)), inside.x), inside.right - 1)
    top = min(max(math.floor(min(ys)), inside.y), inside.bottom - 1)
    right = max(min(math.ceil(max(xs)), inside.right), left + 1)
    bottom = max(min(math.ceil(max(ys)), inside.bottom), top + 1)
    return Box(left, top, right - left, bottom - top)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a place."""

    size: tuple[int, int]
    """Width and height of the canvas."""
    scale: int
    """Canvas pixels for one pixel of the photograph."""
    finest: float
    """Width of a stroke in pixels of the photograph; it must survive the photograph's blur there."""
    most_turn: float = MOST_TURN
    """Radians."""


def place(pixels: Pixels, wanted: Wanted, rng: np.random.Generator, *, free: Free) -> Placing | None:
    """Find a free place for a canvas; none where none of a few tried at random will do."""
    height, width = pixels.shape[:2]
    quad = _quad(wanted, rng)
    margin = 3
    w, h = (math.ceil(side) + 2 * margin for side in quad.max(0))
    if w > width * LARGEST_SHARE or h > height * LARGEST_SHARE:
        return None
    fallback: float | None = None
    for _ in range(_TRIES):
        region = Box(int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h)
        if not free(region):
            continue
        around = _around(pixels, region)
        noise = grain(around)
        blur = edge_blur(around, noise)
        if blur is None:
            if fallback is None:
                fallback = _overall_blur(pixels)
            blur = fallback
        if blur <= max(wanted.finest, _SHARPEST):
            matrix = _matrix(wanted, quad + margin)
            return _placing(pixels, region, (matrix, wanted.scale), (blur, noise), rng)
    return None


def _matrix(wanted: Wanted, quad: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    w, h = wanted.size
    source = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    target = (quad * wanted.scale).astype(np.float32)
    return np.asarray(cv2.getPerspectiveTransform(source, target), np.float64)


def _quad(wanted: Wanted, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """The canvas's corners as shown, in pixels, the smallest x and y being 0."""
    w, h = (side / wanted.scale for side in wanted.size)
    turn = float(np.clip(rng.normal(0, wanted.most_turn / 2), -wanted.most_turn, wanted.most_turn))
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)]) - (w / 2, h / 2)
    corners[:, 0] *= rng.uniform(0.86, 1)
    # One end is farther away: its upright edge is shorter.
    corners[:, 1] *= 1 + rng.uniform(-0.06, 0.06) * np.sign(corners[:, 0])
    corners += rng.uniform(-0.012, 0.012, (4, 2)) * min(w, h)
    cos, sin = math.cos(turn), math.sin(turn)
    turned = corners @ np.array([(cos, sin), (-sin, cos)])
    return np.asarray(turned - turned.min(0), np.float64)


def _around(pixels: Pixels, region: Box) -> Floats:
    """Grey values 0 to 255 of the place and some of its surroundings, `_LOOK` pixels wide at least where there are."""
    height, width = pixels.shape[:2]
    x, y = (round(middle) for middle in region.center)
    half_w, half_h = max(_LOOK, region.w + 32) // 2, max(_LOOK, region.h + 32) // 2
    crop = pixels[max(y - half_h, 0) : min(y + half_h, height), max(x - half_w, 0) : min(x + half_w, width)]
    # A very large sign: its middle says enough.
    crop = crop[:384, :384]
    return grey(crop)


def grey(pixels: Pixels) -> Floats:
    """Luma, 0 to 255."""
    luma: Floats = pixels.astype(np.float32) @ _GREY
    return luma


def blurred(values: Floats, sigma: float) -> Floats:
    """Gaussian blur with the edge pixels repeated; none below 0.05 pixels."""
    if sigma < 0.05:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


_LAPLACE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6


def grain(luma: Floats) -> float:
    """Standard deviation of the noise in grey values, 0 to 6, from the quietest blocks of 8 x 8.

    After Immerkaer, "Fast noise variance estimation", 1996, whose mask has the norm 6; taken per block so that
    texture does not count.
    """
    response = cv2.filter2D(luma, -1, _LAPLACE, borderType=cv2.BORDER_REFLECT_101)
    h, w = (side // 8 * 8 for side in luma.shape)
    if not h or not w:
        return 0.0
    blocks = response[:h, :w].reshape(h // 8, 8, w // 8, 8)
    return min(float(np.percentile(np.sqrt((blocks**2).mean((1, 3))), 15)), 6.0)


def edge_blur(luma: Floats, noise: float = 0.0) -> float | None:
    """Blur of the sharpest edges as a Gaussian's standard deviation in pixels, 0.5 to 4; none without clear edges.

    An edge is blurred once more, and the gradient's fall tells its first blur (Zhuo and Sim, "Defocus map estimation
    from a single image", 2011, equation 4). The central difference widens an edge by a variance of 1/3.
    """
    steep = _steepness(luma)
    crest = (steep == cv2.dilate(steep, np.ones((3, 3), np.uint8))) & (steep > max(6.0, 4 * noise))
    if int(crest.sum()) < _LEAST_EDGES:
        return None
    strong = crest & (steep >= np.percentile(steep[crest], 50))
    again = _steepness(blurred(luma, _REBLUR))
    ratio = np.maximum(steep[strong] / np.maximum(again[strong], 1e-3), 1.0001)
    variance = _REBLUR**2 / (ratio**2 - 1) - 1 / 3
    return float(np.clip(math.sqrt(max(float(np.percentile(variance, 40)), 0)), _SHARPEST, _SOFTEST))


def _steepness(luma: Floats) -> Floats:
    x = cv2.Sobel(luma, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8)
    y = cv2.Sobel(luma, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8)
    return np.asarray(cv2.magnitude(x, y), np.float32)


def _overall_blur(pixels: Pixels) -> float:
    """Of the picture's middle, for places without edges; the sharpest allowed would stand out in a flat picture."""
    height, width = pixels.shape[:2]
    top, left = max(height // 2 - 192, 0), max(width // 2 - 192, 0)
    luma = grey(pixels[top : top + 384, left : left + 384])
    found = edge_blur(luma, grain(luma))
    return 1.0 if found is None else found


def _placing(
    pixels: Pixels,
    region: Box,
    view: tuple[npt.NDArray[np.float64], int],
    look: tuple[float, float],
    rng: np.random.Generator,
) -> Placing:
    (matrix, scale), (blur, grained) = view, look
    patch = pixels[region.y : region.bottom, region.x : region.right]
    # Rendering itself blurs a little; and a sign is never quite as sharp as the sharpest edge around it.
    added = math.sqrt(max((blur * float(rng.uniform(1.0, 1.2))) ** 2 - 0.1, 0.16))
    noise = rng.normal(0, 1, (region.h, region.w, 3)).astype(np.float32)
    common = rng.normal(0, 1, (region.h, region.w, 1)).astype(np.float32)
    light, floor = _light(pixels, region, rng)
    return Placing(
        region=region,
        matrix=matrix,
        scale=scale,
        blur=added,
        light=light,
        floor=floor,
        noise=np.asarray((0.9 * common + 0.45 * noise) * (grained / 255), np.float32),
        photograph=patch,
    )


def _light(pixels: Pixels, region: Box, rng: np.random.Generator) -> tuple[Floats, float]:
    """What white paper looks like across the place, and what black does."""
    height, width = pixels.shape[:2]
    wide = region.grown(max(region.w, region.h) // 4 + 8, width, height)
    around = pixels[wide.y : wide.bottom, wide.x : wide.right]
    tiny = cv2.resize(around, (24, 24), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    mean = tiny.mean((0, 1))
    luma = max(float(mean @ _GREY), 0.02)
    level = float(np.clip(0.35 + 0.9 * luma, 0.4, 1.0)) * float(rng.uniform(0.92, 1.02))
    tint = (np.maximum(mean, 0.02) / luma) ** 0.25
    # The light's slow course over the place, weakened: part of it is the things there and not the light.
    course = cv2.resize(tiny, (3, 3), interpolation=cv2.INTER_AREA) @ _GREY
    course = (np.maximum(course, 0.02) / luma) ** 0.3
    # Paint has aged, and a surface is not quite even.
    course = (
        course
        + np.linspace(-1, 1, 3) * rng.uniform(-0.05, 0.05)
        + np.linspace(-1, 1, 3)[:, None] * rng.uniform(-0.05, 0.05)
    )
    field = cv2.resize(course.astype(np.float32), (region.w, region.h), interpolation=cv2.INTER_CUBIC)
    light = (level * field.clip(0.75, 1.2)[..., None] * tint).clip(0.05, 1).astype(np.float32)
    floor = float(np.percentile(tiny @ _GREY, 3)) * 0.35
    return light, min(floor, 0.2)
