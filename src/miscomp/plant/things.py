"""Kinds of plants that change how strongly something shows: removed, inserted, recoloured, lit, or a fine mark gone."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from miscomp.images import Pixels
from miscomp.plant.blend import Look, dilated, edit_of, emptied, look, mixed, soft, strengthened
from miscomp.plant.edits import Edit, Free, check_strength
from miscomp.plant.marks import Mark, marks
from miscomp.plant.segments import Mask, Plane, Thing, Window, as_plane, longest_side, search_window, slices
from miscomp.records import Box

_MARKS_TRIED = 8


def removed(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A small object fades into its surroundings: to two fifths of its contrast at strength 0.25, wholly at 1."""
    for seen, thing in _looks(pixels, strength, rng):
        ground = emptied(seen.window, thing.mask)
        if ground is None:
            continue
        share = 1 - 0.42 * ((1 - strength) / 0.75) ** 1.3
        changed = mixed(seen.window.pixels.astype(np.float32), ground, share)
        edit = edit_of(pixels, seen, changed, free=free, note="an object is gone")
        if edit is not None:
            return edit
    return None


def inserted(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An object of the picture stands a second time where the surroundings are like its own; larger when stronger."""
    for seen, thing in _looks(pixels, strength, rng):
        size = strengthened(strength, 12, 56) * rng.uniform(0.8, 1.2)
        changed = _copied(seen.window, thing, min(1.0, size / thing.area**0.5), seen.found)
        if changed is None:
            continue
        edit = edit_of(pixels, seen, changed, free=free, note="an object has come in")
        if edit is not None:
            return edit
    return None


def recoloured(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """An object's colour moves in Lab by 8 at strength 0.25 and by 45 at 1; its shading stays."""
    for seen, thing in _looks(pixels, strength, rng):
        changed = _tinted(seen.window, thing, strengthened(strength, 8, 45), rng)
        edit = edit_of(pixels, seen, changed, free=free, note="an object has another colour")
        if edit is not None:
            return edit
    return None


def light(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A bright spot goes dark, or a dark one, as a window at night, lights up warmly with a glow."""
    for seen, thing in _looks(pixels, strength, rng, room=0.8):
        own, around = _lightness(seen.window, thing)
        brightest = float(np.quantile(seen.window.lab[::4, ::4, 0], 0.85))
        share, grey = thing.area / thing.box.area, _chroma(seen.window, thing) < 20
        if own - around > 25 and own > max(60.0, brightest) and thing.area < 1600 and share > 0.5:
            changed, note = _switched_off(seen.window, thing, own, around, strength), "a light went off"
        elif own < 45 and own + 8 < around < 62 and share > 0.7 and grey:
            changed, note = _switched_on(seen.window, thing, strength), "a light came on"
        else:
            continue
        edit = edit_of(pixels, seen, changed, free=free, note=note)
        if edit is not None:
            return edit
    return None


def mark_removed(pixels: Pixels, strength: float, rng: np.random.Generator, *, free: Free) -> Edit | None:
    """A thin line, or a dot, is painted over; a weaker plant leaves a shade of it.

    Marks are thin: a box may be 3 pixels on its shorter side.
    """
    check_strength(strength)
    window = search_window(pixels, rng)
    if window is None:
        return None
    seen = Look(window, [], [], longest_side(pixels))
    found = marks(window, longest=seen.longest - 4)
    for i in rng.permutation(len(found))[:_MARKS_TRIED]:
        mark: Mark = found[int(i)]
        changed = _painted_over(window, mark.mask, 1 - 0.45 * (1 - strength) / 0.75)
        edit = edit_of(pixels, seen, changed, free=free, note=f"a {mark.name} is gone", shortest=3)
        box = None if edit is None else edit.box
        if box is not None and max(box.w, box.h) >= 8:
            return edit
    return None


def _looks(
    pixels: Pixels, strength: float, rng: np.random.Generator, *, room: float = 1.0
) -> Iterator[tuple[Look, Thing]]:
    """Things to try, in random order."""
    check_strength(strength)
    seen = look(pixels, rng, room=room)
    if seen is not None:
        for thing in seen.tried:
            yield seen, thing


def _copied(window: Window, thing: Thing, scale: float, found: list[Thing]) -> Plane | None:
    """The window with a scaled copy of a thing where its rim fits best and nothing else stands."""
    height, width = window.shape
    around = thing.box.grown(4, width, height)
    here = slices(around)
    size = (max(round(around.w * scale), 8), max(round(around.h * scale), 8))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    piece = as_plane(cv2.resize(window.pixels[here].astype(np.float32), size, interpolation=how))
    opacity = as_plane(cv2.resize(soft(thing.mask[here], 0.8), size, interpolation=how))
    place = landing(window, piece, opacity, found)
    if place is None:
        return None
    changed = window.pixels.astype(np.float32)
    there = slices(place)
    ground = changed[there]
    rim = opacity < 0.05
    lift = ground[rim].mean(0) - piece[rim].mean(0)
    # The copy takes on a part of the new place's light, as a thing that stands there would.
    changed[there] = mixed(ground, piece + 0.5 * lift, opacity)
    return changed


def landing(window: Window, piece: Plane, opacity: Plane, found: list[Thing]) -> Box | None:
    """Where a piece's rim resembles what is there and the ground is plain; none where it would stick out."""
    h, w = opacity.shape
    values = window.pixels.astype(np.float32)
    rim = (opacity < 0.05).astype(np.float32)
    if rim.sum() < 12 or h >= window.shape[0] or w >= window.shape[1]:
        return None
    weight = np.repeat(rim[..., None], 3, 2)
    cost = cv2.matchTemplate(values, piece, cv2.TM_SQDIFF, mask=weight) / (3 * rim.sum())
    grey = as_plane(values.mean(2))
    mean, square = (cv2.boxFilter(v, cv2.CV_32F, (w, h), anchor=(0, 0)) for v in (grey, grey * grey))
    spread = np.maximum(square - mean * mean, 0)[: cost.shape[0], : cost.shape[1]]
    taken = np.zeros(window.shape, np.uint8)
    for one in found:
        taken[slices(one.box)] = 1
    sums = cv2.integral(taken)
    over = sums[h:, w:] - sums[:-h, w:] - sums[h:, :-w] + sums[:-h, :-w]
    total = np.where((over > 0) | ~np.isfinite(cost), np.inf, cost + spread)
    y, x = divmod(int(total.argmin()), total.shape[1])
    return Box(x, y, w, h) if total[y, x] < 900 else None


def _tinted(window: Window, thing: Thing, by: float, rng: np.random.Generator) -> Plane:
    """The window with a thing's colour moved by about `by` in Lab, mostly in hue and chroma."""
    here = slices(thing.box.grown(4, window.shape[1], window.shape[0]))
    lab = window.lab[here].copy()
    own = window.lab[thing.mask].mean(0)
    changed = window.pixels.astype(np.float32)
    opacity = soft(thing.mask[here], 0.8)
    best, reached = changed[here], -1.0
    for _ in range(6):
        angle, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.35, 0.35)
        move = by * np.array([lift, np.cos(angle) * (1 - lift**2) ** 0.5, np.sin(angle) * (1 - lift**2) ** 0.5])
        rgb = as_plane(np.clip(cv2.cvtColor(as_plane(lab + move), cv2.COLOR_LAB2RGB), 0, 1))
        # A colour outside sRGB is clipped: the move that keeps most of its length is taken.
        length = float(np.linalg.norm(_lab_of(rgb)[thing.mask[here]].mean(0) - own))
        if length > reached:
            best, reached = as_plane(255 * rgb), length
    changed[here] = mixed(changed[here], best, opacity)
    return changed


def _lab_of(rgb: Plane) -> Plane:
    """CIE Lab of sRGB values in [0, 1]."""
    return np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2LAB), np.float32)


