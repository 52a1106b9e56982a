"""Boxes of the ISO base media file format, which JPEG XL and AVIF share. Source: ISO/IEC 14496-12, 4.2."""

from __future__ import annotations

from typing import NamedTuple

from miscomp.disclose.formats.base import Unreadable

MAX_BOXES = 10_000


class Box(NamedTuple):
    """A box and where it stands; its content begins at `body`."""

    kind: bytes
    start: int
    body: int
    end: int
    open: bool
    """Whether it says no length and so ends where the file ends."""


def boxes(content: bytes, start: int, end: int) -> list[Box]:
    """The boxes between two positions. Raises `Unreadable` for lengths that cannot be."""
    found: list[Box] = []
    at = start
    while at < end:
        if at + 8 > end:
            raise Unreadable("the file is truncated or followed by foreign bytes: it ends inside a box's header")
        size, kind, body = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], at + 8
        if size == 1:
            size, body = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        stop = at + size if size else end
        if stop < body or stop > end:
            raise Unreadable(f"the file is truncated, or its box {kind!r} has an impossible length")
        found.append(Box(kind, at, body, stop, size == 0))
        if len(found) > MAX_BOXES:
            raise Unreadable(f"the file has more than {MAX_BOXES} boxes")
        at = stop
    return found


def pack(kind: bytes, *parts: bytes) -> bytes:
    """A box of less than 4 GiB."""
    size = 8 + sum(map(len, parts))
    return b"".join((size.to_bytes(4, "big"), kind, *parts))


def tiff_start(content: bytes) -> int:
    """Where the TIFF structure begins in an `Exif` box or item, which says it in its first four bytes.

    At 0 where a writer forgot these (pillow-jxl-plugin does). Raises `Unreadable`.
    """
    if content[:4] in (b"II\x2a\x00", b"MM\x00\x2a"):
        return 0
    start = 4 + int.from_bytes(content[:4], "big")
    if start > len(content):
        raise Unreadable("the Exif box says that its TIFF structure begins behind its end")
    return start
