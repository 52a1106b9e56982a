"""Painting over and pasting so that no seam is seen.

A hole is filled with the piece of the same window whose rim fits best around it, shifted as one (Pritch, Kav-Venaki,
Peleg: "Shift-map image editing", ICCV 2009, with a single shift); what still differs along the rim is spread over
the inside with weights of inverse squared distance (in the manner of Farbman et al., "Coordinates for instant image
cloning", SIGGRAPH 2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.images import Pixels
from miscomp.plant.edits import Edit, Free
from miscomp.plant.segments import (
    WIDE_SIDE,
    Mask,
    Plane,
    Thing,
    Window,
    as_plane,
    drawn,
    longest_side,
    search_window,
    slices,
    things,
    tight_box,
)
from miscomp.records import Box

Loose: TypeAlias = npt.NDArray[np.generic] | cv2.typing.MatLike
"""Floats as OpenCV and numpy return them."""

RIM = 5
"""Width in pixels of the rim that must fit."""

HALO = 3
"""Pixels around a thing that go with it: its soft edge and the ringing beside it."""

_Points: TypeAlias = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]

_TRIED = 6
_THINGS_TRIED = 5
_MOST_CHANGED = 9000
_ANCHORS = 96
_UNEVEN = 0.5
"""What a difference along the rim that is not the same all around counts: spread inside it would smear."""

_MOST_MISFIT = 7.0
_MISFIT_OF_ROUGH = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Fill:
    """What is painted over a part of a window."""

    box: Box
    """In the window's frame."""
    values: Plane
    """(box.h, box.w, 3), 0 to 255."""
    misfit: float
    """How much of a patch it is: levels by which rim and inside are unlike what is around."""


def strengthened(strength: float, low: float, high: float) -> float:
    """From `low` at strength 0.25 to `high` at 1, in equal ratios; below 0.25 it goes on falling."""
    return float(low * (high / low) ** ((strength - 0.25) / 0.75))


