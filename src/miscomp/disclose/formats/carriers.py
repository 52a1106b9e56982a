"""Which module reads and writes which format."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from miscomp.codecs.container import is_stream
from miscomp.disclose.formats import heif, jpeg, jxl_boxes, png, stream, tiff, webp
from miscomp.disclose.formats.base import Changes, Metadata
from miscomp.errors import ImageError
from miscomp.formats import format_of


class Carrier(NamedTuple):
    """Reads a file's blocks, and gives the file with other ones."""

    read: Callable[[bytes, object], Metadata]
    write: Callable[[bytes, object, Changes], bytes]


_CARRIERS = {
    "PNG": Carrier(png.read, png.write),
    "JPEG": Carrier(jpeg.read, jpeg.write),
    "WebP": Carrier(webp.read, webp.write),
    "AVIF": Carrier(heif.read, heif.write),
    "JPEG XL": Carrier(jxl_boxes.read, jxl_boxes.write),
    "TIFF": Carrier(tiff.read, tiff.write),
}
_STREAM = Carrier(stream.read, stream.write)
ALLOWED = f"{', '.join(_CARRIERS)} and .misc"


def carrier_of(content: bytes, where: object) -> Carrier:
    """The module for a file's bytes. Raises `ImageError` for what holds no disclosure."""
    if is_stream(content):
        return _STREAM
    name = format_of(content, where)
    if name not in _CARRIERS:
        raise ImageError(where, f"is a {name}, which holds no disclosure; save it as one of {ALLOWED}")
    return _CARRIERS[name]
