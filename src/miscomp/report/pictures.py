"""The pictures of a report: read with care, encoded without loss, kept in the page or beside it.

JPEG is never used: it would add changes of its own to the very places that are to be compared.
"""

from __future__ import annotations

import base64
import hashlib
import io
import itertools
import math
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from miscomp.errors import InputError, SizeMismatch
from miscomp.folders import replacing
from miscomp.records import Box, PairResult

BESIDE = "report_files"
"""Folder beside the page for what does not fit into it."""

_WEBP_LIMIT = 16383
_THUMB = (176, 120)
_CROP_WIDTH = 320
_HEAT_PIXELS = 1_000_000
_HEAT_RAMP = (
    (0.0, (70, 12, 110, 0)),
    (0.35, (176, 40, 96, 170)),
    (0.7, (245, 130, 30, 230)),
    (1.0, (255, 246, 170, 255)),
)


class PictureStore:
    """Encoded pictures, each kept once; they move to files beside the page when they outgrow the limit.

    The page is then light whatever the run holds, and at no time is more than the limit in memory.
    """

    def __init__(self, folder: Path, *, limit_bytes: float, used_bytes: int = 0) -> None:
        self._folder = folder / BESIDE
        self._room = limit_bytes - used_bytes
        self._index: dict[str, int] = {}
        self._names: list[str] = []
        self._kept: list[bytes] = []
        self.beside = False
        if self._room < 0:
            self._move_out()

    def __len__(self) -> int:
        return len(self._names)

    def add(self, picture: Image.Image) -> int:
        """Encode a picture and return its number; equal pictures share one."""
        digest = _pixel_digest(picture)
        if digest in self._index:
            return self._index[digest]
        # In the page every byte counts; beside it, five times the speed is worth a tenth more.
        encoded, suffix = encode(picture, fast=self.beside)
        name = digest[:20] + suffix
        self._index[digest] = len(self._names)
        self._names.append(name)
        if self.beside:
            self.write_beside(name, encoded)
        else:
            self._kept.append(encoded)
            self._room -= 4 * math.ceil(len(encoded) / 3) + 64
            if self._room < 0:
                self._move_out()
        return self._index[digest]

    def address(self, number: int) -> Markup:
        """What an `img` needs as its source: a data URI, or a path relative to the page; both need no escaping."""
        name = self._names[number]
        if self.beside:
            return Markup(f"{BESIDE}/{name}")
        kind = "webp" if name.endswith(".webp") else "png"
        return Markup(f"data:image/{kind};base64," + base64.b64encode(self._kept[number]).decode("ascii"))

    def write_beside(self, name: str, content: bytes) -> None:
        """Write one file into the folder beside the page, atomically."""
        self._folder.mkdir(exist_ok=True)
        with replacing(self._folder / name) as partial:
            partial.write_bytes(content)

    def _move_out(self) -> None:
        self.beside = True
        for name, encoded in zip(self._names, self._kept, strict=True):
            self.write_beside(name, encoded)
        self._kept.clear()


def _pixel_digest(picture: Image.Image) -> str:
    digest = hashlib.sha256(f"{picture.mode} {picture.width} {picture.height} ".encode("ascii"))
    digest.update(picture.tobytes())
    return digest.hexdigest()


def encode(picture: Image.Image, *, fast: bool = False) -> tuple[bytes, str]:
    """Lossless WebP, or PNG for palettes and for sides beyond WebP's 16383 pixels; with the file's suffix."""
    stream = io.BytesIO()
    if picture.mode == "P" or max(picture.size) > _WEBP_LIMIT:
        picture.save(stream, "PNG", compress_level=6)
        return stream.getvalue(), ".png"
    picture.save(stream, "WEBP", lossless=True, quality=0 if fast else 50, method=0 if fast else 2, exact=True)
    return stream.getvalue(), ".webp"


def read_pair(folder: Path, result: PairResult) -> tuple[Image.Image, Image.Image]:
    """Original and reconstruction as RGB. Raises `InputError` or `SizeMismatch` naming the file."""
    size = (result.row.width, result.row.height)
    return _read_rgb(folder, result.original_file, size), _read_rgb(folder, result.reconstruction_file, size)


