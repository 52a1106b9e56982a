"""Characters of photographed number plates, replaced by others of the same plate.

A folder of plates has photographs and, beside each, a text file of lines `file, x, y, w, h, text`, separated by tabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.errors import InputError, UsageError
from miscomp.images import Pixels
from miscomp.plant.composite import Floats, grey
from miscomp.plant.edits import Edit, check_strength
from miscomp.plant.fonts import AILERON, unlikeness
from miscomp.plant.written import LEAST_UNLIKE
from miscomp.records import Box

MOST_BYTES = 2**16
"""Of a text file beside a photograph."""

_TEXT = re.compile(r"[A-Z0-9]{2,12}")
_WORKING_HEIGHT = 140
"""Rows that a plate is enlarged to, or shrunk, before its characters are looked for."""
_WIDEST = 15
"""A plate's width in units of its height."""
_TALL = (0.3, 0.97)
"""Height of a character as a share of the plate's."""
_SAME_HEIGHT = 0.18
"""Most difference in height within a plate."""
_SLOPE = 0.2
_OFF_LINE = 0.16
"""How far a character's middle may lie off the line through all, as a share of their height."""
_AGREEING = 0.08
"""Most difference between what two thresholds show, as a share of the plate's height."""
_WIDER = 0.35
"""Most difference in width between two characters that change places, as a share of the wider."""


