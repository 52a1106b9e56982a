"""Fine marks in a piece of a photograph: thin lines and dots that stand out from plain surroundings."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from miscomp.plant.segments import Mask, Plane, Window, slices, tight_box

_WIDTH = 7
_LEAST_HEIGHT = 7.0
_TIMES_SPREAD = 5.0
_MOST_CROWDED = 0.06
_MOST_FOUND = 24


@dataclass(frozen=True, slots=True, eq=False)
class Mark:
    """A thin line or a dot."""

    name: str
    """`line` or `dot`."""
    mask: Mask
    """As large as the window."""


def marks(window: Window, *, longest: int) -> list[Mark]:
    """The fine marks of a window, plainest first; of a line longer than `longest` pixels, a piece of that length."""
    lightness = np.ascontiguousarray(window.lab[..., 0])
    smooth = cv2.GaussianBlur(lightness, (0, 0), 0.7)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_WIDTH, _WIDTH))
    rows: list[tuple[float, Mark]] = []
    for operation in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        response = cv2.morphologyEx(smooth, operation, kernel)
        rows += _found(response.astype(np.float32), longest)
    rows.sort(key=lambda row: -row[0])
    return [mark for _, mark in rows[:_MOST_FOUND]]


def _found(response: Plane, longest: int) -> list[tuple[float, Mark]]:
    """Marks in a response of one sign, with how plainly each stands out."""
    height, width = response.shape
    # The usual response nearby: a mark among many is texture.
    usual = cv2.blur(response, (41, 41))
    peaks = (response > np.maximum(_LEAST_HEIGHT, 2.5 * usual)).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(peaks, connectivity=8)
    rows: list[tuple[float, Mark]] = []
    for i in np.argsort(-stats[1:, 4])[:60] + 1:
        x, y, w, h, area = (int(v) for v in stats[i])
        if area < 12 or min(x, y) < 4 or x + w > width - 4 or y + h > height - 4:
            continue
        name = _name(w, h, area, labels[y : y + h, x : x + w] == i)
        if not name:
            continue
        mask = labels == i
        if max(w, h) > longest:
            mask = _piece(mask, longest)
        plain = _plainness(response, mask)
        if plain >= _TIMES_SPREAD:
            rows.append((min(plain, 20) * min(area, 100) ** 0.5, Mark(name, mask)))
    return rows


def _name(w: int, h: int, area: int, part: Mask) -> str:
    """What a part is: `line`, `dot`, or nothing."""
    length = float(np.hypot(w, h))
    thick = 2 * float(cv2.distanceTransform(np.pad(part.astype(np.uint8), 1), cv2.DIST_L2, 3).max())
    if length >= 14 and thick <= 6 and area / length <= 4.5 and length >= 3.5 * thick:
        return "line"
    return "dot" if max(w, h) <= 12 and min(w, h) >= 4 and area >= 0.55 * w * h and max(w, h) <= 1.7 * min(w, h) else ""


def _piece(mask: Mask, longest: int) -> Mask:
    """The middle of a long mark."""
    box = tight_box(mask)
    middle_x, middle_y = box.x + box.w // 2, box.y + box.h // 2
    piece = np.zeros_like(mask)
    half = max(longest // 2, 1)
    rows = slice(max(middle_y - half, 0), middle_y + half)
    columns = slice(max(middle_x - half, 0), middle_x + half)
    piece[rows, columns] = mask[rows, columns]
    return piece


def _plainness(response: Plane, mask: Mask) -> float:
    """The mark's response in units of that of its surroundings; 0 where much else stands out there."""
    if not mask.any():
        return 0.0
    here = slices(tight_box(mask).grown(10, mask.shape[1], mask.shape[0]))
    part, values = mask[here], response[here]
    near = cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    around = values[~near]
    if around.size < 20:
        return 0.0
    own = float(values[part].mean())
    if float((around > 0.5 * own).mean()) > _MOST_CROWDED:
        return 0.0
    return own / (float(np.sqrt(np.square(around).mean())) + 0.5)
