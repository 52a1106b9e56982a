"""Where a coded picture was replaced: what survives re-compression is foreign.

The networks see their surroundings: coded content destroys what lies beside it, so the survivors are smaller than
what was put in. They are grown back by the reach that was measured for the weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage

from miscomp.images import Pixels
from miscomp.metrics.psnr import check_pair
from miscomp.records import Box
from miscomp.report.pictures import colour_heat
from miscomp.secure.calibration import Calibration, Thresholds
from miscomp.secure.codec import SecureCodec
from miscomp.secure.survival import BLOCK, CELL, LEAST_ERROR, Flags, Plane, State, Survival, compare, recompress
from miscomp.secure.verify import Verdict, classify, judge, settled

_LINE = (245, 130, 30)
_DARK = (20, 20, 20)
_HEAT_OPACITY = 0.45
_EIGHT = np.ones((3, 3))
_CELLS_PER_BLOCK = (BLOCK // CELL) ** 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A connected part of the picture that survives."""

    box: Box
    share: float
    """Of the picture's pixels, 0 to 1; the part, not its box."""
    psnr_db: float
    """Of the re-compression against the picture in the part's core, before it was grown: the higher, the surer."""

    def record(self) -> dict[str, Any]:
        """For JSON."""
        box = self.box
        return {"x": box.x, "y": box.y, "w": box.w, "h": box.h, "share": self.share, "psnr_db": self.psnr_db}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Located:
    """What `locate` found in a picture."""

    verdict: Verdict
    places: tuple[Place, ...]
    """The largest first; none unless the answer is `partly`."""
    mask: Flags
    """(h, w): the parts, grown back."""
    heat: Plane
    """How clearly each cell of 4 x 4 pixels survives, 0 to 1, before anything is grown."""


def locate(pixels: Pixels, secure: SecureCodec, calibration: Calibration) -> Located:
    """Compress pixels (h, w, 3) again in two alignments and find what survives both.

    Where the picture does not carry the perturbation all of it would be foreign: then nothing is located.
    """
    again = recompress(pixels, secure.again)
    thresholds = calibration.thresholds
    survival = compare(pixels, *again)
    verdict = judge(pixels, again, thresholds, codec=secure.label, survival=survival)
    verdict = settled(verdict, calibration.problem(secure))
    found = verdict.answer == "partly"
    core = core_of(survival, thresholds) if found else np.zeros_like(survival.cell_scores(), np.bool_)
    grown = grown_by(core, thresholds.reach)
    return Located(
        verdict=verdict,
        places=_places(survival, core, grown),
        mask=_full(grown, survival),
        heat=_heat(survival.cell_scores(), thresholds),
    )


def core_of(survival: Survival, thresholds: Thresholds) -> Flags:
    """Cells of connected regions that hold enough clear survivors, and reach as far as nothing is destroyed."""
    scores = survival.cell_scores()
    states = classify(survival.block_scores(), survival.uniform, thresholds)
    outside = _per_cell(states == State.LEFT_OUT)[: scores.shape[0], : scores.shape[1]]
    open_ = (scores < thresholds.destroyed_above) & ~outside
    labels, count = ndimage.label(open_, structure=_EIGHT)
    clear = np.bincount(labels[scores < thresholds.survives_below], minlength=count + 1)
    kept = clear >= thresholds.least_region * _CELLS_PER_BLOCK
    kept[0] = False
    core: Flags = kept[labels]
    return core


def grown_by(core: Flags, reach: int) -> Flags:
    """The cells within `reach` pixels of a core, measured between cells' middles."""
    if not core.any():
        return core.copy()
    near: Flags = ndimage.distance_transform_edt(~core) * CELL <= reach
    return near


def iou(mask: Flags, truth: Flags) -> float:
    """Pixels in both by pixels in either; nan where both are empty."""
    if mask.shape != truth.shape:
        raise ValueError(f"masks of one size are needed, got {mask.shape} and {truth.shape}")
    either = int((mask | truth).sum())
    return int((mask & truth).sum()) / either if either else math.nan


