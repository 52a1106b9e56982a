"""Typefaces for rendered signs: openly licensed outlines that other packages bring along, and our own seven segments.

DejaVu (Bitstream Vera licence) and STIX (SIL Open Font License) lie in matplotlib's wheel, Aileron (CC0) in Pillow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from miscomp.errors import InputError, MissingExtra, UsageError

FONT_SUFFIXES = (".ttf", ".otf")
MAX_FONT_BYTES = 32 * 2**20

_BUNDLED = (
    "DejaVuSans",
    "DejaVuSans-Bold",
    "DejaVuSans-Oblique",
    "DejaVuSans-BoldOblique",
    "DejaVuSansMono",
    "DejaVuSansMono-Bold",
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
)
_PROBE = 64
"""Size in pixels at which a face is measured."""
_NOWHERE = "\U000f1b00"
"""A private code point that no face is expected to have; shows what a face draws for a missing letter."""


@dataclass(frozen=True, slots=True, eq=False)
class Glyph:
    """One letter as coverage 0 to 255 (read-only), placed relative to the pen on the baseline."""

    mask: npt.NDArray[np.uint8]
    left: int
    """Columns from the pen to the mask; may be negative."""
    top: int
    """Rows from the baseline to the mask's first row; negative is above."""
    advance: float
    """Columns from this pen to the next."""


class Face(Protocol):
    """A typeface; equal ones hash alike, so that what is known about them is kept."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str: ...

    def glyph(self, letter: str, cap: int) -> Glyph:
        """A letter, sized so that capitals are about `cap` pixels high."""
        ...

    def has(self, text: str) -> bool:
        """Whether every letter can be drawn; a space always can."""
        ...


@dataclass(frozen=True, slots=True)
class OutlineFace:
    """A font file, or Pillow's own font where `path` is empty."""

    name: str
    path: str = ""

    def glyph(self, letter: str, cap: int) -> Glyph:
        return _outline_glyph(self, letter, cap)

    def has(self, text: str) -> bool:
        return all(letter == " " or _drawn(self, letter) for letter in text)


@dataclass(frozen=True, slots=True)
class SegmentFace:
    """Seven segments per digit, as on displays; a letter is 0.55 times as wide as high."""

    name: str = "seven segments"

    def glyph(self, letter: str, cap: int) -> Glyph:
        return _segment_glyph(letter, cap)

    def has(self, text: str) -> bool:
        return all(letter in _SEGMENTS for letter in text)


SEGMENTS = SegmentFace()
AILERON = OutlineFace("Aileron")


@lru_cache(maxsize=1)
def faces() -> tuple[OutlineFace, ...]:
    """The outlines at hand without the user's own. Raises `MissingExtra` without matplotlib, which is not imported."""
    spec = find_spec("matplotlib")
    if spec is None or spec.origin is None:
        raise MissingExtra("matplotlib (for the fonts in its wheel)", "plant", "rendering signs")
    folder = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf"
    found = [OutlineFace(name, str(folder / f"{name}.ttf")) for name in _BUNDLED if (folder / f"{name}.ttf").is_file()]
    if not found:
        raise MissingExtra(f"matplotlib with its fonts ({folder} has none)", "plant", "rendering signs")
    return (*found, AILERON)


def fonts_in(folder: Path) -> tuple[OutlineFace, ...]:
    """The .ttf and .otf files of a folder, by name.

    Raises `UsageError` for a folder without any, `InputError` for a file that is no font or has no Latin letters.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; give one with {' or '.join(FONT_SUFFIXES)} files")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in FONT_SUFFIXES)
    if not paths:
        raise UsageError(f"{folder} has no fonts; {' and '.join(FONT_SUFFIXES)} files are read")
    return tuple(_checked(path) for path in paths)


def _checked(path: Path) -> OutlineFace:
    try:
        if path.stat().st_size > MAX_FONT_BYTES:
            raise InputError(path, f"a font of more than {MAX_FONT_BYTES // 2**20} MiB; smaller ones are read")
        face = OutlineFace(path.stem, str(path))
        usable = face.has("AEM08n")
    except (OSError, ValueError) as error:
        raise InputError(path, f"cannot be read as a font ({error}); remove it, or give another folder") from error
    if not usable:
        raise InputError(path, "has no Latin letters and digits; remove it, or give another folder")
    return face


def _font(face: OutlineFace, size: int) -> ImageFont.FreeTypeFont:
    # The basic engine: the other one is a library that may be absent, and would then place letters otherwise.
    if face.path:
        return ImageFont.truetype(face.path, size, layout_engine=ImageFont.Layout.BASIC)
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MissingExtra("Pillow with FreeType", "plant", "rendering signs")
    return font


_sized = lru_cache(maxsize=256)(_font)


@lru_cache(maxsize=64)
def _cap_share(face: OutlineFace) -> float:
    """Height of a capital as a share of the font's size."""
    _, top, _, bottom = _sized(face, _PROBE * 4).getbbox("H", anchor="ls")
    return max((bottom - top) / (_PROBE * 4), 0.05)


