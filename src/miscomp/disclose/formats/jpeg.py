"""JPEG: the segments APP1 (Exif, XMP) and APP13 (Photoshop's resources with IPTC); all from the first scan on stays.

Sources: ITU-T T.81, annex B; Exif 2.32, 4.7; XMP Specification Part 3, 1.1.3; CIPA DC-007 (Multi-Picture Format).
"""

from __future__ import annotations

from typing import NamedTuple

from miscomp.disclose.formats import iptc
from miscomp.disclose.formats.base import MAX_BLOCK, Changes, Metadata, Piece, Unreadable, swapped
from miscomp.disclose.formats.pictures import moved_pictures
from miscomp.errors import ImageError

_EXIF, _XMP, _MORE_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP, _PICTURES = b"Photoshop 3.0\0", b"MPF\0"
_MAX_SEGMENT = 65533
MAX_EXIF = _MAX_SEGMENT - len(_EXIF)
MAX_XMP = 65502
MAX_SEGMENTS = 10_000


class Segment(NamedTuple):
    """A segment before the first scan; its content begins at `body`."""

    marker: int
    start: int
    body: int
    end: int
    place: str
    """Which block it holds: `exif`, `xmp`, `more`, `iptc`, `pictures`, or none."""


_PLACES = (
    (0xE1, _EXIF, "exif"),
    (0xE1, _XMP, "xmp"),
    (0xE1, _MORE_XMP, "more"),
    (0xED, _PHOTOSHOP, "iptc"),
    (0xE2, _PICTURES, "pictures"),
)


def _segments(content: bytes, where: object) -> tuple[list[Segment], int]:
    """The segments up to the first scan, and where that begins."""
    found: list[Segment] = []
    at = 2
    while len(found) < MAX_SEGMENTS:
        start = at
        while content[at + 1 : at + 2] == b"\xff":
            at += 1
        marker = content[at + 1] if at + 3 < len(content) and content[at] == 0xFF else 0
        length = int.from_bytes(content[at + 2 : at + 4], "big")
        end = at + 2 + length
        if marker < 0xC0 or length < 2 or end > len(content):
            raise ImageError(
                where, f"is truncated or damaged: no whole JPEG segment at byte {at}; copy or export it again"
            )
        if marker == 0xDA:
            return found, start
        body = at + 4
        place = next(
            (name for kind, head, name in _PLACES if kind == marker and content.startswith(head, body, end)), ""
        )
        found.append(Segment(marker, start, body, end, place))
        at = end
    raise ImageError(where, f"has more than {MAX_SEGMENTS} JPEG segments before its first scan; export it again")


def _one(content: bytes, segments: list[Segment], place: str, head: bytes) -> list[bytes]:
    return [content[one.body + len(head) : one.end] for one in segments if one.place == place]


def read(content: bytes, where: object) -> Metadata:
    """Raises `ImageError` for a file whose segments are damaged."""
    segments, _ = _segments(content, where)
    exif, xmp = (_one(content, segments, *kind) for kind in (("exif", _EXIF), ("xmp", _XMP)))
    photoshop = _one(content, segments, "iptc", _PHOTOSHOP)
    problems = [
        f"the JPEG has several {name} segments; the first was read"
        for name, all_ in (("Exif", exif), ("XMP", xmp))
        if len(all_) > 1
    ]
    locked: dict[str, str] = {}
    iim = None
    others = 0
    try:
        found = iptc.resources(b"".join(photoshop))
        iim = next((one.content for one in found if one.number == iptc.IIM_RESOURCE), None)
        others = sum(len(one.content) + len(one.head) + 6 for one in found if one.number != iptc.IIM_RESOURCE)
        if len(photoshop) > 1:
            locked["iptc"] = "the Photoshop resources fill several segments and were left as they are"
    except Unreadable as error:
        locked["iptc"] = str(error)
        problems.append(str(error))
    more = None
    try:
        more = _more_xmp(_one(content, segments, "more", _MORE_XMP))
    except Unreadable as error:
        problems.append(str(error))
    return Metadata(
        exif=exif[0] if exif else None,
        xmp=xmp[0] if xmp else None,
        more_xmp=more,
        iptc=iim,
        places=frozenset({"exif", "xmp", "iptc"}),
        limits={"exif": MAX_EXIF, "xmp": MAX_XMP, "iptc": _MAX_SEGMENT - len(_PHOTOSHOP) - 14 - others},
        locked=locked,
        problems=tuple(problems),
        has_c2pa=any(s.marker == 0xEB and b"c2pa" in content[s.body : s.end] for s in segments),
    )


