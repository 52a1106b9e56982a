"""Read, check, hash and write pictures: the one place where files become sRGB pixels.

Reads PNG, JPEG, WebP, AVIF, TIFF, JPEG XL, JPEG 2000 and BMP, known by content. `miscomp.formats` says what is
refused, `miscomp.colour` how other kinds of pixels become sRGB; `miscomp.tensors` turns pixels into tensors.
"""

from __future__ import annotations

import hashlib
import io
import math
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from miscomp.colour import Pixels, to_srgb
from miscomp.errors import ImageError, TooLarge, UsageError
from miscomp.folders import replacing
from miscomp.formats import ALLOWED, IMAGE_SUFFIXES, Source, check_size, open_source

__all__ = [
    "IMAGE_SUFFIXES",
    "Picture",
    "Pixels",
    "decode",
    "encode_png",
    "list_images",
    "pixel_sha256",
    "read",
    "read_file",
    "write_png",
]

MAX_FILE_BYTES = 2 * 2**30
"""Larger files are refused before they are read; 200 megapixels of 16-bit RGB are 1.2 GB."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A picture as read from a file; its pixels are read-only, so that the hashes stay true."""

    pixels: Pixels
    """sRGB, height x width x 3, EXIF orientation applied."""
    path: Path
    image_sha1: str
    """SHA-1 of the file, 40 hex digits."""
    pixel_sha256: str
    """See `pixel_sha256`."""
    size_bytes: int
    """Of the file."""
    warnings: tuple[str, ...] = ()
    """What was changed on the way to sRGB, in words."""

    @property
    def width(self) -> int:
        """Pixels in a row."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])


def read(path: Path, *, max_megapixels: float = 200.0) -> Picture:
    """Read one picture. Raises `ImageError` for any file that is not one whole picture of an allowed size."""
    content = read_file(path)
    pixels, warnings = decode(content, path, max_megapixels=max_megapixels)
    pixels.setflags(write=False)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return Picture(pixels, path, sha1, pixel_sha256(pixels), len(content), warnings)


def decode(
    content: bytes,
    where: object,
    *,
    max_megapixels: float = 200.0,
    check: Callable[[Source, object], None] | None = None,
) -> tuple[Pixels, tuple[str, ...]]:
    """Pixels and warnings from a file's bytes; `where` names the source in errors. Raises `ImageError`.

    `check` sees the opened file before its pixels are converted, and may raise an `ImageError` of its own.
    """
    if not (math.isfinite(max_megapixels) and max_megapixels > 0):
        raise UsageError(f"max_megapixels must be a positive number, got {max_megapixels}")
    try:
        source = open_source(content, where, max_megapixels)
        if check is not None:
            check(source, where)
        pixels, notes = to_srgb(source, where)
        check_size(where, pixels.shape[1], pixels.shape[0], max_megapixels)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(where, "needs more memory than there is; scale it down") from error
    except Exception as error:  # Pillow raises a dozen kinds for damaged bytes
        problem = f"is truncated, damaged or of an unsupported kind ({type(error).__name__}: {error})"
        raise ImageError(where, f"{problem}; copy it again or export it as 8-bit RGB PNG or JPEG") from error
    return pixels, notes


def read_file(path: Path) -> bytes:
    """The bytes of a picture's file, at most `MAX_FILE_BYTES`. Raises `ImageError`."""
    try:
        # Asked before opening, because opening a pipe waits for its writer.
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(path, f"is a folder; one {ALLOWED} file is needed")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(path, f"is a pipe or device; a regular {ALLOWED} file is needed")
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1) if status.st_size <= MAX_FILE_BYTES else None
    except FileNotFoundError as error:
        raise ImageError(path, "does not exist; check the name") from error
    except PermissionError as error:
        raise ImageError(path, "may not be read; check its permissions") from error
    except (OSError, ValueError) as error:
        raise ImageError(path, f"cannot be read: {error}") from error
    if content is None or len(content) > MAX_FILE_BYTES:
        raise TooLarge(path, f"has more than {MAX_FILE_BYTES} bytes, the limit for a picture; save it compressed")
    return content


def _check_pixels(pixels: Pixels) -> None:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(f"pixels must be uint8 of shape (height, width, 3), got {pixels.dtype} {pixels.shape}")


def pixel_sha256(pixels: Pixels) -> str:
    """SHA-256 over ASCII `WIDTHxHEIGHT`, a line feed and the RGB bytes row by row; independent of file format."""
    _check_pixels(pixels)
    digest = hashlib.sha256(f"{pixels.shape[1]}x{pixels.shape[0]}\n".encode("ascii"))
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def encode_png(pixels: Pixels) -> bytes:
    """A PNG file without metadata, with fixed settings: the same bytes wherever Pillow and zlib are the same."""
    _check_pixels(pixels)
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, format="PNG", compress_level=3)
    return file.getvalue()


def write_png(path: Path, pixels: Pixels) -> None:
    """Write what `encode_png` gives, atomically; an existing file is replaced.

    Raises `ImageError` where the file cannot be written.
    """
    content = encode_png(pixels)
    try:
        with replacing(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise ImageError(path, f"cannot be written: {error}; check the folder, its permissions and space") from error


def list_images(path: Path, *, recursive: bool = False) -> list[Path]:
    """List a file as itself, a folder as its files with a known suffix, sorted; hidden files and folders are skipped.

    Raises `ImageError` for a missing path and for a folder without any.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ImageError(path, "does not exist; a picture or a folder of pictures is needed")
    try:
        candidates = path.rglob("*") if recursive else path.iterdir()
        found = [p for p in candidates if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file() and _visible(p, path)]
    except OSError as error:
        raise ImageError(path, f"cannot be listed: {error}") from error
    if not found:
        raise ImageError(path, f"holds no picture; files ending in {', '.join(IMAGE_SUFFIXES)} are looked for")
    return sorted(found)


def _visible(path: Path, folder: Path) -> bool:
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)
