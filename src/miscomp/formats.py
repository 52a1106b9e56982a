"""Which image format a file's bytes are in, and what its header says, before any pixel is decoded.

A format is known by its content, never by its suffix. Only the readers named here ever see the bytes, so
that no interpreter (PostScript, PDF) can run. Pillow's process-wide size limit is not used and not changed.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    ExifTags,
    Image,
    Jpeg2KImagePlugin,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from miscomp.errors import ImageError, TooLarge
from miscomp.jxl import CONTAINER, MAX_EXTRA_CHANNELS, SIGNATURE, codestream, decode_codestream, read_header

ALLOWED = "PNG, JPEG, WebP, AVIF, TIFF, JPEG XL, JPEG 2000 or BMP"
IMAGE_SUFFIXES = (".avif", ".bmp", ".j2k", ".jp2", ".jpeg", ".jpg", ".jxl", ".png", ".tif", ".tiff", ".webp")
"""Suffixes looked for in folders, in lower case; a file named directly may have any suffix."""

MAX_SCANS = 100
"""Scans of a progressive JPEG; each costs a pass over the whole picture, and real encoders write about ten."""

_JP2 = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
_J2K = b"\xff\x4f\xff\x51"
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"II\x2a\x00", "TIFF"),
    (b"MM\x00\x2a", "TIFF"),
    (b"II\x2b\x00", "TIFF"),
    (b"MM\x00\x2b", "TIFF"),
    (SIGNATURE, "JPEG XL"),
    (CONTAINER, "JPEG XL"),
    (_JP2, "JPEG 2000"),
    (_J2K, "JPEG 2000"),
    (b"BM", "BMP"),
)
_FOREIGN = ((b"GIF8", "a GIF"), (b"%PDF", "a PDF"), (b"%!PS", "PostScript"), (b"<svg", "an SVG"), (b"8BPS", "a PSD"))


class _Tiff(TiffImagePlugin.TiffImageFile):
    """Pillow's reader without Pillow's process-wide limit: the size has been checked when pixels are loaded."""

    def load_prepare(self) -> None:
        if self._im is None:
            self.im = Image.new(self.mode, self._tile_size).im
        super().load_prepare()


_READERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "PNG": PngImagePlugin.PngImageFile,
    # The class, not Pillow's factory: a phone's JPEG with a preview or gain map stays a JPEG of one picture.
    "JPEG": JpegImagePlugin.JpegImageFile,
    "WebP": WebPImagePlugin.WebPImageFile,
    "AVIF": AvifImagePlugin.AvifImageFile,
    "TIFF": _Tiff,
    "JPEG 2000": Jpeg2KImagePlugin.Jpeg2KImageFile,
    "BMP": BmpImagePlugin.BmpImageFile,
}


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """An opened picture: one frame, of an allowed size; its pixels may not be decoded yet."""

    image: Image.Image
    format: str
    bits: int
    """Bits per sample in the file."""
    notes: tuple[str, ...] = ()


def format_of(content: bytes, where: object) -> str:
    """Name of the format. Raises `ImageError` that says what the bytes look like instead."""
    if not content:
        raise ImageError(where, f"is empty; a {ALLOWED} image is needed")
    for signature, name in _SIGNATURES:
        if content.startswith(signature):
            return name
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "WebP"
    if content[4:8] == b"ftyp":
        brands = content[8 : min(int.from_bytes(content[:4], "big"), 256)]
        if b"avif" in brands or b"avis" in brands:
            return "AVIF"
        found = "a HEIC or video file"
    else:
        found = next((name for start, name in _FOREIGN if content.startswith(start)), f"beginning {content[:12]!r}")
    raise ImageError(where, f"is not an image that can be read ({found}); convert it to {ALLOWED}")


def check_size(where: object, width: int, height: int, max_megapixels: float) -> None:
    """Raise `ImageError` for a picture without pixels, `TooLarge` for more than `max_megapixels` million."""
    if width < 1 or height < 1:
        raise ImageError(where, f"has no pixels ({width} x {height}); at least 1 x 1 is needed")
    if width * height > max_megapixels * 1e6:
        found = f"has {width} x {height} pixels ({width * height / 1e6:.1f} megapixels)"
        raise TooLarge(
            where, f"{found}; the limit is {max_megapixels:g}; scale it down or raise the limit (max_megapixels)"
        )


def open_source(content: bytes, where: object, max_megapixels: float) -> Source:
    """Open one picture and check its header. Raises `ImageError`, or whatever Pillow raises for damaged bytes."""
    name = format_of(content, where)
    if name == "JPEG XL":
        return _open_jxl(content, where, max_megapixels)
    if name == "PNG":
        _check_png(content, where)
    if name == "WebP":
        _check_webp(content, where, max_megapixels)
    try:
        image = _READERS[name](io.BytesIO(content))
    except SyntaxError as error:
        problem = f"has a damaged, unsupported or zero-sized {name} header ({error})"
        raise ImageError(where, f"{problem}; export it again as 8-bit RGB") from error
    check_size(where, *image.size, max_megapixels)
    if name == "JPEG" and content.count(b"\xff\xda") > MAX_SCANS:
        raise ImageError(where, f"is a JPEG of more than {MAX_SCANS} scans; save it again as baseline JPEG")
    _check_frames(image, where)
    notes: tuple[str, ...] = ()
    if "mp" in image.info:
        notes = ("further pictures in the file (a preview or gain map) were ignored",)
    return Source(image, name, _bits(name, image, content), notes)


def _refuse_frames(where: object) -> ImageError:
    return ImageError(where, "holds more than one frame or page; one is allowed: export the one you mean")


def _check_frames(image: Image.Image, where: object) -> None:
    try:
        image.seek(1)
    except EOFError:
        return
    raise _refuse_frames(where)


def _check_png(content: bytes, where: object) -> None:
    """Pillow accepts a PNG whose end is missing and never compares the checksum of pixel data: do both here."""
    view = memoryview(content)
    at = 8
    while True:
        length = int.from_bytes(view[at : at + 4], "big")
        kind = bytes(view[at + 4 : at + 8])
        end = at + 8 + length
        if end + 4 > len(view):
            raise ImageError(where, f"is truncated: the PNG ends inside chunk {kind!r}; copy or export it again")
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            raise ImageError(where, f"is damaged: the checksum of PNG chunk {kind!r} is wrong; copy or export it again")
        if kind == b"IEND":
            return
        at = end + 4


def _check_webp(content: bytes, where: object, max_megapixels: float) -> None:
    """Pillow's WebP decoder takes memory for the whole canvas when it is opened, so read the header first."""
    kind, head = content[12:16], content[20:30]
    if len(head) < 10:
        raise ImageError(where, "is truncated: the WebP ends inside its header; copy or export it again")
    if kind == b"VP8X":
        if head[0] & 2:
            raise _refuse_frames(where)
        width, height = int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    elif kind == b"VP8L":
        packed = int.from_bytes(head[1:5], "little")
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    else:
        width, height = (int.from_bytes(head[i : i + 2], "little") & 0x3FFF for i in (6, 8))
    check_size(where, width, height, max_megapixels)


def _bits(name: str, image: Image.Image, content: bytes) -> int:
    """Bits per sample; where the header does not say, 8."""
    if name == "PNG":
        return content[24]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return int(max(image.tag_v2.get(ExifTags.Base.BitsPerSample, (8,))))
    if name == "JPEG 2000":
        at = content.find(_J2K) + 42
        return (content[at] & 0x7F) + 1 if at < len(content) else 8
    if name == "AVIF":
        at = content.find(b"av1C") + 6
        flags = content[at] if 6 <= at < len(content) else 0
        return 8 if not flags & 0x40 else 12 if flags & 0x20 else 10
    return 8


def _open_jxl(content: bytes, where: object, max_megapixels: float) -> Source:
    stream = codestream(content)
    header = read_header(stream)
    check_size(where, header.width, header.height, max_megapixels)
    if header.animated:
        raise _refuse_frames(where)
    if header.extra_channels > MAX_EXTRA_CHANNELS:
        found = f"has {header.extra_channels} extra channels"
        raise ImageError(where, f"{found}; at most {MAX_EXTRA_CHANNELS} are allowed; export it as RGB")
    return Source(decode_codestream(stream), "JPEG XL", header.bits)
