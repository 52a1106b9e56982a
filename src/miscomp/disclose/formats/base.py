"""What a format's module gives and takes: the metadata of one file as blocks of bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

MAX_BLOCK = 4 * 2**20
"""Bytes of one block of metadata; a larger one is kept as it is and not read."""

Changes = Mapping[str, bytes | None]
"""New blocks by place (`exif`, `xmp`, `iptc`, `stream`); none takes the block out, a missing place stays as it is."""


Piece = bytes | memoryview


class Unreadable(Exception):
    """A block of metadata that cannot be read or changed; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The blocks of one file; none where there is none."""

    exif: bytes | None = None
    """The TIFF structure, without a format's own prefix; of a TIFF file the whole file."""
    xmp: bytes | None = None
    more_xmp: bytes | None = None
    """JPEG's extended XMP, a second packet."""
    iptc: bytes | None = None
    """IIM datasets."""
    stream: bytes | None = None
    """Our container's own chunk."""
    places: frozenset[str] = frozenset({"exif", "xmp"})
    """Which of these the format can hold."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """Most bytes of a block, where the format sets a limit."""
    locked: Mapping[str, str] = field(default_factory=dict)
    """Blocks that must stay as they are, and why."""
    problems: tuple[str, ...] = ()
    has_c2pa: bool = False


def bounded(content: bytes, what: str) -> bytes:
    """The block itself. Raises `Unreadable` for one of more than `MAX_BLOCK` bytes."""
    if len(content) > MAX_BLOCK:
        raise Unreadable(f"{what} has {len(content)} bytes, at most {MAX_BLOCK} are read")
    return content


def swapped(parts: Sequence[tuple[str, Piece]], new: Mapping[str, bytes], at: int) -> list[Piece]:
    """The parts of a file with other ones in place of the first of each place in `new`; empty takes it out.

    What has no part yet comes before the part at index `at`.
    """
    first = {place: index for index, (place, _) in reversed(list(enumerate(parts))) if place in new}
    result: list[Piece] = []
    for index, (place, part) in enumerate(parts):
        if index == at:
            result += [packed for name, packed in new.items() if name not in first]
        result.append(new[place] if first.get(place) == index else part)
    if at >= len(parts):
        result += [packed for name, packed in new.items() if name not in first]
    return result
