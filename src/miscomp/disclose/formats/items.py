"""The items of an AVIF file: their kinds, and what refers to them. Source: ISO/IEC 14496-12, 8.11.6 and 8.11.12."""

from __future__ import annotations

from typing import NamedTuple

from miscomp.disclose.formats.base import Unreadable
from miscomp.disclose.formats.boxes import boxes, pack

XMP_TYPE = b"application/rdf+xml"
EXIF, MIME, XMP = "exif", b"mime", "xmp"


class Item(NamedTuple):
    """An entry of the item information box, as it stands."""

    number: int
    place: str
    """`exif`, `xmp`, or none."""
    plain: bool
    """Neither encrypted nor packed."""
    raw: bytes


def parse_items(content: bytes) -> list[Item]:
    """Items of the box `iinf`, its content given with version and flags. Raises `Unreadable`."""
    start = 8 if content[:1] != b"\0" else 6
    return [
        _item(content[one.start : one.end], one.body - one.start, one.kind)
        for one in boxes(content, start, len(content))
    ]


def _item(raw: bytes, body: int, kind: bytes) -> Item:
    content = raw[body:]
    if kind != b"infe" or len(content) < 8:
        raise Unreadable("the list of items holds something else")
    version = content[0]
    width = 4 if version >= 3 else 2
    number = int.from_bytes(content[4 : 4 + width], "big")
    if version < 2:
        return Item(number, "", True, raw)
    at = 4 + width
    protected, type_ = content[at : at + 2] != b"\0\0", content[at + 2 : at + 6]
    texts = content[at + 6 :].split(b"\0")
    place = EXIF if type_ == b"Exif" else XMP if type_ == MIME and texts[1:2] == [XMP_TYPE] else ""
    packed = place == XMP and len(texts) > 2 and texts[2] != b""
    return Item(number, place, not protected and not packed, raw)


def new_item(number: int, place: str) -> Item:
    """An entry for a block of ours; hidden, since it is no picture."""
    version, width = (3, 4) if number > 0xFFFF else (2, 2)
    rest = b"Exif\0" if place == EXIF else MIME + b"\0" + XMP_TYPE + b"\0"
    raw = pack(b"infe", bytes((version, 0, 0, 1)), number.to_bytes(width, "big"), b"\0\0", rest)
    return Item(number, place, True, raw)


def pack_items(content: bytes, items: list[Item]) -> bytes:
    """The box `iinf` with other items; its version and flags are taken from `content`."""
    count = len(items).to_bytes(2 if content[:1] == b"\0" else 4, "big")
    return pack(b"iinf", content[:4], count, *(one.raw for one in items))


def references(content: bytes, gone: set[int], new: list[int], primary: int) -> bytes:
    """The box `iref` without what some items say, and with new items that describe the primary one.

    `content` is the old box's, with version and flags; empty where there is none. Raises `Unreadable`.
    """
    content = content or b"\0\0\0\0"
    width = 2 if content[:1] == b"\0" else 4
    kept = [
        content[one.start : one.end]
        for one in boxes(content, 4, len(content))
        if int.from_bytes(content[one.body : one.body + width], "big") not in gone
    ]
    if width == 2 and max((primary, *new)) > 0xFFFF:
        raise Unreadable("the list of references holds no item numbers above 65535")
    kept += [pack(b"cdsc", number.to_bytes(width, "big"), b"\0\1", primary.to_bytes(width, "big")) for number in new]
    return pack(b"iref", content[:4], *kept) if kept else b""
