"""Drawn scenes with one thing in them, so that a test knows what was changed, where and how; and photographs."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image, ImageDraw
from scipy import ndimage

from miscomp.images import Pixels
from miscomp.records import Box

Colour = tuple[int, int, int]
RED: Colour = (190, 50, 45)
BLUE: Colour = (60, 80, 190)
WHITE: Colour = (235, 230, 220)
BLACK: Colour = (25, 25, 35)

SIGMAS = (0.7, 1.5, 4, 12)
_ENLARGED = 4


def lawn(height: int = 200, width: int = 200, *, seed: int = 0, contrast: float = 14) -> Pixels:
    """A green texture: noise smoothed at several scales; `contrast` is the standard deviation of the sum of scales."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for sigma in SIGMAS:
        layer = ndimage.gaussian_filter(rng.standard_normal((height, width)), sigma, mode="wrap")
        total += layer / max(float(layer.std()), 1e-9)
    shade = contrast * total / len(SIGMAS) ** 0.5
    base = np.array([95, 125, 70]) + shade[..., None] * np.array([0.9, 1.0, 0.7])
    pixels: Pixels = np.clip(np.round(base), 0, 255).astype(np.uint8)
    return pixels


def with_polygon(pixels: Pixels, corners: Sequence[tuple[float, float]], colour: Colour) -> Pixels:
    """A polygon with soft edges, painted over a copy."""
    height, width = pixels.shape[:2]
    mask = Image.new("L", (width * _ENLARGED, height * _ENLARGED))
    ImageDraw.Draw(mask).polygon([(x * _ENLARGED, y * _ENLARGED) for x, y in corners], fill=255)
    share = np.asarray(mask.resize((width, height), Image.Resampling.BOX), dtype=np.float64)[..., None] / 255
    return np.round(pixels * (1 - share) + np.array(colour) * share).astype(np.uint8)


def with_disc(pixels: Pixels, center: tuple[float, float], diameter: float, colour: Colour = RED) -> Pixels:
    """A disc with soft edges, painted over a copy."""
    return with_polygon(pixels, polygon(center, 90, diameter / 2), colour)


def polygon(center: tuple[float, float], corners: int, radius: float) -> list[tuple[float, float]]:
    """A regular polygon with a corner at the top."""
    angles = [2 * math.pi * (i / corners - 0.25) for i in range(corners)]
    return [(center[0] + radius * math.cos(a), center[1] + radius * math.sin(a)) for a in angles]


def moved(corners: Sequence[tuple[float, float]], dx: float, dy: float) -> list[tuple[float, float]]:
    """The corners shifted by `dx` to the right and `dy` down."""
    return [(x + dx, y + dy) for x, y in corners]


def arrow(center: tuple[float, float], size: float, *, mirrored: bool = False) -> list[tuple[float, float]]:
    """Corners of an arrow that points to the right, or to the left when mirrored; half as high as wide."""
    x, y = center
    outline = [(-0.5, -0.1), (0, -0.1), (0, -0.25), (0.5, 0), (0, 0.25), (0, 0.1), (-0.5, 0.1)]
    side = -1 if mirrored else 1
    return [(x + side * dx * size, y + dy * size) for dx, dy in outline]


def around(center: tuple[float, float], width: float, height: float | None = None) -> Box:
    """The pixels of a thing of this size around its centre."""
    height = width if height is None else height
    x, y = round(center[0] - width / 2), round(center[1] - height / 2)
    return Box(x, y, round(width), round(height))


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    """The picture after JPEG with 4:2:0 subsampling."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    with Image.open(file) as decoded:
        return np.asarray(decoded)


def photograph(name: str) -> Pixels:
    """A piece of 256 x 256 pixels of a photograph in scikit-image's wheel."""
    data = pytest.importorskip("skimage.data", reason="the extra 'demo' is not installed")
    pixels: Pixels = np.ascontiguousarray(getattr(data, name)()[20:276, 60:316])
    return pixels