def dilated(mask: Mask, by: int) -> Mask:
    """The mask grown by so many pixels all around, in a circle."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * by + 1, 2 * by + 1))
    return np.asarray(cv2.dilate(mask.astype(np.uint8), kernel), np.uint8) > 0


def soft(mask: Mask, sigma: float = 1.0) -> Plane:
    """Opacity in [0, 1] with soft edges."""
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32), (0, 0), sigma), np.float32)


def mixed(under: Plane, over: Loose, opacity: Loose | float) -> Plane:
    """`over` on `under`; `opacity` (h, w) or one number."""
    share = opacity if isinstance(opacity, float) else as_plane(opacity)[..., None]
    return as_plane(under + share * (as_plane(over) - under))


def as_pixels(values: Plane) -> Pixels:
    """Rounded to whole levels."""
    return np.clip(np.round(values), 0, 255).astype(np.uint8)


def filled(window: Window, hole: Mask, *, avoid: Mask | None = None) -> Fill | None:
    """The best fill for a hole, with its rim; none where nothing in the window would look natural there.

    `avoid` are pixels that must not be copied.
    """
    height, width = window.shape
    box = tight_box(hole).grown(RIM, width, height)
    here = slices(box)
    inside = hole[here]
    rim = dilated(inside, RIM) & ~inside
    if min(box.w, box.h) < 3 or max(box.w, box.h) > 0.7 * min(width, height) or rim.sum() < 20:
        return None
    taken = hole if avoid is None else hole | avoid
    values = window.pixels.astype(np.float32)
    there = values[here]
    weights, anchors = _membrane_weights(inside, rim)
    plain = _spread(there, rim, weights, anchors, inside)
    roughness = float(np.sqrt(np.square(there - plain)[rim].sum(1).mean())) if rim.any() else 0.0
    best: Fill | None = None
    for y, x in _places(values, box, rim, taken):
        source = values[y : y + box.h, x : x + box.w]
        piece = source + _spread(there - source, rim, weights, anchors, inside)
        misfit = _misfit(piece, there, inside, rim) + _UNEVEN * float((there - source)[rim].std(0).mean())
        if best is None or misfit < best.misfit:
            best = Fill(box, piece, misfit)
    return best if best is not None and best.misfit <= _MOST_MISFIT + _MISFIT_OF_ROUGH * roughness else None


def _misfit(piece: Plane, there: Plane, inside: Mask, rim: Mask) -> float:
    """Difference along the rim, and how much the inside is unlike the rim in colour and busyness."""
    rim_error = float(np.sqrt(np.square(piece - there)[rim].mean()))
    smooth = cv2.blur(piece, (5, 5))
    mean, spread = smooth[rim].mean(0), smooth[rim].std(0)
    excess = np.maximum(np.abs(smooth[inside] - mean) - 1.5 * spread, 0)
    return rim_error + float(np.sqrt(np.square(excess).mean()))


def _places(values: Plane, box: Box, rim: Mask, taken: Mask) -> list[tuple[int, int]]:
    """Upper left corners of the pieces whose rim is most like the hole's, as (y, x), the best first."""
    step = 2 if min(box.w, box.h) > 20 else 1
    template = values[slices(box)][::step, ::step]
    weight = np.ascontiguousarray(rim[::step, ::step].astype(np.float32))
    image = np.ascontiguousarray(values[box.y % step :: step, box.x % step :: step])
    template = np.ascontiguousarray(template)
    cost = cv2.matchTemplate(image, template, cv2.TM_SQDIFF, mask=np.repeat(weight[..., None], 3, 2))
    rows, columns = np.arange(cost.shape[0]) * step + box.y % step, np.arange(cost.shape[1]) * step + box.x % step
    sums = cv2.integral(taken.astype(np.uint8))
    bottom, right = np.minimum(rows + box.h, taken.shape[0]), np.minimum(columns + box.w, taken.shape[1])
    inner = sums[bottom][:, right] - sums[rows][:, right] - sums[bottom][:, columns] + sums[rows][:, columns]
    outside = (rows[:, None] + box.h > taken.shape[0]) | (columns[None] + box.w > taken.shape[1])
    cost = np.where((inner > 0) | outside | ~np.isfinite(cost), np.inf, cost)
    found = []
    apart = max(3, min(box.w, box.h) // (4 * step))
    for _ in range(_TRIED):
        y, x = divmod(int(cost.argmin()), cost.shape[1])
        if not np.isfinite(cost[y, x]):
            break
        found.append((int(rows[y]), int(columns[x])))
        cost[max(y - apart, 0) : y + apart + 1, max(x - apart, 0) : x + apart + 1] = np.inf
    return found


def _membrane_weights(inside: Mask, rim: Mask) -> tuple[Plane, _Points]:
    """Weights of some points of the rim for every pixel inside, (inside, anchors), and where the points are."""
    near = rim & dilated(inside, 3)
    rows, columns = np.nonzero(near)
    step = max(1, len(rows) // _ANCHORS)
    rows, columns = rows[::step], columns[::step]
    at = np.argwhere(inside).astype(np.float32)
    squared = (at[:, :1] - rows) ** 2 + (at[:, 1:] - columns) ** 2
    weights = 1 / np.square(squared)
    weights /= weights.sum(1, keepdims=True)
    return weights.astype(np.float32), (rows, columns)


def _spread(values: Plane, rim: Mask, weights: Plane, anchors: _Points, inside: Mask) -> Plane:
    """Values of the rim smoothed along it, and carried over the inside."""
    known = rim.astype(np.float32)
    smooth = cv2.blur(values * known[..., None], (5, 5)) / np.maximum(cv2.blur(known, (5, 5)), 1e-3)[..., None]
    result: Plane = np.where(rim[..., None], smooth, 0).astype(np.float32)
    result[inside] = weights @ smooth[anchors]
    return result


def emptied(window: Window, mask: Mask) -> Plane | None:
    """The window with a part and its halo replaced by what is around; none where that would show."""
    hole = dilated(mask, HALO)
    fill = filled(window, hole)
    if fill is None:
        return None
    here = slices(fill.box)
    changed = window.pixels.astype(np.float32)
    changed[here] = mixed(changed[here], fill.values, soft(dilated(mask[here], HALO - 1)) * hole[here])
    return changed


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """A window of a picture, what was found in it, and what of that is tried in which order."""

    window: Window
    found: list[Thing]
    tried: list[Thing]
    longest: int
    """Longest side in pixels that a change may have."""


def look(pixels: Pixels, rng: np.random.Generator, *, room: float) -> Look | None:
    """Search a random window for things with a side of at most `room` of a change's; none in a tiny picture."""
    longest = longest_side(pixels)
    seen = None
    # A small picture is one window: a second look would find the same.
    for _ in range(1 if min(pixels.shape[:2]) <= WIDE_SIDE else 2):
        window = search_window(pixels, rng)
        if window is None:
            return None
        found = things(window, most_side=round(room * longest) - 2 * HALO)
        seen = Look(window, found, list(drawn(found, rng))[:_THINGS_TRIED], longest)
        if len(found) > 1:
            break
    return seen


def edit_of(pixels: Pixels, seen: Look, changed: Plane, *, free: Free, note: str, shortest: int = 8) -> Edit | None:
    """The edit that puts `changed` in place of a window; none where it is too small, too large or not free.

    `shortest` is the shortest side in pixels that the changed box may have; its area may be 9000.
    """
    window = seen.window
    after = as_pixels(changed)
    differs = (after != window.pixels).any(2)
    if not differs.any():
        return None
    height, width = window.shape
    inner = tight_box(differs).grown(2, width, height)
    here = slices(inner)
    region = Box(window.x + inner.x, window.y + inner.y, inner.w, inner.h)
    edit = Edit(region=region, before=window.pixels[here].copy(), after=after[here].copy(), note=note)
    box = edit.box
    if box is None or min(box.w, box.h) < shortest or max(box.w, box.h) > seen.longest or box.area > _MOST_CHANGED:
        return None
    return edit if free(region) else None