@lru_cache(maxsize=512)
def _outline_glyph(face: OutlineFace, letter: str, cap: int) -> Glyph:
    font = _sized(face, max(round(cap / _cap_share(face)), 1))
    left, top, right, bottom = (round(value) for value in font.getbbox(letter, anchor="ls"))
    picture = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(picture).text((-left, -top), letter, fill=255, font=font, anchor="ls")
    return Glyph(_frozen(picture), left, top, float(font.getlength(letter)))


def _frozen(picture: Image.Image) -> npt.NDArray[np.uint8]:
    mask = np.array(picture)
    mask.setflags(write=False)
    return mask


@lru_cache(maxsize=4096)
def _drawn(face: OutlineFace, letter: str) -> bool:
    glyph, missing = _outline_glyph(face, letter, _PROBE), _outline_glyph(face, _NOWHERE, _PROBE)
    return bool(glyph.mask.any()) and not np.array_equal(glyph.mask, missing.mask)


_SEGMENTS = {
    "0": "abcdef",
    "1": "bc",
    "2": "abged",
    "3": "abgcd",
    "4": "fgbc",
    "5": "afgcd",
    "6": "afgedc",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
    "-": "g",
    " ": "",
    ":": "",
    ".": "",
}
"""Segments a to g clockwise from the top, g in the middle."""

_Corners = list[tuple[float, float]]


def _bars(w: float, h: float, t: float) -> dict[str, _Corners]:
    """Six-cornered segments of thickness `t` in a digit of w x h."""

    def level(y: float) -> _Corners:
        a, b, r = 0.6 * t, w - 0.6 * t, t / 2
        return [(a, y), (a + r, y - r), (b - r, y - r), (b, y), (b - r, y + r), (a + r, y + r)]

    def upright(x: float, a: float, b: float) -> _Corners:
        a, b, r = a + 0.1 * t, b - 0.1 * t, t / 2
        return [(x, a), (x + r, a + r), (x + r, b - r), (x, b), (x - r, b - r), (x - r, a + r)]

    e, m = t / 2, h / 2
    return {
        "a": level(e),
        "g": level(m),
        "d": level(h - e),
        "f": upright(e, e, m),
        "b": upright(w - e, e, m),
        "e": upright(e, m, h - e),
        "c": upright(w - e, m, h - e),
    }


@lru_cache(maxsize=512)
def _segment_glyph(letter: str, cap: int) -> Glyph:
    narrow = letter in ":."
    w, t = max(round(cap * (0.14 if narrow else 0.55)), 2), cap * 0.13
    picture = Image.new("L", (w, max(cap, 2)))
    draw = ImageDraw.Draw(picture)
    if narrow:
        for y in (0.3, 0.7) if letter == ":" else (1 - 0.07,):
            draw.ellipse((0, cap * y - t / 2, t, cap * y + t / 2), fill=255)
    bars = _bars(w - 1, cap - 1, t)
    for segment in _SEGMENTS[letter]:
        draw.polygon(bars[segment], fill=255)
    return Glyph(_frozen(picture), round(cap * 0.06), -cap, w + cap * 0.16)


@lru_cache(maxsize=4096)
def _normal(face: Face, letter: str) -> npt.NDArray[np.float32]:
    """The letter's coverage, centred on its width in a frame that all letters of a face share."""
    glyph = face.glyph(letter, 24)
    frame = np.zeros((48, 64), np.float32)
    h, w = min(glyph.mask.shape[0], 47), min(glyph.mask.shape[1], 63)
    top = min(max(34 + glyph.top, 0), 48 - h)
    left = 32 - w // 2
    frame[top : top + h, left : left + w] = glyph.mask[:h, :w] / 255
    return frame


def unlikeness(face: Face, one: str, other: str) -> float:
    """How differently two letters of a face look: 0 the same, 1 no ink in common."""
    a, b = _normal(face, one), _normal(face, other)
    return float(np.abs(a - b).sum() / max(float(np.maximum(a, b).sum()), 1e-6))
