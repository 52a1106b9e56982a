"""What may have happened to one face between two pictures, each with how sure that is.

A detector's answer is no proof: it flickers. So a face counts as lost only when a second look at the place,
under changes that alter no meaning, does not show it either, and shows it every time in the other picture.
Landmarks are compared with how far such changes alone move them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np

from miscomp.detect.face_finder import LEAST, Face, FaceFinder, Point
from miscomp.detect.face_onnx import FaceEmbedding
from miscomp.detect.face_structure import PARTS, compare_structure, part_box
from miscomp.images import Pixels
from miscomp.records import Box

LANDMARKS = ("left eye", "right eye", "nose", "left corner of the mouth", "right corner of the mouth")

STRUCTURE = (0.2, 0.5)
"""Excess of a part's difference over its surroundings' at which certainty begins and is full. Set by hand: in eight
faces coded without an edit it was at most 0.19 at 0.25 bpp, and at most 0.03 at 0.75 bpp."""

SHIFT = (0.15, 0.35)
"""The same for the displacement of a landmark beyond its own unrest, in eye distances."""

IDENTITY_RAMP = 0.3
"""Cosine below the embedding's threshold at which certainty is full."""

SMALLEST_STRUCTURE = 12
"""Pixels of a face's mean side below which parts are too small to be compared."""

SMALLEST_IDENTITY = 32
"""The same for embeddings, which see 112 x 112 pixels."""

_SAME_PLACE = 0.3
_LOOK_SIDE = 96
_BLUR = 0.7
_JPEG_QUALITY = 75


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceChange:
    """Something that may have happened to a face."""

    certainty: float
    """[0, 1]."""
    words: str
    box: Box
    numbers: Mapping[str, float | str] = field(default_factory=dict)


def ramp(value: float, ends: tuple[float, float]) -> float:
    """0 up to the first end, 1 from the second on."""
    return min(max((value - ends[0]) / (ends[1] - ends[0]), 0.0), 1.0)


def looks(finder: FaceFinder, pixels: Pixels, face: Face) -> list[Face | None]:
    """The face at a place as seen again: as it is, slightly blurred, and as JPEG; none where it is not seen.

    A large face is looked at reduced to about 96 pixels, so that time does not grow with it.
    """
    height, width = pixels.shape[:2]
    patch = face.box.grown(max(face.box.w, face.box.h), width, height)
    part = np.ascontiguousarray(pixels[patch.y : patch.bottom, patch.x : patch.right])
    if face.box.area > _LOOK_SIDE**2:
        factor = _LOOK_SIDE / math.sqrt(face.box.area)
        size = (max(round(patch.w * factor), 1), max(round(patch.h * factor), 1))
        part = np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8)
    return [_best(finder.faces(one, least=LEAST), face, patch, one.shape[1]) for one in _harmless(part)]


