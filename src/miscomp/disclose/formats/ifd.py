"""TIFF structures as EXIF blocks and TIFF files have them: read, append to, and take back.

Nothing that is there is moved, since maker notes and strips are found by their position. A changed directory is
written behind the end, and only the header's offset is set to it. Source: TIFF 6.0, section 2; BigTIFF (libtiff).

What was appended begins with a mark, so that it can be cut off again to the byte:
`MSCPdsc1`, old length (u64), old offset of the first directory (u64), CRC-32 of all that follows (u32).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

from miscomp.disclose.formats.base import Unreadable

EXIF_DIRECTORY = 34665
ASCII, BYTE, LONG, UNDEFINED, LONG8 = 2, 1, 4, 7, 16
MAX_ENTRIES = 65535
EMPTY = b"MM\x00\x2a\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00"
"""A structure without entries: what a block of ours is appended to where a picture had none."""

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8, 129: 1}
_MARK = b"MSCPdsc1"
_TAIL = struct.Struct("<8sQQI")

Value = tuple[int, bytes]
"""Type and content of an entry; of the types only those of one byte per unit."""


class Form(NamedTuple):
    """Byte order, and the widths that differ between TIFF and BigTIFF."""

    order: str
    big: bool

    @property
    def counter(self) -> struct.Struct:
        """Number of entries."""
        return struct.Struct(self.order + ("Q" if self.big else "H"))

    @property
    def offset(self) -> struct.Struct:
        """A position in the structure."""
        return struct.Struct(self.order + ("Q" if self.big else "I"))

    @property
    def entry(self) -> struct.Struct:
        """Tag, type, count, value or offset."""
        return struct.Struct(self.order + ("HHQ8s" if self.big else "HHI4s"))

    @property
    def first_at(self) -> int:
        """Where the header holds the offset of the first directory."""
        return 8 if self.big else 4


class Entry(NamedTuple):
    """A directory's entry as it stands."""

    tag: int
    type: int
    units: int
    raw: bytes
    """The value, or where it lies."""


class Directory(NamedTuple):
    """A directory as it stands, and where."""

    at: int
    entries: tuple[Entry, ...]
    next: int

    def get(self, tag: int) -> Entry | None:
        """The first entry of that tag."""
        return next((one for one in self.entries if one.tag == tag), None)


