"""The `.misc` container of the neural codecs.

    magic    4 bytes  8D 4D 53 43 (a byte that is no ASCII, then "MSC")
    version  1 byte   0 until release 1.0: another release may refuse such files
    header   1 byte   its length, then the fields that every stream has:
                      format id (u16), weights (8 bytes), CRC-32 of what was decoded (u32), width, height (varints),
                      and up to 8 bytes of the codec's own parameters
    chunks            type (4 ASCII letters), length (varint), content
    CRC-32   4 bytes  over everything before

Numbers are little-endian, varints are LEB128 in their shortest form. As in PNG, a chunk whose type
begins with a capital is critical, a reader that does not know it must stop; any other may be skipped.
Known are `DATA` (payload; one per tile, in order), `SEED` (u64), `QMAP` (offsets to the quality, see
`miscomp.codecs.quality_map`) and `pixC` (CRC-32 of the encoder's decoded RGB bytes). The plain case, one
payload and neither seed nor map, costs at most 40 bytes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import NamedTuple

from miscomp.codecs.base import MAX_MEGAPIXELS
from miscomp.errors import StreamError

MAGIC = b"\x8dMSC"
VERSION = 0
MAX_SIDE = 2**31 - 1

_FIXED = struct.Struct("<H8sI")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")
_DATA, _SEED, _MAP, _PIXELS = "DATA", "SEED", "QMAP", "pixC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One coded picture. Sizes are the original's in pixels; how it was padded follows from `format_id`."""

    format_id: int
    """Which codec and set of weights; never given twice."""
    width: int
    height: int
    weights: bytes
    """First 8 bytes of the weights' SHA-256."""
    latent_crc32: int
    """CRC-32 of the decoded latents and what else was decoded beside them, in the codec's own order."""
    payloads: tuple[bytes, ...]
    quality: bytes = b""
    """The codec's own parameters, at most 8 bytes."""
    seed: int | None = None
    """Where decoding is random, 64 bits."""
    quality_map: bytes | None = None
    """Coded offsets to the quality; none where it is the same everywhere, never empty."""
    pixels_crc32: int | None = None
    """CRC-32 of the RGB bytes that the encoder decoded."""
    ancillary: tuple[tuple[str, bytes], ...] = ()
    """Other chunks as (type, content), types as in `noTe`."""

    def __post_init__(self) -> None:
        _check_number("format_id", self.format_id, 0xFFFF)
        _check_number("width", self.width, MAX_SIDE, low=1)
        _check_number("height", self.height, MAX_SIDE, low=1)
        _check_number("latent_crc32", self.latent_crc32, 0xFFFFFFFF)
        if self.seed is not None:
            _check_number("seed", self.seed, 2**64 - 1)
        if self.pixels_crc32 is not None:
            _check_number("pixels_crc32", self.pixels_crc32, 0xFFFFFFFF)
        if len(self.weights) != 8:
            raise ValueError(f"weights needs 8 bytes, got {len(self.weights)}")
        if len(self.quality) > 8:
            raise ValueError(f"quality holds at most 8 bytes, got {len(self.quality)}")
        if not self.payloads:
            raise ValueError("a stream needs at least one payload")
        if self.quality_map == b"":
            raise ValueError("quality_map must be none or hold at least one byte")
        for kind, _ in self.ancillary:
            if not (len(kind) == 4 and kind.isascii() and kind.isalpha() and kind[0].islower()) or kind == _PIXELS:
                raise ValueError(f"an ancillary chunk needs a free type such as 'noTe', got {kind!r}")


class _Cut(Exception):
    """The bytes end inside a field."""


class _Malformed(Exception):
    """The bytes cannot come from an encoder."""


class _Chunk(NamedTuple):
    kind: str
    content: bytes
    end: int


def _check_number(name: str, value: int, high: int, *, low: int = 0) -> None:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, got {value!r}")


def pack(stream: Stream) -> bytes:
    """Write a stream as a file's bytes; the same stream gives the same bytes."""
    fixed = _FIXED.pack(stream.format_id, stream.weights, stream.latent_crc32)
    header = fixed + _varint(stream.width) + _varint(stream.height) + stream.quality
    parts = [MAGIC, bytes((VERSION, len(header))), header]
    if stream.seed is not None:
        parts += _chunk(_SEED, _U64.pack(stream.seed))
    if stream.quality_map is not None:
        parts += _chunk(_MAP, stream.quality_map)
    if stream.pixels_crc32 is not None:
        parts += _chunk(_PIXELS, _U32.pack(stream.pixels_crc32))
    for kind, content in stream.ancillary:
        parts += _chunk(kind, content)
    for payload in stream.payloads:
        parts += _chunk(_DATA, payload)
    body = b"".join(parts)
    return body + _U32.pack(zlib.crc32(body))


def is_stream(content: bytes) -> bool:
    """Whether the bytes begin as a `.misc` file does."""
    return content.startswith(MAGIC)


def peek_format_id(content: bytes, where: object = "stream") -> int:
    """Return the format id of a `.misc` file without checking the rest. Raises `StreamError`."""
    _check_start(content, where)
    if len(content) < 6 + _FIXED.size:
        raise _truncated(content, where)
    format_id: int = _FIXED.unpack_from(content, 6)[0]
    return format_id


