"""Compares a face in two pictures by structure, without weights and without knowing whose it is.

The same place is cut out of both, turned so that the eyes are level, and scaled. What is compared are the
gradients of lightness around eyes, nose and mouth, against how well they came out around the face.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from miscomp.detect.cells import Map, as_map, oklab
from miscomp.detect.face_finder import Face
from miscomp.images import Pixels
from miscomp.records import Box

PARTS = ("left eye", "right eye", "nose", "mouth")
"""As they lie in an upright picture."""

REACH = 0.42
"""Radius of a part, in eye distances."""

_UNIT = 32.0
_SIDE = 160
_SIGMA = 1.2
_FLOOR = 0.006**2


@dataclass(frozen=True, slots=True)
class FaceStructure:
    """How much of the gradients differs: 0 equal, 1 unrelated or gone, 2 reversed."""

    parts: dict[str, float]
    """By part."""
    around: float
    """Around the face's parts, in a frame five eye distances wide."""

    @property
    def worst(self) -> str:
        """The part that differs most."""
        return max(PARTS, key=lambda part: self.parts[part])

    def excess(self, part: str) -> float:
        """How much more a part differs than what is around it."""
        return self.parts[part] - self.around


def part_centers(face: Face) -> dict[str, tuple[float, float]]:
    """Where the parts lie, in pixels of the picture."""
    a, b, nose, c, d = face.landmarks
    return dict(zip(PARTS, (a, b, nose, ((c[0] + d[0]) / 2, (c[1] + d[1]) / 2)), strict=True))


def part_box(face: Face, parts: list[str], width: int, height: int) -> Box:
    """The box around parts of a face, clipped to the picture."""
    centers, reach = part_centers(face), REACH * face.eye_distance
    xs, ys = ([centers[part][i] for part in parts] for i in (0, 1))
    left, top = (min(max(math.floor(min(v) - reach), 0), end - 1) for v, end in ((xs, width), (ys, height)))
    right, bottom = (min(max(math.ceil(max(v) + reach), 1), end) for v, end in ((xs, width), (ys, height)))
    return Box(left, top, max(right - left, 1), max(bottom - top, 1))


def compare_structure(original: Pixels, reconstruction: Pixels, face: Face) -> FaceStructure:
    """Compare a face at one place of two pictures of equal size."""
    transform = _levelled(face)
    (ax, ay), (bx, by) = (_gradients(pixels, transform, face.eye_distance) for pixels in (original, reconstruction))
    difference, energy = (ax - bx) ** 2 + (ay - by) ** 2, ax**2 + ay**2 + bx**2 + by**2
    rows, columns = np.mgrid[:_SIDE, :_SIDE].astype(np.float32)
    outside = np.ones((_SIDE, _SIDE), bool)
    parts = {}
    for name, center in part_centers(face).items():
        x, y = transform @ np.array([*center, 1.0])
        distance = np.hypot(columns - x, rows - y)
        parts[name] = _share(difference, energy, distance <= REACH * _UNIT)
        outside &= distance > 1.2 * REACH * _UNIT
    return FaceStructure(parts, _share(difference, energy, outside))


def _share(difference: Map, energy: Map, where: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    if not where.any():
        return 0.0
    return round(float(difference[where].mean() / (energy[where].mean() + _FLOOR)), 3)


def _levelled(face: Face) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """From picture to frame: 2 x 3, the landmarks' middle to the frame's, the eyes level, their distance 32."""
    left, right = np.array(face.landmarks[0]), np.array(face.landmarks[1])
    along = right - left if math.dist(left, right) > 0.15 * face.eye_distance else np.array([1.0, 0.0])
    along = along / np.hypot(*along) * (_UNIT / face.eye_distance)
    turn = np.array([[along[0], along[1]], [-along[1], along[0]]])
    middle = np.array(face.landmarks).mean(0)
    return np.column_stack([turn, np.array([_SIDE / 2, _SIDE / 2]) - turn @ middle])


def _gradients(pixels: Pixels, transform: np.ndarray[tuple[int, int], np.dtype[np.float64]], unit: float) -> list[Map]:
    corners = np.array([[0, 0, _SIDE, _SIDE], [0, _SIDE, 0, _SIDE]]) - transform[:, 2:]
    back = np.linalg.solve(transform[:, :2], corners)
    margin = math.ceil(2 * unit / _UNIT) + 2
    height, width = pixels.shape[:2]
    (left, right), (top, bottom) = (
        (min(max(math.floor(v.min()) - margin, 0), end - 1), min(max(math.ceil(v.max()) + margin, 1), end))
        for v, end in ((back[0], width), (back[1], height))
    )
    part = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    if unit > _UNIT:  # a frame that shrinks the face must not alias
        part = np.asarray(cv2.GaussianBlur(part, (0, 0), 0.5 * unit / _UNIT), np.uint8)
    shifted = transform.copy()
    shifted[:, 2] += transform[:, :2] @ np.array([left, top])
    level = cv2.warpAffine(part, shifted, (_SIDE, _SIDE), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    smooth = cv2.GaussianBlur(oklab(np.asarray(level, np.uint8))[..., 0], (0, 0), _SIGMA)
    return [as_map(cv2.Sobel(smooth, cv2.CV_32F, dx, 1 - dx, ksize=1, scale=0.5)) for dx in (1, 0)]
