"""JPEG XL: the boxes `Exif` and `xml ` of the container; a bare codestream is put into one.

Source: ISO/IEC 18181-2, clause 9. Boxes that Brotli packed (`brob`) are seen, not unpacked, and stay.
"""

from __future__ import annotations

from miscomp.disclose.formats.base import Changes, Metadata, Piece, Unreadable, swapped
from miscomp.disclose.formats.boxes import Box, boxes, pack, tiff_start
from miscomp.errors import ImageError
from miscomp.jxl import CONTAINER, SIGNATURE

_KINDS = {"exif": b"Exif", "xmp": b"xml "}
_TYPE = pack(b"ftyp", b"jxl \0\0\0\0jxl ")
_CODESTREAM = (b"jxlc", b"jxlp")


def _boxes(content: bytes, where: object) -> list[Box]:
    try:
        return boxes(content, 0, len(content))
    except Unreadable as error:
        raise ImageError(where, f"cannot be read: {error}; copy or export it again") from error


def read(content: bytes, where: object) -> Metadata:
    """Raises `ImageError` for a container whose boxes are damaged."""
    if content.startswith(SIGNATURE):
        return Metadata()
    found = _boxes(content, where)
    blocks: dict[str, bytes] = {}
    locked: dict[str, str] = {}
    problems: list[str] = []
    rebuilds = any(one.kind == b"jbrd" for one in found)
    for place, kind in _KINDS.items():
        same = [content[one.body : one.end] for one in found if one.kind == kind]
        if len(same) > 1:
            problems.append(f"the JPEG XL has several boxes {kind.decode().strip()}; the first was read")
        if same:
            try:
                blocks[place] = same[0][tiff_start(same[0]) :] if place == "exif" else same[0]
            except Unreadable as error:
                locked[place] = str(error)
                problems.append(str(error))
            if rebuilds:
                locked[place] = (
                    f"the box {kind.decode()} belongs to the JPEG file that can be rebuilt, and was left as it is"
                )
        if any(one.kind == b"brob" and content[one.body : one.body + 4] == kind for one in found):
            locked[place] = f"the box {kind.decode().strip()} is packed with Brotli, and was left as it is"
            problems.append(f"a box {kind.decode().strip()} is packed with Brotli and was not read")
    return Metadata(
        exif=blocks.get("exif"),
        xmp=blocks.get("xmp"),
        locked=locked,
        problems=tuple(problems),
        has_c2pa=any(
            one.kind == b"jumb" and b"c2pa" in content[one.body : min(one.end, one.body + 256)] for one in found
        ),
    )


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The file with other boxes; a new one stands before the codestream, so that no box without a length moves."""
    if content.startswith(SIGNATURE):
        body = pack(b"jxlc", content) if len(content) < 2**32 - 8 else b"\0\0\0\0jxlc" + content
        content = CONTAINER + _TYPE + body
    found = _boxes(content, where)
    places = {kind: place for place, kind in _KINDS.items()}
    parts: list[tuple[str, Piece]] = [
        (places.get(one.kind, ""), memoryview(content)[one.start : one.end]) for one in found
    ]
    before = next((index for index, one in enumerate(found) if one.kind in _CODESTREAM), 0)
    if not before:
        raise ImageError(where, "is a JPEG XL container without a codestream; export it again")
    new = {place: _pack(place, block) if block is not None else b"" for place, block in changes.items()}
    return b"".join(swapped(parts, new, before))


def _pack(place: str, block: bytes) -> bytes:
    return pack(b"Exif", b"\0\0\0\0", block) if place == "exif" else pack(b"xml ", block)