def read_heat(folder: Path, result: PairResult) -> Image.Image | None:
    """The change map as a see-through colour picture (at most a megapixel), `None` when the audit made none."""
    if not result.change_file:
        return None
    path, picture = _open(folder, result.change_file)
    with picture:
        if picture.mode not in ("L", "1") or picture.width > result.row.width or picture.height > result.row.height:
            raise InputError(
                path,
                f"is {picture.mode}, {picture.width} x {picture.height}; a change map is a grey picture of at most"
                f" {result.row.width} x {result.row.height}",
            )
        grey = _load(path, picture).convert("L")
    factor = math.ceil(math.sqrt(grey.width * grey.height / _HEAT_PIXELS))
    return colour_heat(grey.reduce(factor) if factor > 1 else grey)


def colour_heat(grey: Image.Image) -> Image.Image:
    """Give 0 to 255 colours of rising lightness and opacity, so that they also read without colour vision."""
    ramp = [_heat_colour(level / 255) for level in range(256)]
    heat = Image.frombytes("P", grey.size, grey.tobytes())
    heat.putpalette([part for colour in ramp for part in colour[:3]])
    heat.info["transparency"] = bytes(colour[3] for colour in ramp)
    return heat


def _heat_colour(t: float) -> tuple[int, ...]:
    for (t0, c0), (t1, c1) in itertools.pairwise(_HEAT_RAMP):
        if t <= t1:
            part = (t - t0) / (t1 - t0)
            return tuple(round(a + part * (b - a)) for a, b in zip(c0, c1, strict=True))
    raise ValueError(f"a heat level lies in [0, 1], got {t}")


def thumbnail(picture: Image.Image) -> Image.Image:
    """A small copy for the list, at most 176 x 120."""
    small = picture.copy()
    small.thumbnail(_THUMB, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return small


@dataclass(frozen=True, kw_only=True)
class CropWindow:
    """The part of an image that a crop shows, and the marked box in percent of it (left, top, width, height)."""

    window: Box
    mark: tuple[float, float, float, float]
    width: int
    """Of the crop as it is shown, in pixels."""

    @property
    def reduced(self) -> bool:
        """Whether the crop is shown smaller than its pixels."""
        return self.width < self.window.w


def crop_window(
    box: Box, width: int, height: int, *, least: int = 48, context: float = 1.5, widest: int = _CROP_WIDTH
) -> CropWindow:
    """A 4:3 window around a box, inside the image; at least `least` wide and `context` times as large as the box."""
    w = min(max(least, math.ceil(context * box.w), math.ceil(context * 4 * box.h / 3)), width)
    h = min(max(math.ceil(least * 0.75), math.ceil(context * box.h), math.ceil(w * 0.75)), height)
    x = min(max(round(box.center[0] - w / 2), 0), width - w)
    y = min(max(round(box.center[1] - h / 2), 0), height - h)
    mark = (100 * (box.x - x) / w, 100 * (box.y - y) / h, 100 * box.w / w, 100 * box.h / h)
    return CropWindow(window=Box(x, y, w, h), mark=mark, width=min(w, widest))


def crop(picture: Image.Image, view: CropWindow) -> Image.Image:
    """Cut the window out, reduced where it is wider than crops are shown."""
    part = picture.crop((view.window.x, view.window.y, view.window.right, view.window.bottom))
    if view.reduced:
        height = max(1, round(part.height * view.width / part.width))
        part = part.resize((view.width, height), Image.Resampling.LANCZOS)
    return part


def _read_rgb(folder: Path, name: str, size: tuple[int, int]) -> Image.Image:
    path, picture = _open(folder, name)
    with picture:
        # Checked before the pixels are decoded: the size in the record is the one the audit accepted.
        if picture.size != size:
            raise SizeMismatch(
                path,
                f"is {picture.width} x {picture.height}, the audit's record says {size[0]} x {size[1]}; audit again",
            )
        if picture.mode not in ("RGB", "L"):
            raise InputError(path, f"is a PNG of mode {picture.mode}, a report shows RGB or L; audit again")
        return _load(path, picture).convert("RGB")


def _open(folder: Path, name: str) -> tuple[Path, Image.Image]:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(name, f"lies outside the report's folder {folder}; pictures are named relative to it")
    try:
        return path, PngImageFile(path)
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(path, f"cannot be read as a PNG ({error}); run the audit again to make it") from error


def _load(path: Path, picture: Image.Image) -> Image.Image:
    try:
        picture.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(path, f"is a damaged PNG ({error}); run the audit again to make it") from error
    return picture