def unpack(content: bytes, where: object = "stream", *, max_megapixels: float = MAX_MEGAPIXELS) -> Stream:
    """Read a file's bytes.

    Raises `StreamError`, naming `where`, for a file that is foreign, newer, truncated, damaged, longer
    than its stream, larger than `max_megapixels`, or that needs a chunk this release does not know.
    Takes about as much memory as `content` has. Whether the weights fit is the codec's to check.
    """
    _check_start(content, where)
    if len(content) < 10 or zlib.crc32(memoryview(content)[:-4]) != _U32.unpack(content[-4:])[0]:
        raise _explain_damage(content, where)
    try:
        return _parse(content, where, max_megapixels)
    except _Cut:
        raise StreamError(
            where, "its checksum is right but a chunk reaches past the end; its writer is broken"
        ) from None
    except (_Malformed, ValueError) as error:
        raise StreamError(where, f"its checksum is right but {error}; its writer is broken") from None


def _check_start(content: bytes, where: object) -> None:
    if not content:
        raise StreamError(where, "the file is empty")
    if content[:4] != MAGIC[: len(content)]:
        raise StreamError(where, f"not a miscomp stream: it begins with {content[:4].hex(' ')}, not {MAGIC.hex(' ')}")
    if len(content) < 5:
        raise _truncated(content, where)
    if content[4] != VERSION:
        raise StreamError(where, f"stream version {content[4]}; this release reads version {VERSION}, use a newer one")


def _truncated(content: bytes, where: object) -> StreamError:
    return StreamError(where, f"truncated: it ends after {len(content)} bytes, inside its stream")


def _explain_damage(content: bytes, where: object) -> StreamError:
    """Say which damage a wrong checksum stands for; only the words depend on it."""
    try:
        _, position = _header(content)
        crc = zlib.crc32(content[:position])
        while position < len(content) - 4:
            start, position = position, _next_chunk(content, position, len(content)).end
            crc = zlib.crc32(content[start:position], crc)
            rest = len(content) - position - 4
            if rest > 0 and crc == _U32.unpack_from(content, position)[0]:
                return StreamError(where, f"the stream is followed by {rest} foreign bytes; cut them off")
        if position != len(content) - 4:
            return _truncated(content, where)
    except _Cut:
        return _truncated(content, where)
    except _Malformed:
        pass
    return StreamError(where, "damaged: its checksum does not match its bytes; fetch it again")


def _parse(content: bytes, where: object, max_megapixels: float) -> Stream:
    fields, position = _header(content)
    if fields.width * fields.height > max_megapixels * 1e6:
        raise StreamError(
            where,
            f"{fields.width} x {fields.height} pixels; the limit is {max_megapixels:g} megapixels, raise it to read",
        )
    end = len(content) - 4
    payloads: list[bytes] = []
    single: dict[str, bytes] = {}
    ancillary: list[tuple[str, bytes]] = []
    while position < end:
        kind, value, position = _next_chunk(content, position, end)
        if kind == _DATA:
            payloads.append(value)
        elif kind in (_SEED, _MAP, _PIXELS):
            if kind in single:
                raise _Malformed(f"it has two {kind} chunks")
            single[kind] = value
        elif kind[0].isupper():
            raise StreamError(where, f"it needs the part {kind!r}, which this release does not know; use a newer one")
        else:
            ancillary.append((kind, value))
    return Stream(
        **fields._asdict(),
        payloads=tuple(payloads),
        seed=_number(single.get(_SEED), _U64, _SEED),
        quality_map=single.get(_MAP),
        pixels_crc32=_number(single.get(_PIXELS), _U32, _PIXELS),
        ancillary=tuple(ancillary),
    )


class _Header(NamedTuple):
    format_id: int
    weights: bytes
    latent_crc32: int
    width: int
    height: int
    quality: bytes


def _header(content: bytes) -> tuple[_Header, int]:
    """Return the header's fields and where the first chunk begins."""
    if len(content) < 6:
        raise _Cut
    end = 6 + content[5]
    if end > len(content):
        raise _Cut
    try:
        format_id, weights, latent_crc32 = _FIXED.unpack_from(content[:end], 6)
        width, position = _read_varint(content, 6 + _FIXED.size, end)
        height, position = _read_varint(content, position, end)
    except (struct.error, _Cut):
        raise _Malformed(f"its header of {content[5]} bytes is too short") from None
    return _Header(format_id, weights, latent_crc32, width, height, content[position:end]), end


def _next_chunk(content: bytes, position: int, end: int) -> _Chunk:
    kind = content[position : position + 4]
    if position + 4 > end:
        raise _Cut
    if not (kind.isascii() and kind.isalpha()):
        raise _Malformed(f"the chunk type {kind!r} is not four letters")
    length, start = _read_varint(content, position + 4, end)
    if start + length > end:
        raise _Cut
    return _Chunk(kind.decode("ascii"), content[start : start + length], start + length)


def _number(content: bytes | None, form: struct.Struct, kind: str) -> int | None:
    if content is None:
        return None
    if len(content) != form.size:
        raise _Malformed(f"its {kind} chunk has {len(content)} bytes, not {form.size}")
    number: int = form.unpack(content)[0]
    return number


def _chunk(kind: str, content: bytes) -> list[bytes]:
    return [kind.encode("ascii"), _varint(len(content)), content]


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 0x7F:
        parts.append(0x80 | value & 0x7F)
        value >>= 7
    parts.append(value)
    return bytes(parts)


def _read_varint(content: bytes, position: int, end: int) -> tuple[int, int]:
    """Return a number below 2^35 and where it ends."""
    value = 0
    for index in range(5):
        if position + index >= end:
            raise _Cut
        byte = content[position + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if byte == 0 and index:
                raise _Malformed("a number is not in its shortest form")
            return value, position + index + 1
    raise _Malformed("a number is longer than five bytes")
