"""How much a patch of a picture stands out from what surrounds it."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

Plane: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

_SECTORS = 8


def stands_out(lab: Plane, full: npt.NDArray[np.uint8]) -> tuple[float, float, float]:
    """Contrast on the second weakest side, spread of the surroundings, share of them that looks like the patch.

    `lab` (h, w, 3) shows the patch `full` (h, w; 1 inside, 0 outside) and what surrounds it. Contrast and spread are
    distances in Lab; colours are compared on each of eight sides by themselves, so that a horizon behind a thing is
    no spread.
    """
    inner = cv2.distanceTransform(full, cv2.DIST_L2, 3)
    outer = cv2.distanceTransform(1 - full, cv2.DIST_L2, 3)
    rows, columns = np.nonzero(full)
    angle = np.arctan2(
        np.arange(full.shape[0])[:, None] - rows.mean(), np.arange(full.shape[1])[None, :] - columns.mean()
    )
    sector = ((angle / (2 * np.pi) + 0.5) * _SECTORS).astype(np.int64) % _SECTORS
    within = (inner > 1) & (inner <= 5)
    near = (outer > 1.5) & (outer <= 5)
    wide = outer > 1.5
    a, b, c = (_by_sector(lab, sector, part) for part in (within, near, wide))
    steps = np.sort(np.sqrt(np.square(a - b).sum(1)))
    about = lab[wide]
    spread = float(np.sqrt(np.square(about - c[sector[wide]]).sum(1).mean()))
    own = lab[full > 0].mean(0)
    contrast = float(steps[1])
    far = np.sqrt(np.square(about - own).sum(1))
    alike = float((far < 0.5 * max(float(steps[_SECTORS // 2]), 10)).mean())
    return contrast, spread, alike


def _by_sector(lab: Plane, sector: npt.NDArray[np.int64], part: Mask) -> Plane:
    """Mean colour per sector, (sectors, 3); the overall mean where a sector is empty."""
    where, values = sector[part], lab[part]
    if not len(where):
        return np.zeros((_SECTORS, 3), np.float32)
    count = np.bincount(where, minlength=_SECTORS)
    total = np.stack([np.bincount(where, values[:, i], _SECTORS) for i in range(3)], 1)
    means = np.where(count[:, None] > 0, total / np.maximum(count, 1)[:, None], values.mean(0))
    return means.astype(np.float32)
