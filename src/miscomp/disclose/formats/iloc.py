"""The item location box of HEIF: where each item's bytes are. Source: ISO/IEC 14496-12, 8.11.3."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from miscomp.disclose.formats.base import Unreadable

MAX_ITEMS = 65535
IN_FILE, IN_IDAT = 0, 1


class Extent(NamedTuple):
    """A run of an item's bytes; `offset` counts from the location's base."""

    number: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Location:
    """Where an item's bytes are."""

    item: int
    method: int
    """0: in the file; 1: in the box `idat`; 2: in another item."""
    reference: int
    base: int
    extents: tuple[Extent, ...]

    def ranges(self) -> list[tuple[int, int]]:
        """Positions in the file, for an item that lies there."""
        return [(self.base + one.offset, self.base + one.offset + one.length) for one in self.extents]


@dataclass(frozen=True, slots=True)
class Locations:
    """The box as it stands: the widths of its numbers, in bytes, and its items."""

    version: int
    flags: bytes
    widths: tuple[int, int, int, int]
    """Of offset, length, base and index."""
    items: tuple[Location, ...]

    def get(self, item: int) -> Location | None:
        """The location of an item."""
        return next((one for one in self.items if one.item == item), None)


class _Cursor:
    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at

    def take(self, width: int) -> int:
        end = self.at + width
        if end > len(self.content):
            raise Unreadable("the list of item locations is cut off")
        value = int.from_bytes(self.content[self.at : end], "big")
        self.at = end
        return value


def parse(content: bytes) -> Locations:
    """Read the box's content, version and flags included. Raises `Unreadable`."""
    cursor = _Cursor(content, 4)
    version = content[0] if content else 9
    if version > 2:
        raise Unreadable(f"the list of item locations has version {version}, known are 0 to 2")
    packed = cursor.take(2)
    widths = (packed >> 12, packed >> 8 & 15, packed >> 4 & 15, packed & 15 if version else 0)
    if any(width not in (0, 4, 8) for width in widths):
        raise Unreadable("the list of item locations has numbers of an impossible width")
    count = cursor.take(4 if version == 2 else 2)
    if count > MAX_ITEMS:
        raise Unreadable(f"the list of item locations says that it has {count} items")
    items = tuple(_location(cursor, version, widths) for _ in range(count))
    return Locations(version, content[1:4], widths, items)


def _location(cursor: _Cursor, version: int, widths: tuple[int, int, int, int]) -> Location:
    item = cursor.take(4 if version == 2 else 2)
    method = cursor.take(2) & 15 if version else IN_FILE
    reference, base, count = cursor.take(2), cursor.take(widths[2]), cursor.take(2)
    if count * (widths[0] + widths[1] + widths[3]) > len(cursor.content) or (count > 1 and not widths[0] + widths[1]):
        raise Unreadable("the list of item locations is cut off")
    extents = tuple(
        Extent(cursor.take(widths[3]), cursor.take(widths[0]), cursor.take(widths[1])) for _ in range(count)
    )
    return Location(item, method, reference, base, extents)


def pack(found: Locations) -> bytes:
    """The box's content. Raises `Unreadable` for a number that its width does not hold."""
    offset, length, base, index = found.widths
    try:
        parts = [bytes((found.version,)) + found.flags, bytes((offset << 4 | length, base << 4 | index))]
        parts.append(len(found.items).to_bytes(4 if found.version == 2 else 2, "big"))
        for one in found.items:
            parts.append(one.item.to_bytes(4 if found.version == 2 else 2, "big"))
            if found.version:
                parts.append(one.method.to_bytes(2, "big"))
            parts += [one.reference.to_bytes(2, "big"), one.base.to_bytes(base, "big")]
            parts.append(len(one.extents).to_bytes(2, "big"))
            for extent in one.extents:
                numbers = zip(extent, (index, offset, length), strict=True)
                parts += [number.to_bytes(width, "big") for number, width in numbers]
    except OverflowError as error:
        raise Unreadable("the list of item locations would need wider numbers") from error
    return b"".join(parts)


def widened(found: Locations, last: int) -> Locations:
    """The same list with numbers wide enough for positions up to `last`; as it is where they are."""
    least = 8 if last >= 2**32 else 4
    offset, length, base, index = found.widths
    return replace(found, widths=(max(offset, least), max(length, 4), max(base, least) if base else 0, index))


def moved(found: Locations, end: int, grown: int) -> Locations:
    """The list for a file in which what lay from position `end` on now lies `grown` bytes further.

    Raises `Unreadable` for items partly before and partly behind, or in another file.
    """
    items: list[Location] = []
    for one in found.items:
        if one.method == IN_FILE and one.extents:
            if one.reference:
                raise Unreadable("an item lies in another file")
            behind = [start >= end for start, _ in one.ranges()]
            if any(behind) and not all(behind):
                raise Unreadable("an item lies partly before and partly behind the description of the file")
            if any(one.length == 0 for one in one.extents):
                raise Unreadable("an item has no length")
            if all(behind):
                one = _shifted(one, grown, found.widths[2])
        items.append(one)
    return replace(found, items=tuple(items))


def _shifted(one: Location, grown: int, base_width: int) -> Location:
    if base_width and one.base + grown >= 0:
        return replace(one, base=one.base + grown)
    return replace(one, extents=tuple(e._replace(offset=e.offset + grown) for e in one.extents))