def _lightness(window: Window, thing: Thing) -> tuple[float, float]:
    """Mean L of a thing, and of what is around it."""
    ring = dilated(thing.mask, 6) & ~dilated(thing.mask, 2)
    return float(window.lab[..., 0][thing.mask].mean()), float(window.lab[..., 0][ring].mean())


def _chroma(window: Window, thing: Thing) -> float:
    """Lab chroma of a thing's mean colour: a dark pane has little, moss or paint has more."""
    return float(np.linalg.norm(window.lab[thing.mask].mean(0)[1:]))


def _switched_off(window: Window, thing: Thing, own: float, around: float, strength: float) -> Plane:
    """The window with a bright thing dimmed towards its surroundings, at strength 1 a little below them."""
    here = slices(thing.box.grown(6, window.shape[1], window.shape[0]))
    lab = window.lab[here].copy()
    share = strengthened(strength, 0.28, 1.0)
    target = max(0.85 * around, 6.0)
    factor = 1 - share * (1 - target / own)
    lab *= np.array([factor, 1 - 0.6 * share, 1 - 0.6 * share], np.float32)
    dark = 255 * np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    changed = window.pixels.astype(np.float32)
    changed[here] = mixed(changed[here], dark, soft(dilated(thing.mask[here], 1), 1.2))
    return changed


def _switched_on(window: Window, thing: Thing, strength: float) -> Plane:
    """The window with a dark thing shining warmly, and a glow around it."""
    reach = 8
    here = slices(thing.box.grown(reach, window.shape[1], window.shape[0]))
    lab = window.lab[here].copy()
    share = strengthened(strength, 0.2, 1.0)
    own = lab[thing.mask[here]].mean(0)
    depth = np.minimum(cv2.distanceTransform(thing.mask[here].astype(np.uint8), cv2.DIST_L2, 3) / 5, 1)
    # What is seen in it stays, as through a lit pane: brighter, with more contrast, less of its own colour.
    lab[..., 0] = np.minimum(72 + 14 * depth + 1.5 * (lab[..., 0] - own[0]), 98)
    lab[..., 1] = 7 + 0.4 * (lab[..., 1] - own[1])
    lab[..., 2] = 36 - 8 * depth + 0.4 * (lab[..., 2] - own[2])
    lit = 255 * np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    changed = window.pixels.astype(np.float32)
    glow = soft(thing.mask[here], 2.5)[..., None] * np.array([46, 34, 14], np.float32) * share
    changed[here] = mixed(changed[here] + glow, lit, share * soft(thing.mask[here], 0.9))
    return changed


def _painted_over(window: Window, mask: Mask, share: float) -> Plane:
    """The window with thin parts replaced by what lies beside them, with its grain, to a share of it."""
    hole = dilated(mask, 1)
    changed = window.pixels.astype(np.float32)
    smooth = cv2.inpaint(window.pixels, hole.astype(np.uint8), 3, cv2.INPAINT_TELEA).astype(np.float32)
    grain = changed - cv2.GaussianBlur(changed, (0, 0), 1.0)
    beside = dilated(hole, 4) & ~dilated(hole, 1)
    level = float(grain[beside].std()) if beside.any() else 0.0
    shifted = np.roll(grain, (9, 7), (0, 1))
    own = float(shifted[hole].std())
    textured = smooth + shifted * min(1.0, level / max(own, 1e-3))
    opacity = np.maximum(soft(hole, 0.7), mask.astype(np.float32)) * dilated(hole, 1)
    return mixed(changed, textured, share * opacity)
