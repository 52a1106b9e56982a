"""PNG: the chunks `eXIf` and `iTXt` with keyword `XML:com.adobe.xmp`; all others stay as they are, in their order.

Source: PNG Specification, third edition, 5 and 11.3; XMP Specification Part 3, 1.1.5.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from miscomp.disclose.formats.base import MAX_BLOCK, Changes, Metadata, Piece, Unreadable, swapped
from miscomp.errors import ImageError

_KEYWORD = b"XML:com.adobe.xmp\0"
_RAW_PROFILES = (b"Raw profile type exif\0", b"Raw profile type APP1\0")


class _Chunk(NamedTuple):
    kind: bytes
    content: bytes
    start: int
    end: int


def _chunks(content: bytes, where: object) -> tuple[list[_Chunk], int]:
    """The chunks up to `IEND`, without pixel data's content, and where the file's rest begins."""
    found: list[_Chunk] = []
    at = 8
    while True:
        length, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        if end > len(content):
            raise ImageError(where, f"is truncated: the PNG ends inside chunk {kind!r}; copy or export it again")
        if zlib.crc32(memoryview(content)[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big"):
            raise ImageError(where, f"is damaged: the checksum of PNG chunk {kind!r} is wrong; copy or export it again")
        body = b"" if kind in (b"IDAT", b"fdAT") else content[at + 8 : end - 4]
        found.append(_Chunk(kind, body, at, end))
        if kind == b"IEND":
            return found, end
        at = end


def _is_xmp(chunk: _Chunk) -> bool:
    return chunk.kind == b"iTXt" and chunk.content.startswith(_KEYWORD)


def _xmp(chunk: _Chunk) -> bytes:
    rest = chunk.content[len(_KEYWORD) :]
    parts = rest[2:].split(b"\0", 2)
    if len(rest) < 2 or len(parts) < 3:
        raise Unreadable("the PNG's XMP chunk is cut off")
    if rest[0] == 0:
        return parts[2]
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(parts[2], MAX_BLOCK + 1)
    except zlib.error as error:
        raise Unreadable(f"the PNG's XMP chunk cannot be unpacked: {error}") from error
    if len(text) > MAX_BLOCK or not unpacker.eof:
        raise Unreadable(f"the PNG's XMP chunk is cut off or unpacks to more than {MAX_BLOCK} bytes")
    return text


def read(content: bytes, where: object) -> Metadata:
    """Raises `ImageError` for a file whose chunks are damaged."""
    chunks, _ = _chunks(content, where)
    locked: dict[str, str] = {}
    blocks = [one.content for one in chunks if one.kind == b"eXIf"]
    exif = blocks[0] if blocks else None
    # Readers prefer eXIf to the older form, and would lose the orientation that stands there.
    if exif is None and any(
        one.kind in (b"tEXt", b"zTXt", b"iTXt") and one.content.startswith(_RAW_PROFILES) for one in chunks
    ):
        locked["exif"] = "EXIF stands in a raw profile as ImageMagick wrote it, and was left as it is"
    packets = [one for one in chunks if _is_xmp(one)]
    xmp, problems = None, []
    if packets:
        try:
            xmp = _xmp(packets[0])
        except Unreadable as error:
            locked["xmp"] = str(error)
            problems.append(str(error))
    for name, found in (("XMP", packets), ("eXIf", blocks)):
        if len(found) > 1:
            problems.append(f"the PNG has several {name} chunks; the first was read")
    return Metadata(
        exif=exif,
        xmp=xmp,
        locked=locked,
        problems=tuple(problems),
        has_c2pa=any(one.kind == b"caBX" for one in chunks),
    )


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The file with other blocks; a new one stands before the first pixel data."""
    chunks, rest = _chunks(content, where)
    parts: list[tuple[str, Piece]] = [
        ("exif" if one.kind == b"eXIf" else "xmp" if _is_xmp(one) else "", memoryview(content)[one.start : one.end])
        for one in chunks
    ]
    before = next(index for index, one in enumerate(chunks) if one.kind in (b"IDAT", b"IEND"))
    new = {place: _pack(place, block) if block is not None else b"" for place, block in changes.items()}
    return b"".join((content[:8], *swapped(parts, new, before), content[rest:]))


def _pack(place: str, block: bytes) -> bytes:
    kind, body = (b"eXIf", block) if place == "exif" else (b"iTXt", _KEYWORD + b"\0\0\0\0" + block)
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
