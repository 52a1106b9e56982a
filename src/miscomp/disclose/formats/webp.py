"""WebP: the chunks `EXIF` and `XMP ` of the extended format; a simple file is made an extended one.

Source: WebP Container Specification (RFC 9649).
"""

from __future__ import annotations

from typing import NamedTuple

from miscomp.disclose.formats.base import Changes, Metadata, Piece, swapped
from miscomp.errors import ImageError

_KINDS = {"exif": b"EXIF", "xmp": b"XMP "}
_FLAGS = {"exif": 0x08, "xmp": 0x04}
_ALPHA = 0x10
_PREFIX = b"Exif\0\0"
"""Which the specification does not have, and many writers put before the TIFF structure."""


class _Chunk(NamedTuple):
    kind: bytes
    body: int
    size: int
    end: int
    """With padding."""


def _chunks(content: bytes, where: object) -> tuple[list[_Chunk], int]:
    """The chunks, and where the RIFF file ends."""
    stop = 8 + int.from_bytes(content[4:8], "little")
    found: list[_Chunk] = []
    at = 12
    if stop > len(content) + 1 or stop < 20:
        raise ImageError(where, "is truncated: the WebP is shorter than its header says; copy or export it again")
    stop = min(stop, len(content))
    while at + 8 <= stop:
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        if at + 8 + size > stop:
            raise ImageError(where, f"is truncated: the WebP ends inside chunk {content[at : at + 4]!r}; copy it again")
        end = min(at + 8 + size + size % 2, stop)
        found.append(_Chunk(content[at : at + 4], at + 8, size, end))
        at = end
    if not found or found[0].kind not in (b"VP8X", b"VP8L", b"VP8 "):
        raise ImageError(where, "is a WebP that does not begin with a picture; export it again")
    return found, stop


def read(content: bytes, where: object) -> Metadata:
    """Raises `ImageError` for a file whose chunks are damaged."""
    chunks, _ = _chunks(content, where)
    blocks = {
        place: next((content[c.body : c.body + c.size] for c in chunks if c.kind == kind), None)
        for place, kind in _KINDS.items()
    }
    exif = blocks["exif"]
    kinds = [one.kind for one in chunks]
    twice = [kind.decode().strip() for kind in _KINDS.values() if kinds.count(kind) > 1]
    return Metadata(
        exif=exif.removeprefix(_PREFIX) if exif else None,
        xmp=blocks["xmp"],
        problems=tuple(f"the WebP has several {kind} chunks; the first was read" for kind in twice),
        has_c2pa=any(one.kind == b"C2PA" for one in chunks),
    )


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The file with other chunks; new ones stand at its end, EXIF first."""
    chunks, stop = _chunks(content, where)
    head, start = _extended(content, chunks, where)
    flags = head[8]
    for place, block in changes.items():
        flags = flags & ~_FLAGS[place] | (_FLAGS[place] if block is not None else 0)
    places = {kind: place for place, kind in _KINDS.items()}
    parts: list[tuple[str, Piece]] = [
        (places.get(one.kind, ""), bytes(content[one.body - 8 : one.end]) + b"\0" * ((one.end - one.body) % 2))
        for one in chunks[start:]
    ]
    prefix = any(one.kind == b"EXIF" and content[one.body : one.body + 6] == _PREFIX for one in chunks)
    new = {
        place: _pack(_KINDS[place], (_PREFIX if prefix and place == "exif" else b"") + block)
        if block is not None
        else b""
        for place, block in sorted(changes.items())
    }
    pieces = [head[:8] + bytes((flags,)) + head[9:], *swapped(parts, new, len(parts))]
    size = 4 + sum(map(len, pieces))
    if size > 2**32 - 10:
        raise ImageError(where, "would outgrow the 4 GiB of a WebP; save it as TIFF or PNG")
    return b"".join((b"RIFF", size.to_bytes(4, "little"), b"WEBP", *pieces, content[stop:]))


def _extended(content: bytes, chunks: list[_Chunk], where: object) -> tuple[bytes, int]:
    """The header of the extended format, made where there is none, and the first chunk behind it."""
    one = chunks[0]
    body = content[one.body : one.body + one.size]
    if (len(body) < 10 and one.kind != b"VP8L") or len(body) < 5:
        raise ImageError(where, "is truncated: the WebP ends inside its header; copy or export it again")
    if one.kind == b"VP8X":
        return content[one.body - 8 : one.end], 1
    if one.kind == b"VP8L":
        packed = int.from_bytes(body[1:5], "little")
        width, height, alpha = packed & 0x3FFF, packed >> 14 & 0x3FFF, packed >> 28 & 1
    else:
        width, height = (max((int.from_bytes(body[i : i + 2], "little") & 0x3FFF) - 1, 0) for i in (6, 8))
        alpha = 0
    flags = bytes((_ALPHA * alpha, 0, 0, 0))
    return _pack(b"VP8X", flags + width.to_bytes(3, "little") + height.to_bytes(3, "little")), 0


def _pack(kind: bytes, block: bytes) -> bytes:
    return kind + len(block).to_bytes(4, "little") + block + b"\0" * (len(block) % 2)
