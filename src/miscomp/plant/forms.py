"""Kinds of plants that change where or in what form an object stands: warped, shifted, rotated, or its outline cut."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from miscomp.images import Pixels
from miscomp.plant.blend import Look, dilated, edit_of, emptied, look, mixed, soft, strengthened
from miscomp.plant.edits import Edit, Free, check_strength
from miscomp.plant.segments import Mask, Plane, Thing, Window, slices, tight_box
from miscomp.records import Box


def warped(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An object is bent smoothly, by up to 2 pixels at strength 0.25 and 8 at 1."""
    for seen, thing in _looks(pixels, strength, rng, room=0.7):
        changed = _bent(seen.window, thing, strengthened(strength, 2.0, 8.0), rng)
        edit = edit_of(pixels, seen, changed, free=free, note="an object is bent")
        if edit is not None:
            return edit
    return None


def shifted(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An object stands 2.5 pixels from its place at strength 0.25, 16 at 1; the old place is filled."""
    for seen, thing in _looks(pixels, strength, rng, room=0.75):
        by, angle = strengthened(strength, 2.5, 16), rng.uniform(0, 2 * np.pi)
        dx, dy = by * np.cos(angle), by * np.sin(angle)
        matrix = np.array([[1, 0, round(dx)], [0, 1, round(dy)]], np.float32)
        changed = _carried(seen.window, thing, matrix)
        if changed is None:
            continue
        edit = edit_of(pixels, seen, changed, free=free, note=f"an object moved by {by:.0f} px")
        if edit is not None:
            return edit
    return None


def rotated(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An object is turned about its middle by 10 degrees at strength 0.25, 45 at 1; round ones are left alone."""
    for seen, thing in _looks(pixels, strength, rng, room=0.85):
        angle = strengthened(strength, 10, 45) * rng.choice((-1, 1))
        rows, columns = np.nonzero(thing.mask)
        matrix = cv2.getRotationMatrix2D((float(columns.mean()), float(rows.mean())), float(angle), 1.0)
        if _overlap(thing.mask, matrix.astype(np.float32)) > 0.93:
            continue
        changed = _carried(seen.window, thing, matrix.astype(np.float32))
        if changed is None:
            continue
        edit = edit_of(pixels, seen, changed, free=free, note=f"an object turned by {abs(angle):.0f} degrees")
        if edit is not None:
            return edit
    return None


def contour(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An outline changes: a corner is cut off, a hole filled, a notch bitten out or a bump added."""
    for seen, thing in _looks(pixels, strength, rng, room=1.0):
        share = strengthened(strength, 0.1, 0.35)
        names = ["corner cut", "notch", "bump"]
        if thing.holes.sum() >= 20:
            names.append("hole filled")
        name = names[int(rng.integers(len(names)))]
        changed = _recontoured(seen.window, thing, name, share, rng)
        if changed is None:
            continue
        edit = edit_of(pixels, seen, changed, free=free, note=f"an outline changed: {name}")
        if edit is not None:
            return edit
    return None


def _looks(pixels: Pixels, strength: float, rng: np.random.Generator, *, room: float) -> Iterator[tuple[Look, Thing]]:
    """Things to try, with a side of at most `room` of what a change may have."""
    check_strength(strength)
    seen = look(pixels, rng, room=room)
    if seen is not None:
        for thing in seen.tried:
            # A form needs some pixels to be one.
            if thing.area >= 90:
                yield seen, thing


def bending(h: int, w: int, amplitude: float, rng: np.random.Generator) -> tuple[Plane, Plane]:
    """A smooth displacement (x, y) in pixels, `amplitude` at its largest, zero along the border of (h, w)."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    u, v = x / max(w - 1, 1), y / max(h - 1, 1)
    window = (np.sin(np.pi * u) * np.sin(np.pi * v)) ** 1.0
    turn = rng.uniform(0, 2 * np.pi)
    waves = rng.uniform(0.6, 1.3)
    along = (u - 0.5) * np.cos(turn) + (v - 0.5) * np.sin(turn)
    # Sideways to the wave: a bend, not a stretch.
    bend = np.cos(2 * np.pi * waves * along + rng.uniform(-0.6, 0.6)) * window
    bend *= amplitude / max(float(np.abs(bend).max()), 1e-6)
    return (-np.sin(turn) * bend).astype(np.float32), (np.cos(turn) * bend).astype(np.float32)


def bent(values: Plane, box: Box, amplitude: float, rng: np.random.Generator) -> Plane:
    """`values` with a box bent smoothly by up to `amplitude` pixels."""
    dx, dy = bending(box.h, box.w, amplitude, rng)
    x, y = np.meshgrid(np.arange(box.w, dtype=np.float32), np.arange(box.h, dtype=np.float32))
    piece = cv2.remap(
        np.ascontiguousarray(values[slices(box)]), x + dx, y + dy, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101
    )
    changed: Plane = values.copy()
    changed[slices(box)] = piece
    return changed


def _bent(window: Window, thing: Thing, amplitude: float, rng: np.random.Generator) -> Plane:
    """The window with a thing and a margin bent; never by more than a fold would take."""
    margin = round(0.25 * max(thing.box.w, thing.box.h)) + 3
    box = thing.box.grown(margin, window.shape[1], window.shape[0])
    return bent(window.pixels.astype(np.float32), box, min(amplitude, 0.16 * min(box.w, box.h)), rng)


def _overlap(mask: Mask, matrix: Plane) -> float:
    """Intersection over union of a mask with itself after an affine move."""
    moved = _moved(mask.astype(np.float32), matrix) > 0.5
    return float((mask & moved).sum() / max((mask | moved).sum(), 1))


def _moved(values: Plane, matrix: Plane) -> Plane:
    """Values after an affine move (2, 3), as large as before."""
    size = (values.shape[1], values.shape[0])
    return np.asarray(
        cv2.warpAffine(values, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32
    )


def _carried(window: Window, thing: Thing, matrix: Plane) -> Plane | None:
    """The window with a thing moved, and its old place filled."""
    height, width = window.shape
    opacity = np.clip(_moved(soft(thing.mask, 0.8), matrix), 0, 1)
    if not 0.97 < opacity.sum() / thing.area < 1.03:
        return None  # part of it left the window
    ground = emptied(window, thing.mask)
    if ground is None:
        return None
    here = slices(tight_box((opacity > 0.004) | thing.mask).grown(3, width, height))
    moved = _moved(window.pixels.astype(np.float32), matrix)
    changed: Plane = ground.copy()
    changed[here] = mixed(ground[here], moved[here], opacity[here])
    return changed


def _recontoured(window: Window, thing: Thing, name: str, share: float, rng: np.random.Generator) -> Plane | None:
    """The window with one change of a thing's outline that touches about `share` of it."""
    if name == "hole filled":
        return _hole_filled(window, thing)
    spot = _spot(thing, name, share, rng)
    if name == "bump":
        return _bumped(window, thing, spot, rng)
    ground = emptied(window, thing.mask)
    lost = thing.mask & spot
    if ground is None or lost.sum() < 16 or lost.sum() > 0.6 * thing.area:
        return None
    # The halo outside goes with the part it belongs to.
    halo = dilated(lost, 3) & ~thing.mask & dilated(thing.mask, 3)
    return mixed(window.pixels.astype(np.float32), ground, soft(lost | halo, 0.8))


def _spot(thing: Thing, name: str, share: float, rng: np.random.Generator) -> Mask:
    """Where the outline changes: beyond a line for a corner, a disc about a point of the outline otherwise."""
    points = np.argwhere(thing.mask)
    y, x = np.mgrid[0 : thing.mask.shape[0], 0 : thing.mask.shape[1]]
    if name == "corner cut":
        angle = rng.uniform(0, 2 * np.pi)
        along = np.cos(angle) * x + np.sin(angle) * y
        least = np.quantile(along[thing.mask], 1 - share)
        beyond: Mask = along > least
        return beyond
    edge = thing.mask & (cv2.erode(thing.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0)
    points = np.argwhere(edge)
    row, column = points[int(rng.integers(len(points)))]
    radius = max(4.0, (2 * share * thing.area / np.pi) ** 0.5)
    disc: Mask = (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return disc


def _bumped(window: Window, thing: Thing, spot: Mask, rng: np.random.Generator) -> Plane | None:
    """The window with a piece of the thing's own inside added to its outline."""
    added = spot & ~thing.mask
    box = tight_box(spot)
    deep = cv2.distanceTransform(thing.mask.astype(np.uint8), cv2.DIST_L2, 3)
    rows, columns = np.nonzero(deep >= 0.8 * deep.max())
    at = int(rng.integers(len(rows)))
    dy, dx = round(box.y + box.h / 2 - rows[at]), round(box.x + box.w / 2 - columns[at])
    if added.sum() < 16 or added.sum() > thing.area:
        return None
    values = window.pixels.astype(np.float32)
    inner = cv2.erode(thing.mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    source = np.roll(values, (dy, dx), (0, 1))
    known = np.roll(inner, (dy, dx), (0, 1))
    own = values[inner].mean(0) if inner.any() else values[thing.mask].mean(0)
    over = np.where(known[..., None], source, own).astype(np.float32)
    near = dilated(added, 2) & (thing.mask | added)
    return mixed(values, over, soft(near, 0.8) * dilated(near, 1))


def _hole_filled(window: Window, thing: Thing) -> Plane | None:
    """The window with what was open within a thing closed by the thing's own texture."""
    values = window.pixels.astype(np.float32)
    hole = dilated(thing.holes, 2)
    around = dilated(hole, 4) & thing.mask & ~hole
    if around.sum() < 20:
        return None
    closed = cv2.inpaint(window.pixels, (hole & thing.mask).astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32)
    grain = np.roll(values - cv2.GaussianBlur(values, (0, 0), 1.0), (3, 5), (0, 1))
    level = float((values - cv2.GaussianBlur(values, (0, 0), 1.0))[around].std())
    over = closed + grain * min(1.0, level / max(float(grain[hole].std()), 1e-3))
    return mixed(values, over, soft(hole & thing.mask, 0.8) * dilated(hole, 1))
