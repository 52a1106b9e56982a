"""Hard negatives: edits of the same strength where nothing is distinct; pixels change, meaning does not."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from miscomp.images import Pixels
from miscomp.plant.blend import Look, edit_of, filled, look, mixed, strengthened
from miscomp.plant.edits import Edit, Free, check_strength
from miscomp.plant.forms import bent
from miscomp.plant.segments import Mask, Plane, slices
from miscomp.plant.textures import is_stochastic, textured_places
from miscomp.records import Box

_TRIED = 10


def texture(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A patch of texture becomes another patch of the same texture, with its mean colour kept."""
    for seen, box in _places(pixels, strength, rng):
        values = seen.window.pixels.astype(np.float32)
        source = _another(seen, box, rng)
        if source is None:
            continue
        here, there = values[slices(box)], values[slices(source)]
        patch = there - there.mean((0, 1)) + here.mean((0, 1))
        changed = _laid(values, box, patch, strengthened(strength, 0.55, 1.0))
        edit = edit_of(pixels, seen, changed, free=free, note="texture replaced by the same texture")
        if edit is not None:
            return edit
    return None


def texture_edited(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """What the other kinds do to objects, done to texture: bent, tinted within its own variation, moved, thinned."""
    for seen, box in _places(pixels, strength, rng):
        name = ("bent", "tinted", "moved", "thinned")[int(rng.integers(4))]
        changed = _edited(seen, box, name, strength, rng)
        if changed is None:
            continue
        edit = edit_of(pixels, seen, changed, free=free, note=f"texture {name}")
        if edit is not None:
            return edit
    return None


def inpainted(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A spot where nothing stood is painted over with what is around it."""
    for seen, box in _places(pixels, strength, rng):
        hole = np.zeros(seen.window.shape, np.bool_)
        hole[slices(box)] = _blob(box, rng)
        fill = filled(seen.window, hole)
        if fill is None:
            continue
        values = seen.window.pixels.astype(np.float32)
        here = slices(fill.box)
        opacity = cv2.GaussianBlur(hole[here].astype(np.float32), (0, 0), 1.2)
        values[here] = mixed(values[here], fill.values, strengthened(strength, 0.6, 1.0) * opacity)
        edit = edit_of(pixels, seen, values, free=free, note="painted over where nothing stood")
        if edit is not None:
            return edit
    return None


def _places(pixels: Pixels, strength: float, rng: np.random.Generator) -> Iterator[tuple[Look, Box]]:
    """Places of texture to try, about as large as the objects that are changed at this strength."""
    check_strength(strength)
    seen = look(pixels, rng, room=1.0)
    if seen is None:
        return
    w, h = (round(min(rng.uniform(16, 44), 0.8 * seen.longest)) for _ in range(2))
    found = textured_places(seen.window, w, h, avoid=seen.found)
    for i in rng.permutation(len(found))[:_TRIED]:
        if is_stochastic(seen.window, found[int(i)]):
            yield seen, found[int(i)]


def _another(seen: Look, box: Box, rng: np.random.Generator) -> Box | None:
    """Another place of about the same colour and busyness, apart from the first."""
    lab = seen.window.lab
    mean, spread = lab[slices(box)].mean((0, 1)), float(lab[slices(box)][..., 0].std())
    found = textured_places(seen.window, box.w, box.h, avoid=seen.found)
    for i in rng.permutation(len(found)):
        other = found[int(i)]
        there = lab[slices(other)]
        close = float(np.linalg.norm(there.mean((0, 1)) - mean)) < 8
        if other.intersection(box) < 0.3 * box.area and close and 0.6 < there[..., 0].std() / max(spread, 0.1) < 1.6:
            return other
    return None


def _ellipse(h: int, w: int) -> Plane:
    """Opacity in [0, 1] of a soft ellipse that fits into (h, w)."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    radius = np.hypot((x - (w - 1) / 2) / (w / 2), (y - (h - 1) / 2) / (h / 2))
    opacity: Plane = np.clip((1 - radius) / 0.35, 0, 1).astype(np.float32)
    return opacity


def _blob(box: Box, rng: np.random.Generator) -> Mask:
    """An irregular round patch of (box.h, box.w)."""
    y, x = np.mgrid[0 : box.h, 0 : box.w].astype(np.float32)
    dx, dy = (x - (box.w - 1) / 2) / (box.w / 2), (y - (box.h - 1) / 2) / (box.h / 2)
    angle = np.arctan2(dy, dx)
    edge = 0.8 + 0.12 * np.sin(2 * angle + rng.uniform(0, 6)) + 0.08 * np.sin(3 * angle + rng.uniform(0, 6))
    inside: Mask = np.hypot(dx, dy) < edge
    return inside


def _laid(values: Plane, box: Box, patch: Plane, share: float) -> Plane:
    """`values` with a patch laid over a box with soft edges; the contrast lost where both mix is given back."""
    here = slices(box)
    opacity = share * _ellipse(box.h, box.w)[..., None]
    under = values[here]
    mean = under.mean((0, 1))
    gain = 1 / np.sqrt(opacity**2 + (1 - opacity) ** 2)
    changed: Plane = values.copy()
    changed[here] = mean + ((1 - opacity) * (under - mean) + opacity * (patch - mean)) * gain
    return changed


def _edited(seen: Look, box: Box, name: str, strength: float, rng: np.random.Generator) -> Plane | None:
    """The window with one edit of a place of texture."""
    values = seen.window.pixels.astype(np.float32)
    here = slices(box)
    if name == "bent":
        return bent(values, box, min(strengthened(strength, 2, 8), 0.16 * min(box.w, box.h)), rng)
    if name == "tinted":
        own = float(np.sqrt(seen.window.lab[here].var((0, 1)).sum()))
        move = rng.standard_normal(3) * (1.0, 0.6, 0.6)
        move *= min(strengthened(strength, 5, 16), 1.5 * own + 3) / np.linalg.norm(move)
        lab = (seen.window.lab[here] + move).astype(np.float32)
        tinted = 255 * np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
        values[here] = mixed(values[here], tinted, _ellipse(box.h, box.w))
        return values
    if name == "moved":
        by, angle = strengthened(strength, 2.5, 16), rng.uniform(0, 2 * np.pi)
        x, y = box.x + round(by * np.cos(angle)), box.y + round(by * np.sin(angle))
        if min(x, y) < 0 or x + box.w > values.shape[1] or y + box.h > values.shape[0]:
            return None
        return _laid(values, box, values[y : y + box.h, x : x + box.w].copy(), 1.0)
    smooth = cv2.GaussianBlur(values, (0, 0), strengthened(strength, 0.8, 2.5))[here]
    values[here] = mixed(values[here], smooth, strengthened(strength, 0.5, 0.85) * _ellipse(box.h, box.w))
    return values
