"""Damage to `.misc` files: bits, cuts, splices and lengths, in each part of them, with or without a right CRC."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

Rng = np.random.Generator

PARTS = ("header", "payload", "map", "lengths", "anywhere")
"""`map` is any chunk but the payloads, such as a seed; in a file without one, a payload."""

KINDS = ("bits", "cut", "splice", "values")

_SIZES = 20
"""Where the header's width begins."""


class Mutation(NamedTuple):
    """A damaged file."""

    content: bytes
    part: str
    kind: str
    whole: bool
    """Whether its CRC-32 was made right again, and the length of the part, so that what lies behind them is reached."""


class _Piece(NamedTuple):
    """Bytes of a file, and where their length stands; at 0, where none does."""

    start: int
    stop: int
    length: int = 0


def mutations(contents: Sequence[bytes], count: int, *, seed: int) -> Iterator[Mutation]:
    """`count` damaged files, each part and kind of damage equally often; in half of them the CRC-32 is right."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        part, kind = PARTS[number % 5], KINDS[number // 5 % 4]
        whole = number // 20 % 2 == 0
        damaged = contents[0]
        # Damage may put back what stood there.
        while damaged in contents:
            damaged = _mutated(rng, contents, part, kind=kind, whole=whole)
        yield Mutation(damaged, part, kind, whole)


def _mutated(rng: Rng, contents: Sequence[bytes], part: str, *, kind: str, whole: bool) -> bytes:
    content, other = (contents[int(rng.integers(len(contents)))] for _ in range(2))
    found, others = (_pieces(one, part) for one in (content, other))
    piece, donor = found[int(rng.integers(len(found)))], others[int(rng.integers(len(others)))]
    inside = damaged(rng, content[piece.start : piece.stop], kind, other[donor.start : donor.stop])
    before, after = content[: piece.start], content[piece.stop :]
    if not whole:
        return before + inside + after
    if piece.length:
        length = bytes((min(len(inside), 255),)) if part == "header" else _varint(len(inside))
        before = content[: piece.length] + length
    body = before + inside + after[:-4]
    return body + zlib.crc32(body).to_bytes(4, "little")


def _pieces(content: bytes, part: str) -> list[_Piece]:
    """Where a part lies in an intact file; the CRC belongs to none."""
    header = _Piece(6, 6 + content[5], 5)
    payloads: list[_Piece] = []
    extras: list[_Piece] = []
    lengths = [_Piece(5, 6), _Piece(_SIZES, header.stop)]
    at = header.stop
    while at < len(content) - 4:
        size, start = _read_varint(content, at + 4)
        (payloads if content[at : at + 4] == b"DATA" else extras).append(_Piece(start, start + size, at + 4))
        lengths.append(_Piece(at + 4, start))
        at = start + size
    return {
        "header": [header],
        "payload": payloads,
        "map": extras or payloads,
        "lengths": lengths,
        "anywhere": [_Piece(0, len(content) - 4)],
    }[part]


def damaged(rng: Rng, content: bytes, kind: str, other: bytes) -> bytes:
    """Bytes of a part after damage; `other` is the same part of a file of the same codec."""
    result = bytearray(content)
    at = int(rng.integers(len(content) + 1))
    if kind == "splice":
        begin, end = np.sort(rng.integers(0, len(other) + 1, 2)).tolist()
        # In place of as many bytes, between them, or in place of everything.
        stop = (min(at + end - begin, len(content)), at, len(content))[int(rng.integers(3))]
        result[at if stop < len(content) else 0 : stop] = other[begin:end] if stop < len(content) else other
    elif kind == "cut":
        # To the end as often as between: both what ends early and what has a gap.
        del result[at : at + int(rng.integers(1, 9)) if rng.integers(2) else None]
    elif content and kind == "bits":
        for _ in range(int(rng.integers(1, 9))):
            result[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    elif content:
        # Bytes that often are lengths and sizes: the largest, the smallest and unfinished varints.
        for place in range(at, min(at + int(rng.integers(1, 5)), len(content))):
            result[place] = int(rng.choice([0x00, 0x7F, 0x80, 0xFF, int(rng.integers(256))]))
    return bytes(result)


def _varint(value: int) -> bytes:
    """LEB128."""
    parts = [value & 0x7F]
    while value := value >> 7:
        parts.append(value & 0x7F)
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


def _read_varint(content: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while content[at] & 0x80:
        value |= (content[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
    return value | content[at] << shift, at + 1
