"""Which kind of change: AMPLITUDE, GEOMETRY or SHAPE (taxonomy paper, section III-B), with the deciding numbers.

AMPLITUDE: the gradients still point the same way, but weaker or stronger, or the colour moved. GEOMETRY: a
displacement of at least a pixel explains most of the difference. SHAPE: the contours differ and neither
explains it. Several at once are common; the main one comes first.
"""

from __future__ import annotations

import math

import numpy as np

from miscomp.detect.base import inside
from miscomp.detect.cells import CellMaps, Map
from miscomp.detect.change import STRUCTURE_FLOOR, VISIBLE
from miscomp.records import Box, Evidence
from miscomp.taxonomy import Category, join_categories

_FLOOR = STRUCTURE_FLOOR

_LEAST = 0.4
"""A category is named when its share is at least this much of the main one's."""


def categorise(cells: CellMaps, box: Box) -> tuple[str, Evidence]:
    """The categories of a region as written in the tables, and the evidence for them."""
    energy_a, energy_b = _total(cells.energy_a, box), _total(cells.energy_b, box)
    both = (energy_a + energy_b - _total(cells.difference, box)) / 2
    aligned = min(max((both + _FLOOR) / (math.sqrt(energy_a * energy_b) + _FLOOR), 0.0), 1.0)
    # Edges of the reconstruction that the original's, however scaled, do not explain.
    new_contours = energy_b * (1 - aligned**2) / (energy_a + _FLOOR)
    gain = 0.5 * math.log2((energy_b + _FLOOR) / (energy_a + _FLOOR))
    colour = float(np.linalg.norm(inside(cells.a, box).mean((0, 1)) - inside(cells.b, box).mean((0, 1))))
    pixels, explained = _displacement(cells, box)
    moved = explained * min(max(pixels - 0.5, 0.0), 1.0)
    visible = min(math.sqrt(_total(cells.difference, box)) / VISIBLE, 1.0)
    scores = {
        Category.AMPLITUDE: _ramp(abs(gain), 0.1, 0.7) * visible + _ramp(colour, 0.008, 0.048),
        Category.GEOMETRY: 1.5 * moved,
        Category.SHAPE: _ramp(new_contours, 0.04, 0.19) * (1 - moved) * visible,
    }
    ranked = sorted(scores, key=lambda c: -scores[c])
    named = tuple(c for c in ranked if scores[c] >= max(_LEAST * scores[ranked[0]], 0.1)) or (ranked[0],)
    numbers: dict[str, float | str] = {
        "edges_aligned": round(aligned, 3),
        "new_contours": round(new_contours, 3),
        "edge_amplitude_log2": round(gain, 3),
        "colour_shift_oklab": round(colour, 4),
        "displacement_px": round(pixels, 2),
        "explained_by_displacement": round(explained, 3),
    }
    numbers |= {f"score_{c.value.lower()}": round(scores[c], 3) for c in Category}
    words = "; ".join(_sentence(c, gain, colour, pixels) for c in named)
    return join_categories(named), Evidence(value=min(scores[ranked[0]], 1.0), words=words, numbers=numbers)


def _ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on."""
    return min(max((value - low) / (high - low), 0.0), 1.0)


def _total(values: Map, box: Box) -> float:
    return float(inside(values, box).mean())


def _displacement(cells: CellMaps, box: Box) -> tuple[float, float]:
    """Median displacement in pixels, weighted to where the edges are, and the share of difference it explains."""
    flow, energy = inside(cells.flow, box), inside(cells.energy_a, box)
    edges = energy >= np.median(energy)
    x, y = (float(np.median(flow[..., i][edges])) for i in (0, 1))
    before, after = _total(cells.residual, box), _total(cells.residual_moved, box)
    explained = max(1 - after / before, 0.0) if before > 0 else 0.0
    # A field that points everywhere explains by tearing the region apart, which is no displacement.
    scatter = float(np.median(np.hypot(flow[..., 0][edges] - x, flow[..., 1][edges] - y)))
    pixels = math.hypot(x, y)
    return pixels, explained * pixels / (pixels + scatter + 1e-6)


def _sentence(category: Category, gain: float, colour: float, pixels: float) -> str:
    if category is Category.GEOMETRY:
        return f"things may have moved by about {pixels:.1f} pixels"
    if category is Category.SHAPE:
        return "contours may have changed"
    parts = []
    if abs(gain) >= 0.25:
        parts.append("detail may have faded" if gain < 0 else "detail may have been added or strengthened")
    if colour >= 0.016 or not parts:
        parts.append("colour or brightness may have changed")
    return " and ".join(parts)