@dataclass(frozen=True, slots=True)
class Character:
    """A character in the plate's frame, in pixels and parts of them."""

    letter: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def center(self) -> tuple[float, float]:
        """As (x, y)."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def width(self) -> float:
        """In pixels."""
        return self.right - self.left


def read_plates(folder: Path) -> list[tuple[Path, Box, str]]:
    """Every plate of a folder: its photograph, its box there, its text (capitals and digits, no spaces).

    Raises `UsageError` for a folder without text files and `InputError` for a file that is not as described above.
    """
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    if not files:
        raise UsageError(
            f"{folder} has no plates; beside each photograph a .txt file says file, x, y, w, h and text of each plate"
        )
    return [plate for path in files for plate in _plates_of(path)]


def _plates_of(path: Path) -> Iterator[tuple[Path, Box, str]]:
    try:
        with path.open("rb") as file:
            lines = file.read(MOST_BYTES + 1).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(path, f"cannot be read as UTF-8 text: {error}") from error
    if sum(map(len, lines)) > MOST_BYTES:
        raise InputError(path, f"has more than {MOST_BYTES} characters; a few lines are expected")
    for number, line in enumerate(lines, 1):
        if line.strip():
            yield _plate_of(path, number, line)


def _plate_of(path: Path, number: int, line: str) -> tuple[Path, Box, str]:
    allowed = "file, x, y, w, h and text, separated by tabs, the text of 2 to 12 capitals and digits"
    fields = [field.strip() for field in line.split("\t")]
    try:
        name, x, y, w, h, text = fields
        box = Box(int(x), int(y), int(w), int(h))
    except ValueError as error:
        raise InputError(path, f"line {number} is not of the form {allowed}: {error}") from error
    if not _TEXT.fullmatch(text):
        raise InputError(path, f"line {number}: text {text!r}; allowed: {allowed}")
    photograph = path.parent / name
    if Path(name).name != name or not photograph.is_file():
        raise InputError(path, f"line {number}: {name!r} is no file beside it; put the photograph there")
    return photograph, box, text


def swap_on_plate(pixels: Pixels, plate_box: Box, text: str, strength: float, rng: np.random.Generator) -> Edit | None:
    """One character of a plate becomes a copy of another on it; the weaker, the more alike the two.

    None where the characters found on the plate are not as many as in `text`, or where no two have about the same
    width. Raises `UsageError` for a box outside the picture.
    """
    check_strength(strength)
    height, width = pixels.shape[:2]
    if plate_box.right > width or plate_box.bottom > height:
        raise UsageError(f"the plate's {plate_box} reaches outside the picture of {width} x {height} pixels")
    plate = pixels[plate_box.y : plate_box.bottom, plate_box.x : plate_box.right]
    found = characters(plate, text)
    pairs = _pairs(found) if found is not None else []
    if found is None or not pairs:
        return None
    share = (max(strength, 0.25) - 0.25) / 0.75
    third = max(len(pairs) // 3, 1)
    first = round(share * (len(pairs) - third))
    order = [*rng.permutation(pairs[first : first + third]), *rng.permutation(pairs[:first] + pairs[first + third :])]
    for old, new in order:
        edit = _copied(plate, found, (int(old), int(new)), plate_box)
        if edit is not None:
            return edit
    return None


def _pairs(found: list[Character]) -> list[tuple[int, int]]:
    """Numbers of (replaced, copied), the most alike first."""
    rows = []
    for i, old in enumerate(found):
        for j, new in enumerate(found):
            if abs(old.width - new.width) > _WIDER * max(old.width, new.width):
                continue
            # Plates have their own face; how alike letters are hardly depends on it.
            unlike = unlikeness(AILERON, old.letter, new.letter)
            if unlike >= LEAST_UNLIKE:
                rows.append((unlike, i, j))
    return [(i, j) for _, i, j in sorted(rows)]


def characters(plate: Pixels, text: str) -> list[Character] | None:
    """Find the characters of a plate, from the left.

    None unless two thresholds show just as many as `text` has, at the same places.
    """
    if plate.shape[1] > _WIDEST * plate.shape[0]:
        return None
    scale = _WORKING_HEIGHT / plate.shape[0]
    size = (max(round(plate.shape[1] * scale), 1), _WORKING_HEIGHT)
    luma = cv2.resize(grey(plate), size, interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    for dark in (True, False):
        seen: list[npt.NDArray[np.float64]] = []
        for mask in _masks(np.asarray(luma if dark else 255 - luma, np.float32)):
            boxes = _row_of_characters(mask)
            if len(boxes) != len(text) or not _evenly_spaced(boxes):
                continue
            for other in seen:
                if float(np.abs(boxes - other).max()) <= _AGREEING * luma.shape[0]:
                    scaled = (boxes + other) / 2 / scale
                    rows = zip(text, scaled.tolist(), strict=True)
                    return [Character(letter, *(float(edge) for edge in row)) for letter, row in rows]
            seen.append(boxes)
    return None


def _masks(luma: Floats) -> Iterator[npt.NDArray[np.uint8]]:
    """Where ink may be: darker than its surroundings by several measures, the most cautious in the middle."""
    size = max(luma.shape[0] // 2 * 2 + 1, 3)
    local = cv2.GaussianBlur(luma, (0, 0), size / 4)
    spread = np.sqrt(np.maximum(cv2.GaussianBlur((luma - local) ** 2, (0, 0), size / 3), 1))
    for factor in (0.2, 0.0, 0.4, -0.2, 0.6, 0.8, 1.0):
        yield (luma < local - factor * spread).astype(np.uint8)
    level, _ = cv2.threshold(luma.clip(0, 255).astype(np.uint8), 0, 255, cv2.THRESH_OTSU)
    for share in (1.0, 0.85, 1.15, 0.7):
        yield (luma < level * share).astype(np.uint8)


def _row_of_characters(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The largest set of parts of one height on one line as rows (left, top, right, bottom), from the left."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    x, y, w, h = (stats[1:, column].astype(np.float64) for column in range(4))
    boxes = np.stack([x, y, x + w, y + h], 1)
    tall = (h >= _TALL[0] * mask.shape[0]) & (h <= _TALL[1] * mask.shape[0]) & (w <= 1.1 * h) & (w >= 0.06 * h)
    boxes = boxes[tall]
    best = boxes[:0]
    for one in boxes:
        group = _alike(boxes, one)
        if len(group) > len(best):
            best = group
    return np.asarray(best[np.argsort(best[:, 0])], np.float64)


def _alike(boxes: npt.NDArray[np.float64], one: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The boxes as high as one, on a line through it."""
    heights, height = boxes[:, 3] - boxes[:, 1], one[3] - one[1]
    middle_x, middle_y = boxes[:, [0, 2]].mean(1), boxes[:, [1, 3]].mean(1)
    near = np.abs(heights - height) <= _SAME_HEIGHT * height
    dx, dy = middle_x - one[[0, 2]].mean(), middle_y - one[[1, 3]].mean()
    best = np.zeros(len(boxes), bool)
    for slope in np.linspace(-_SLOPE, _SLOPE, 17):
        on_line = near & (np.abs(dy - slope * dx) <= _OFF_LINE * height)
        if on_line.sum() > best.sum():
            best = on_line
    return np.asarray(boxes[best], np.float64)