def _more_xmp(parts: list[bytes]) -> bytes | None:
    """The extended packet: each part has its packet's digest (32 bytes), its length and its own offset (u32)."""
    if not parts:
        return None
    same = sorted((int.from_bytes(p[36:40], "big"), p[40:]) for p in parts if p[:36] == parts[0][:36])
    joined = b"".join(part for _, part in same)
    at = 0
    for offset, part in same:
        if offset != at:
            raise Unreadable("the JPEG's extended XMP has a gap and was not read")
        at += len(part)
    if at > MAX_BLOCK or at != int.from_bytes(parts[0][32:36], "big"):
        raise Unreadable(f"the JPEG's extended XMP of {at} bytes is not whole or too large, and was not read")
    return joined


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The file with other segments; new ones stand behind JFIF's and Exif's. Offsets of further pictures are set right.

    Raises `ImageError` where those cannot be.
    """
    segments, scan = _segments(content, where)
    parts: list[tuple[str, Piece]] = [(one.place, memoryview(content)[one.start : one.end]) for one in segments]
    before = 0
    while before < len(segments) and (segments[before].marker == 0xE0 or segments[before].place == "exif"):
        before += 1
    new: dict[str, bytes] = {}
    for place in ("exif", "xmp", "iptc"):
        if place in changes:
            new[place] = _packed(content, segments, place, changes[place])
    pieces = swapped(parts, new, before)
    if any(one.place == "pictures" for one in segments):
        pieces = _with_pictures(content, segments, pieces, where)
    return b"".join((content[:2], *pieces, memoryview(content)[scan:]))


def _packed(content: bytes, segments: list[Segment], place: str, block: bytes | None) -> bytes:
    if place == "iptc":
        old = iptc.resources(b"".join(_one(content, segments, "iptc", _PHOTOSHOP)))
        block = iptc.set_iim(old, block)
        return _pack(0xED, _PHOTOSHOP + block) if block else b""
    if block is None:
        return b""
    return _pack(0xE1, (_EXIF if place == "exif" else _XMP) + block)


def _pack(marker: int, body: bytes) -> bytes:
    if len(body) > _MAX_SEGMENT:
        raise Unreadable(f"a JPEG segment holds at most {_MAX_SEGMENT} bytes, {len(body)} are needed")
    return bytes((0xFF, marker)) + (len(body) + 2).to_bytes(2, "big") + body


def _with_pictures(content: bytes, segments: list[Segment], pieces: list[Piece], where: object) -> list[Piece]:
    """The pieces with the index of further pictures (previews, gain maps) that the file's new length asks for."""
    old = next(one for one in segments if one.place == "pictures")
    index = next(i for i, piece in enumerate(pieces) if bytes(piece) == content[old.start : old.end])
    head = old.body - old.start + len(_PICTURES)
    begin = 2 + sum(map(len, pieces[:index])) + head
    grown = sum(map(len, pieces)) - sum(one.end - one.start for one in segments)
    try:
        block = moved_pictures(content[old.body + len(_PICTURES) : old.end], old.start + head, begin, grown)
    except Unreadable as error:
        raise ImageError(where, f"cannot be written: {error}; export it as one picture") from error
    return [*pieces[:index], content[old.start : old.start + head] + block, *pieces[index + 1 :]]