def _harmless(part: Pixels) -> Iterator[Pixels]:
    yield part
    yield np.asarray(cv2.GaussianBlur(part, (0, 0), _BLUR), np.uint8)
    _, code = cv2.imencode(".jpg", part, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    yield np.asarray(cv2.imdecode(code, cv2.IMREAD_COLOR), np.uint8)


def _best(found: Sequence[Face], face: Face, patch: Box, seen_width: int) -> Face | None:
    """The surest answer at the face's place, at the coordinates of the picture that the patch was cut from."""
    factor = patch.w / seen_width
    for one in found:
        x, y, w, h = (round(v * factor) for v in (one.box.x, one.box.y, one.box.w, one.box.h))
        box = Box(x + patch.x, y + patch.y, max(w, 1), max(h, 1))
        if box.iou(face.box) >= _SAME_PLACE:
            a, b, c, d, e = ((x * factor + patch.x, y * factor + patch.y) for x, y in one.landmarks)
            return replace(one, box=box, landmarks=(a, b, c, d, e))
    return None


def vanished(here: Sequence[Face | None], there: Sequence[Face | None]) -> float:
    """How surely a face that the one picture shows under harmless changes is not in the other, [0, 1]."""
    least = min(face.confidence if face else 0.0 for face in here)
    most = max(face.confidence if face else 0.0 for face in there)
    return round(least * ramp(least - most, (0.3, 0.7)), 3)


def shifts(a: Face, b: Face) -> list[float]:
    """How far each landmark of `b` lies from that of `a` after the median shift of all, in eye distances."""
    moves = np.array(b.landmarks) - np.array(a.landmarks)
    left = moves - np.median(moves, axis=0)
    return [float(v) / a.eye_distance for v in np.hypot(left[:, 0], left[:, 1])]


def landmark_change(face: Face, here: Sequence[Face | None], there: Sequence[Face | None]) -> FaceChange | None:
    """Landmarks that moved among themselves by more than harmless changes move them."""
    if not all(here) or not all(there):
        return None
    first, own = here[0], [one for one in here[1:] if one]
    if first is None or first.eye_distance < 4:
        return None
    unrest = [max(values) for values in zip(*(shifts(first, one) for one in own), strict=True)]
    # The other picture is asked under the same changes; its kindest answer counts.
    moved = [min(values) for values in zip(*(shifts(first, one) for one in there if one), strict=True)]
    beyond = [move - 2 * noise for move, noise in zip(moved, unrest, strict=True)]
    worst = int(np.argmax(beyond))
    certainty = ramp(beyond[worst], SHIFT)
    if certainty == 0:
        return None
    return FaceChange(
        certainty=round(certainty, 3),
        words=f"the {LANDMARKS[worst]} of a face moved by {moved[worst]:.2f} of the eye distance",
        box=_around(first.landmarks[worst], 0.5 * first.eye_distance, face.box),
        numbers={"landmark_moved": round(moved[worst], 3), "landmark_unrest": round(unrest[worst], 3)},
    )


def structure_change(
    original: Pixels, reconstruction: Pixels, face: Face
) -> tuple[FaceChange | None, dict[str, float]]:
    """Parts that differ clearly more than what is around them, and the numbers in any case."""
    if math.sqrt(face.box.area) < SMALLEST_STRUCTURE:
        return None, {}
    found = compare_structure(original, reconstruction, face)
    numbers = {f"{part.replace(' ', '_')}_differs": found.parts[part] for part in PARTS}
    numbers["around_face_differs"] = found.around
    certainty = ramp(found.excess(found.worst), STRUCTURE)
    if certainty == 0:
        return None, numbers
    worst = found.excess(found.worst)
    parts = [part for part in PARTS if found.excess(part) > max(STRUCTURE[0], 0.6 * worst)]
    height, width = original.shape[:2]
    words = f"{' and '.join(parts)} of a face came out otherwise (compared by structure, not by identity)"
    box = face.box if len(parts) == len(PARTS) else part_box(face, parts, width, height)
    return FaceChange(certainty=round(certainty, 3), words=words, box=box, numbers=numbers), numbers


def identity_change(
    original: Pixels, reconstruction: Pixels, *, faces: tuple[Face, Face], embedding: FaceEmbedding
) -> tuple[FaceChange | None, dict[str, float]]:
    """Whether the embedding takes the two for different persons, unless a harmless change already does that."""
    before, after = faces
    if math.sqrt(before.box.area) < SMALLEST_IDENTITY:
        return None, {}
    vector = embedding.vector(original, before)
    cosine = round(float(vector @ embedding.vector(reconstruction, after)), 3)
    own = round(min(_own_cosines(original, before, embedding)), 3)
    numbers = {"identity_cosine": cosine, "identity_cosine_harmless": own, "identity_threshold": embedding.same}
    certainty = ramp(embedding.same - cosine, (0.0, IDENTITY_RAMP))
    if certainty == 0 or own < embedding.same:
        return None, numbers
    words = f"a face may show another person (cosine {cosine:.2f}, one person's from {embedding.same:g} on)"
    return FaceChange(certainty=round(certainty, 3), words=words, box=before.box, numbers=numbers), numbers


def _own_cosines(pixels: Pixels, face: Face, embedding: FaceEmbedding) -> list[float]:
    """Cosines of a face with itself under harmless changes of what is around it."""
    height, width = pixels.shape[:2]
    patch = face.box.grown(max(face.box.w, face.box.h), width, height)
    a, b, c, d, e = ((x - patch.x, y - patch.y) for x, y in face.landmarks)
    box = Box(face.box.x - patch.x, face.box.y - patch.y, face.box.w, face.box.h)
    moved = replace(face, box=box, landmarks=(a, b, c, d, e))
    part = np.ascontiguousarray(pixels[patch.y : patch.bottom, patch.x : patch.right])
    first, *others = (embedding.vector(one, moved) for one in _harmless(part))
    return [float(first @ other) for other in others]


def _around(point: Point, reach: float, within: Box) -> Box:
    """A square around a point, moved into a box and cut to it."""
    side_x, side_y = (min(max(round(2 * reach), 4), end) for end in (within.w, within.h))
    x = min(max(round(point[0] - side_x / 2), within.x), within.right - side_x)
    y = min(max(round(point[1] - side_y / 2), within.y), within.bottom - side_y)
    return Box(x, y, side_x, side_y)
