"""AVIF: items `Exif` and `mime` (XMP) in the box `meta`; their bytes stand in a box of ours at the file's end.

All positions that the file lists are corrected when `meta` grows. Image sequences are refused: their positions
stand in more places, and a statement is about one picture. Source: ISO/IEC 23008-12 (HEIF), annex A.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from miscomp.disclose.formats import iloc
from miscomp.disclose.formats.base import MAX_BLOCK, Changes, Metadata, Unreadable
from miscomp.disclose.formats.boxes import Box, boxes, pack, tiff_start
from miscomp.disclose.formats.items import Item, new_item, pack_items, parse_items, references
from miscomp.errors import ImageError

_MARK = b"miscomp-disclose"
_C2PA = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")


@dataclass(slots=True)
class _File:
    """The boxes that matter."""

    content: bytes
    top: list[Box]
    meta: Box
    inner: list[Box]
    items: list[Item]
    locations: iloc.Locations
    primary: int

    def body(self, kind: bytes) -> bytes:
        one = next((box for box in self.inner if box.kind == kind), None)
        return b"" if one is None else self.content[one.body : one.end]

    def ours(self) -> Box | None:
        """Our box of data, if it is still the last and holds nothing of others."""
        last = self.top[-1]
        if last.kind != b"mdat" or self.content[last.body : last.body + len(_MARK)] != _MARK:
            return None
        known = {one.number for one in self.items if one.place}
        other = (one for one in self.locations.items if one.item not in known and one.method == iloc.IN_FILE)
        return None if any(end > last.start for one in other for _, end in one.ranges()) else last


def _open(content: bytes) -> _File:
    top = boxes(content, 0, len(content))
    meta = next((one for one in top if one.kind == b"meta"), None)
    if meta is None:
        raise Unreadable("the AVIF has no box 'meta'")
    inner = boxes(content, meta.body + 4, meta.end)
    found = {one.kind: content[one.body : one.end] for one in reversed(inner)}
    if not {b"iinf", b"iloc", b"pitm"} <= set(found):
        raise Unreadable("the AVIF's box 'meta' lists no items")
    primary = int.from_bytes(found[b"pitm"][4:8], "big")
    return _File(content, top, meta, inner, parse_items(found[b"iinf"]), iloc.parse(found[b"iloc"]), primary)


def _data(file: _File, item: Item) -> bytes:
    location = file.locations.get(item.number)
    if location is None or not item.plain or location.method not in (iloc.IN_FILE, iloc.IN_IDAT) or location.reference:
        raise Unreadable(f"the AVIF's {item.place} item is packed, encrypted or elsewhere")
    source = file.content if location.method == iloc.IN_FILE else file.body(b"idat")
    ranges = location.ranges()
    if sum(end - start for start, end in ranges) > MAX_BLOCK or any(end > len(source) for _, end in ranges):
        raise Unreadable(f"the AVIF's {item.place} item is too large, or reaches past the end")
    return b"".join(source[start:end] for start, end in ranges)


def read(content: bytes, where: object) -> Metadata:
    """Raises `ImageError` for a file whose boxes are damaged."""
    try:
        file = _open(content)
    except Unreadable as error:
        raise ImageError(where, f"cannot be read: {error}; copy or export it again") from error
    blocks: dict[str, bytes] = {}
    locked: dict[str, str] = {}
    problems: list[str] = []
    for item in file.items:
        if not item.place:
            continue
        if item.place in blocks or item.place in locked:
            problems.append(f"the AVIF has several {item.place} items; the first was read")
            continue
        try:
            data = _data(file, item)
            blocks[item.place] = data[tiff_start(data) :] if item.place == "exif" else data
        except Unreadable as error:
            locked[item.place] = str(error)
            problems.append(str(error))
    return Metadata(
        exif=blocks.get("exif"),
        xmp=blocks.get("xmp"),
        locked=locked,
        problems=tuple(problems),
        has_c2pa=any(b.kind == b"uuid" and content[b.body : b.body + 16] == _C2PA for b in file.top),
    )


def write(content: bytes, where: object, changes: Changes) -> bytes:
    """The file with other items. Raises `ImageError` for an image sequence, and where positions cannot be corrected."""
    try:
        file = _open(content)
        if any(one.kind in (b"moov", b"moof") for one in file.top):
            raise Unreadable("it is an image sequence, and a statement is about one picture")
        return _write(file, changes)
    except Unreadable as error:
        raise ImageError(where, f"cannot be written: {error}; export it as a single AVIF picture") from error


def _write(file: _File, changes: Changes) -> bytes:
    ours = file.ours()
    blocks, gone = _blocks(file, changes, ours)
    items = [one for one in file.items if one.number not in gone]
    numbers: dict[str, int] = {}
    for place in blocks:
        there = next((one.number for one in items if one.place == place), None)
        if there is None:
            there = 1 + max((one.number for one in (*items, *file.items)), default=0)
            there += sum(number >= there for number in numbers.values())
            items.append(new_item(there, place))
        numbers[place] = there
    fresh = [number for number in numbers.values() if all(one.number != number for one in file.items)]
    refs = references(file.body(b"iref"), gone, fresh, file.primary)
    body_end = ours.start if ours else len(file.content)
    locations = _without(file.locations, gone | set(numbers.values()))
    size = sum(map(len, blocks.values())) + len(_MARK) + 16
    placed = replace(locations, items=(*locations.items, *_places(numbers, blocks, 0)))
    # Once with wrong positions, for the length alone; widths do not change from then on.
    room = iloc.widened(placed, body_end + size + 2**16) if blocks else placed
    grown = len(_meta(file, items, refs, room)) - (file.meta.end - file.meta.start)
    moved = iloc.moved(replace(room, items=locations.items), file.meta.end, grown)
    data_at = body_end + grown + 8 + len(_MARK)
    final = replace(moved, items=(*moved.items, *_places(numbers, blocks, data_at)))
    meta = _meta(file, items, refs, final)
    rest = _closed(file, body_end, bool(blocks))
    tail = pack(b"mdat", _MARK, *blocks.values()) if blocks else b""
    return b"".join((file.content[: file.meta.start], meta, rest, tail))


def _blocks(file: _File, changes: Changes, ours: Box | None) -> tuple[dict[str, bytes], set[int]]:
    """What our box of data will hold by place, and the numbers of the items that go."""
    blocks: dict[str, bytes] = {}
    gone: set[int] = set()
    for place in ("exif", "xmp"):
        item = next((one for one in file.items if one.place == place), None)
        if place in changes:
            block = changes[place]
            if block is not None:
                blocks[place] = b"\0\0\0\0" + block if place == "exif" else block
            elif item is not None:
                gone.add(item.number)
        elif item is not None and ours is not None and _inside(file, item, ours):
            blocks[place] = _data(file, item)
    return blocks, gone


def _inside(file: _File, item: Item, ours: Box) -> bool:
    location = file.locations.get(item.number)
    if location is None or location.method != iloc.IN_FILE:
        return False
    return any(end > ours.start for _, end in location.ranges())


def _places(numbers: dict[str, int], blocks: dict[str, bytes], at: int) -> list[iloc.Location]:
    found: list[iloc.Location] = []
    for place, block in blocks.items():
        found.append(iloc.Location(numbers[place], iloc.IN_FILE, 0, 0, (iloc.Extent(0, at, len(block)),)))
        at += len(block)
    return found


def _without(found: iloc.Locations, numbers: set[int]) -> iloc.Locations:
    return replace(found, items=tuple(one for one in found.items if one.item not in numbers))


def _meta(file: _File, items: list[Item], refs: bytes, locations: iloc.Locations) -> bytes:
    """The box `meta` with other lists; what else is in it stays, in its order."""
    parts: list[bytes] = [file.content[file.meta.body : file.meta.body + 4]]
    new = {b"iinf": pack_items(file.body(b"iinf"), items), b"iloc": pack(b"iloc", iloc.pack(locations)), b"iref": refs}
    for one in file.inner:
        parts.append(
            new.pop(one.kind, b"") if one.kind in (b"iinf", b"iloc", b"iref") else file.content[one.start : one.end]
        )
        if one.kind == b"iinf" and all(box.kind != b"iref" for box in file.inner):
            parts.append(new.pop(b"iref"))
    return pack(b"meta", *parts)


def _closed(file: _File, end: int, more: bool) -> bytes:
    """What stands behind `meta`, up to `end`; a last box without a length is given one where `more` follows."""
    rest = file.content[file.meta.end : end]
    last = file.top[-1]
    if not more or not last.open or last.end != end or last == file.meta:
        return rest
    size = last.end - last.start
    if size >= 2**32:
        raise Unreadable("its last box has no length and more than 4 GiB")
    at = last.start - file.meta.end
    return rest[:at] + size.to_bytes(4, "big") + rest[at + 4 :]
