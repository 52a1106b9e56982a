"""A sheet that shows what was planted in one picture: each place before, after, and as codecs give it back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from miscomp.images import Pixels
from miscomp.plant.scene import Planted, Scene
from miscomp.records import Box

_TILE = 176
_WIDE = 360
_GAP = 8
_LINE = 18
_INK, _PAPER = (30, 30, 34), (250, 250, 248)
_LABEL, _NEGATIVE = (230, 30, 60), (20, 110, 220)
_SURROUNDINGS = 16
_LARGEST = 8


def draw_plants(scene: Scene, coded: Sequence[tuple[str, Pixels]]) -> Pixels:
    """The whole picture above, then one row of enlarged places for each plant.

    Boxes are drawn before and after; labels in red, hard negatives in blue. The coded places are shown without.
    """
    pictures = [("before", scene.original), ("after", scene.changed), *coded]
    columns = max(len(pictures), 2 * (_WIDE + _GAP) // (_TILE + _GAP) + 1)
    overview = round(_WIDE * scene.original.shape[0] / scene.original.shape[1])
    row = _TILE + 2 * _LINE + _GAP
    size = (columns * (_TILE + _GAP) + _GAP, overview + _LINE + 2 * _GAP + row * len(scene.plants))
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (name, pixels) in enumerate(pictures[:2]):
        left = _GAP + number * (_WIDE + _GAP)
        sheet.paste(_overview(pixels, scene, (_WIDE, overview)), (left, _GAP))
        _write(draw, (left, _GAP + overview), name)
    top = overview + _LINE + 2 * _GAP
    for plant in sorted(scene.plants, key=lambda plant: (not plant.row.label, plant.row.name)):
        for number, (name, pixels) in enumerate(pictures):
            left = _GAP + number * (_TILE + _GAP)
            sheet.paste(_tile(pixels, plant, boxed=number < 2), (left, top))
            _write(draw, (left, top + _TILE), name)
        _write(draw, (_GAP, top + _TILE + _LINE - 3), _told(plant))
        top += row
    return np.asarray(sheet)


def _told(plant: Planted) -> str:
    row, box = plant.row, plant.box
    what = row.category or "hard negative"
    place = f"{box.w} x {box.h} at ({box.x}, {box.y})"
    note = "".join(letter if letter.isprintable() else "?" for letter in plant.edit.note)
    return ", ".join(filter(None, (f"{row.name} {plant.strength:g}", what, place, note)))


def _overview(pixels: Pixels, scene: Scene, size: tuple[int, int]) -> Image.Image:
    picture = Image.fromarray(pixels).resize(size, Image.Resampling.BOX)
    draw, scale = ImageDraw.Draw(picture), size[0] / pixels.shape[1]
    for plant in scene.plants:
        box = plant.box
        corners = [value * scale for value in (box.x - 2, box.y - 2, box.right + 2, box.bottom + 2)]
        draw.rectangle((corners[0], corners[1], corners[2], corners[3]), outline=_colour(plant))
    return picture


def _tile(pixels: Pixels, plant: Planted, *, boxed: bool) -> Image.Image:
    view = _view(plant.box, pixels)
    scale = min(_TILE / max(view.w, view.h), _LARGEST)
    patch = Image.fromarray(np.ascontiguousarray(pixels[view.y : view.bottom, view.x : view.right]))
    tile = Image.new("RGB", (_TILE, _TILE), _PAPER)
    method = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
    tile.paste(patch.resize((max(round(view.w * scale), 1), max(round(view.h * scale), 1)), method))
    if boxed:
        box = plant.box
        left, top = (box.x - view.x) * scale - 1, (box.y - view.y) * scale - 1
        right, bottom = (box.right - view.x) * scale, (box.bottom - view.y) * scale
        ImageDraw.Draw(tile).rectangle((left, top, right, bottom), outline=_colour(plant))
    return tile


def _view(box: Box, pixels: Pixels) -> Box:
    """What is shown around a plant: at least as much again on every side."""
    height, width = pixels.shape[:2]
    return box.grown(max(_SURROUNDINGS, max(box.w, box.h) // 2), width, height)


def _colour(plant: Planted) -> tuple[int, int, int]:
    return _LABEL if plant.row.label else _NEGATIVE


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str) -> None:
    draw.text(place, text, fill=_INK, font=ImageFont.load_default(13))