def mask_of(survival: Survival, thresholds: Thresholds) -> Flags:
    """(h, w): what is foreign, in a picture that carries the perturbation."""
    return _full(grown_by(core_of(survival, thresholds), thresholds.reach), survival)


def overlay(pixels: Pixels, located: Located) -> Pixels:
    """The picture under a heat of what survives, with the outline of each part and its box."""
    check_pair(pixels, pixels)
    height, width = pixels.shape[:2]
    grey = Image.fromarray(np.rint(located.heat * 255).astype(np.uint8))
    rows, columns = located.heat.shape
    colours = colour_heat(grey).convert("RGBA")
    colours = colours.resize((columns * CELL, rows * CELL), Image.Resampling.NEAREST).crop((0, 0, width, height))
    colours.putalpha(colours.getchannel("A").point([round(_HEAT_OPACITY * level) for level in range(256)]))
    shown = np.array(Image.alpha_composite(Image.fromarray(pixels).convert("RGBA"), colours).convert("RGB"))
    thick = max(round(max(height, width) / 512), 1)
    contours, _ = cv2.findContours(located.mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    for colour, extra in ((_DARK, 2), (_LINE, 0)):
        cv2.drawContours(shown, contours, -1, colour, 2 * thick + extra)
        for place in located.places:
            box = place.box
            cv2.rectangle(shown, (box.x, box.y), (box.right - 1, box.bottom - 1), colour, thick + extra)
    return shown


def mask_pixels(mask: Flags) -> Pixels:
    """For a PNG: white where the picture is foreign, black elsewhere."""
    return np.repeat(np.where(mask, 255, 0).astype(np.uint8)[..., None], 3, axis=2)


def _places(survival: Survival, core: Flags, grown: Flags) -> tuple[Place, ...]:
    labels, count = ndimage.label(grown, structure=_EIGHT)
    errors = survival.errors[: core.shape[0], : core.shape[1]]
    places = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels, count), 1):
        x, y = columns.start * CELL, rows.start * CELL
        right, bottom = min(columns.stop * CELL, survival.width), min(rows.stop * CELL, survival.height)
        here = labels[rows, columns] == number
        error = float(errors[rows, columns][here & core[rows, columns]].mean(dtype=np.float64))
        pixels = _full_sum(here, rows, columns, survival)
        places.append(
            Place(
                box=Box(x, y, right - x, bottom - y),
                share=pixels / (survival.width * survival.height),
                psnr_db=-10 * math.log10(max(error, LEAST_ERROR)),
            )
        )
    return tuple(sorted(places, key=lambda place: (-place.share, place.box)))


def _full_sum(here: Flags, rows: slice, columns: slice, survival: Survival) -> int:
    """Pixels of cells; those at the right and at the bottom may be smaller."""
    tall = np.minimum(np.arange(rows.start + 1, rows.stop + 1) * CELL, survival.height)
    wide = np.minimum(np.arange(columns.start + 1, columns.stop + 1) * CELL, survival.width)
    heights = tall - np.arange(rows.start, rows.stop) * CELL
    widths = wide - np.arange(columns.start, columns.stop) * CELL
    return int((here * heights[:, None] * widths[None]).sum())


def _heat(scores: Plane, thresholds: Thresholds) -> Plane:
    span = max(thresholds.destroyed_above - thresholds.survives_below, 1e-3)
    heat: Plane = np.clip((thresholds.destroyed_above - scores) / span, 0, 1).astype(np.float32)
    return heat


def _per_cell(blocks: Flags) -> Flags:
    times = BLOCK // CELL
    return blocks.repeat(times, 0).repeat(times, 1)


def _full(cells: Flags, survival: Survival) -> Flags:
    return cells.repeat(CELL, 0).repeat(CELL, 1)[: survival.height, : survival.width]