def _evenly_spaced(boxes: npt.NDArray[np.float64]) -> bool:
    """Whether neighbours stand beside each other, none inside another and none far away."""
    gaps = boxes[1:, 0] - boxes[:-1, 2]
    steps = np.diff(boxes[:, [0, 2]].mean(1))
    overlap = float(-gaps.min()) if len(gaps) else 0.0
    height = float((boxes[:, 3] - boxes[:, 1]).mean())
    return overlap <= 0.12 * height and float(steps.max()) <= 2.6 * float(np.median(steps))


def _copied(plate: Pixels, found: list[Character], pair: tuple[int, int], plate_box: Box) -> Edit | None:
    """Character `pair[1]` over `pair[0]`; none where neighbours leave no room."""
    old, new = (found[number] for number in pair)
    # Up to the middle of the gap on either side, at both places.
    room = min(_room(found, number, plate.shape[1]) for number in pair)
    half = max(old.width, new.width) / 2
    if room < half:
        return None
    half_w = min(room, half + 0.5 * old.width)
    half_h = max(old.bottom - old.top, new.bottom - new.top) / 2 * 1.12 + 0.5
    x, y = old.center
    left, right = round(x - half_w), round(x + half_w)
    top, bottom = max(round(y - half_h), 0), min(round(y + half_h), plate.shape[0])
    left, right = max(left, 0), min(right, plate.shape[1])
    target = plate[top:bottom, left:right].astype(np.float32)
    shift = (new.center[0] - x, new.center[1] - y)
    matrix = np.array([[1, 0, left + shift[0]], [0, 1, top + shift[1]]], np.float32)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    source = cv2.warpAffine(
        plate, matrix, (right - left, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE
    ).astype(np.float32)
    source = _toned(source, target)
    mask = _feather(target.shape[:2])
    after = np.rint((target + mask[..., None] * (source - target)).clip(0, 255)).astype(np.uint8)
    region = Box(plate_box.x + left, plate_box.y + top, right - left, bottom - top)
    edit = Edit(
        region=region,
        before=plate[top:bottom, left:right].copy(),
        after=after,
        note=f"{old.letter} became {new.letter} on a plate",
    )
    return None if edit.box is None else edit


def _room(found: list[Character], number: int, width: int) -> float:
    """From a character's middle to the nearer of its borders with its neighbours."""
    one = found[number]
    x = one.center[0]
    left = (found[number - 1].right + one.left) / 2 if number else 0.0
    right = (one.right + found[number + 1].left) / 2 if number + 1 < len(found) else float(width)
    return min(x - left, right - x)


def _toned(source: Floats, target: Floats) -> Floats:
    """The copy with the target's light: dark and bright ends of each channel are brought together."""
    (low_s, high_s), (low_t, high_t) = (np.percentile(patch, (12, 88), axis=(0, 1)) for patch in (source, target))
    gain = ((high_t - low_t) / np.maximum(high_s - low_s, 4)).clip(0.6, 1.6)
    return np.asarray((source - (low_s + high_s) / 2) * gain + (low_t + high_t) / 2, np.float32)


def _feather(shape: tuple[int, ...]) -> Floats:
    """1 inside, falling to 0.25 in the outermost pixels."""
    rows, columns = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in shape[:2])
    mask = np.minimum(rows[:, None], columns[None, :])
    return np.asarray(((mask + 0.5) / 2).clip(0, 1), np.float32)