def form_of(block: bytes) -> Form:
    """Read the header. Raises `Unreadable`."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2], "")
    version = int.from_bytes(block[2:4], "little" if order == "<" else "big")
    if not order or version not in (42, 43) or len(block) < (16 if version == 43 else 8):
        raise Unreadable(f"the TIFF structure begins with {block[:4].hex(' ') or 'nothing'}, which is no TIFF header")
    return Form(order, version == 43)


def first(block: bytes, form: Form) -> Directory:
    """The first directory. Raises `Unreadable`."""
    return directory(block, form, form.offset.unpack_from(block, form.first_at)[0])


def directory(block: bytes, form: Form, at: int) -> Directory:
    """The directory at a position. Raises `Unreadable` where it reaches past the end."""
    start = at + form.counter.size
    if at < form.first_at + form.offset.size or start > len(block):
        raise Unreadable(f"a directory of the TIFF structure is said to be at {at}, the block has {len(block)} bytes")
    count = form.counter.unpack_from(block, at)[0]
    end = start + count * form.entry.size
    if count > MAX_ENTRIES or end > len(block):
        raise Unreadable(f"a directory of the TIFF structure says that it has {count} entries and is cut off")
    entries = tuple(Entry(*form.entry.unpack_from(block, place)) for place in range(start, end, form.entry.size))
    # Some writers leave out the offset of the next directory at the very end.
    follows = form.offset.unpack_from(block, end)[0] if end + form.offset.size <= len(block) else 0
    return Directory(at, entries, follows)


def exif_directory(block: bytes, form: Form, main: Directory) -> Directory | None:
    """The directory that tag 34665 points to. Raises `Unreadable`."""
    entry = main.get(EXIF_DIRECTORY)
    return None if entry is None else directory(block, form, number(form, entry))


def number(form: Form, entry: Entry) -> int:
    """The first value of an entry of whole numbers that stands in the entry itself."""
    codes = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
    code = codes.get(entry.type)
    if code is None or struct.calcsize("<" + code) > len(entry.raw):
        raise Unreadable(f"tag {entry.tag} of the TIFF structure has type {entry.type}, which is no whole number")
    return int(struct.unpack_from(form.order + code, entry.raw)[0])


def value(block: bytes, form: Form, entry: Entry, limit: int) -> bytes:
    """Content of an entry as bytes. Raises `Unreadable` past the end, above `limit` bytes or of an unknown type."""
    size = _SIZES.get(entry.type, 0) * entry.units
    if entry.type not in _SIZES or size > limit:
        raise Unreadable(f"tag {entry.tag} of the TIFF structure has type {entry.type} and {entry.units} values")
    if size <= len(entry.raw):
        return entry.raw[:size]
    at = form.offset.unpack(entry.raw)[0]
    if at + size > len(block):
        raise Unreadable(f"tag {entry.tag} of the TIFF structure reaches past the end of the block")
    return block[at : at + size]


class _Writer:
    """Directories and values that will stand behind each other from `at` on."""

    def __init__(self, form: Form, at: int, sizes: tuple[int, ...]) -> None:
        self.form = form
        self.heap = bytearray()
        self.heap_at = at + sum(self.size(one) for one in sizes)

    def size(self, entries: int) -> int:
        return self.form.counter.size + entries * self.form.entry.size + self.form.offset.size

    def entry(self, tag: int, kind: int, content: bytes) -> Entry:
        width = self.form.offset.size
        if len(content) <= width:
            return Entry(tag, kind, len(content), content.ljust(width, b"\0"))
        place = self.heap_at + len(self.heap)
        self.heap += content + b"\0" * (len(content) % 2)
        return Entry(tag, kind, len(content), self.form.offset.pack(place))

    def directory(self, entries: Mapping[int, Entry], follows: int) -> bytes:
        packed = b"".join(self.form.entry.pack(*entries[tag]) for tag in sorted(entries))
        return self.form.counter.pack(len(entries)) + packed + self.form.offset.pack(follows)


def append(block: bytes, main: Mapping[int, Value], exif: Mapping[int, Value]) -> bytes:
    """The block with entries set in its first directory and in its EXIF directory, which is made where there is none.

    Raises `Unreadable` for a block whose directories cannot be read, or that would outgrow its offsets.
    """
    form = form_of(block)
    old = first(block, form)
    inner = exif_directory(block, form, old)
    outer_entries = {one.tag: one for one in reversed(old.entries)}
    inner_entries = {one.tag: one for one in reversed(inner.entries if inner else ())}
    start = len(block) + len(block) % 2
    at = start + _TAIL.size
    sizes = [len({*outer_entries, *main, *([EXIF_DIRECTORY] if exif else [])})]
    if exif:
        sizes.append(len({*inner_entries, *exif}))
    writer = _Writer(form, at, tuple(sizes))
    try:
        inner_entries |= {tag: writer.entry(tag, *found) for tag, found in exif.items()}
        outer_entries |= {tag: writer.entry(tag, *found) for tag, found in main.items()}
        if exif:
            place, kind = at + writer.size(sizes[0]), LONG8 if form.big else LONG
            outer_entries[EXIF_DIRECTORY] = Entry(EXIF_DIRECTORY, kind, 1, form.offset.pack(place))
        body = writer.directory(outer_entries, old.next)
        if exif:
            body += writer.directory(inner_entries, inner.next if inner else 0)
        header = block[: form.first_at] + form.offset.pack(at)
    except struct.error as error:
        raise Unreadable("the TIFF structure would outgrow the 4 GiB that its offsets reach") from error
    body += bytes(writer.heap)
    tail = _TAIL.pack(_MARK, len(block), old.at, zlib.crc32(body))
    return b"".join((header, memoryview(block)[len(header) :], b"\0" * (start - len(block)), tail, body))


def peel(block: bytes) -> bytes | None:
    """The block as it was before the last `append`; none where that was not the last thing done to it."""
    form = form_of(block)
    at = form.offset.unpack_from(block, form.first_at)[0]
    if not _TAIL.size <= at <= len(block):
        return None
    mark, length, old, crc = _TAIL.unpack_from(block, at - _TAIL.size)
    if mark != _MARK or length > at - _TAIL.size or old >= length or zlib.crc32(memoryview(block)[at:]) != crc:
        return None
    return b"".join((block[: form.first_at], form.offset.pack(old), block[form.first_at + form.offset.size : length]))


def remove(block: bytes, at: int, tags: set[int]) -> bytes:
    """The block with entries taken out of the directory at `at`, in place; nothing finds their values then."""
    form = form_of(block)
    found = directory(block, form, at)
    kept = [one for one in found.entries if one.tag not in tags]
    if len(kept) == len(found.entries):
        return block
    packed = (
        form.counter.pack(len(kept)) + b"".join(form.entry.pack(*one) for one in kept) + form.offset.pack(found.next)
    )
    end = at + form.counter.size + len(found.entries) * form.entry.size + form.offset.size
    size = min(end, len(block)) - at
    return block[:at] + packed.ljust(size, b"\0")[:size] + block[at + size :]
