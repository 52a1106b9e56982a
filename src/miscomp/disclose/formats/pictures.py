"""JPEG's index of further pictures, whose offsets change when a segment grows. Source: CIPA DC-007, 5.2."""

from __future__ import annotations

import struct

from miscomp.disclose.formats import ifd
from miscomp.disclose.formats.base import MAX_BLOCK, Unreadable

_ENTRIES = 45058


def moved_pictures(block: bytes, begin: int, new_begin: int, grown: int) -> bytes:
    """The index for a file whose first picture grew by some bytes, and whose index now begins elsewhere.

    Offsets count from the index's own begin in the file; the first picture has none. Raises `Unreadable`.
    """
    form = ifd.form_of(block)
    entry = ifd.first(block, form).get(_ENTRIES)
    if entry is None or form.big:
        raise Unreadable("its index of further pictures has no list of them")
    content = ifd.value(block, form, entry, MAX_BLOCK)
    if not content or len(content) % 16:
        raise Unreadable(f"its index of further pictures has {len(content)} bytes, which is no whole number of entries")
    record = struct.Struct(form.order + "III4s")
    moved: list[bytes] = []
    try:
        for number, (kind, size, offset, rest) in enumerate(record.iter_unpack(content)):
            size += grown if number == 0 and size else 0
            # Measured from the file's begin they all move by as much as the first picture grew.
            offset += begin + grown - new_begin if offset else 0
            moved.append(record.pack(kind, size, offset, rest))
    except struct.error as error:
        raise Unreadable("its index of further pictures would point outside of what it can") from error
    at = form.offset.unpack(entry.raw)[0]
    return block[:at] + b"".join(moved) + block[at + len(content) :]
