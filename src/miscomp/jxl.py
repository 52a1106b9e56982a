"""JPEG XL headers and decoding. The plugin decodes when it opens, so what must be checked first is parsed here.

Source of the layout: ISO/IEC 18181-1 (codestream: SizeHeader, ImageMetadata) and 18181-2 (boxes).
"""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

SIGNATURE = b"\xff\x0a"
CONTAINER = b"\x00\x00\x00\x0cJXL \r\n\x87\n"
MAX_EXTRA_CHANNELS = 4
"""Alpha, black, depth and one more; each costs as much memory as a colour, and a header may claim 4096."""

_RATIOS = ((0, 1), (1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What the first bytes of a codestream say."""

    width: int
    height: int
    animated: bool = False
    bits: int = 8
    extra_channels: int = 0


class _Bits:
    """Little-endian bit reader; past the end it raises `EOFError`."""

    def __init__(self, content: bytes) -> None:
        self._value = int.from_bytes(content, "little")
        self._left = 8 * len(content)

    def take(self, count: int) -> int:
        if count > self._left:
            raise EOFError("the JPEG XL header is truncated")
        value = self._value & ((1 << count) - 1)
        self._value >>= count
        self._left -= count
        return value

    def choose(self, *options: tuple[int, int]) -> int:
        """Read the standard's U32: two bits choose (offset, number of further bits)."""
        offset, count = options[self.take(2)]
        return offset + self.take(count)


def codestream(content: bytes) -> bytes:
    """Take the bare codestream out of a file.

    Everything else (metadata, JPEG reconstruction) is left out on purpose: the plugin would unpack it without a bound.
    """
    if content.startswith(SIGNATURE):
        return content
    parts: list[bytes] = []
    at = 0
    while at < len(content):
        size, kind, start = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8], at + 8
        if size == 1:
            size, start = int.from_bytes(content[at + 8 : at + 16], "big"), at + 16
        end = at + size if size else len(content)
        if end < start or end > len(content):
            raise EOFError("the JPEG XL file is truncated or a box has an impossible length")
        if kind == b"jxlc":
            return content[start:end]
        if kind == b"jxlp":
            parts.append(content[start + 4 : end])
        at = end
    return b"".join(parts)


def _size(bits: _Bits) -> tuple[int, int]:
    long = ((1, 9), (1, 13), (1, 18), (1, 30))
    small = bits.take(1)
    height = 8 * (1 + bits.take(5)) if small else bits.choose(*long)
    ratio = bits.take(3)
    if ratio:
        over, under = _RATIOS[ratio]
        return height * over // under, height
    return (8 * (1 + bits.take(5)) if small else bits.choose(*long)), height


def _skip_preview(bits: _Bits) -> None:
    small = bits.take(1)
    options = ((16, 0), (32, 0), (1, 5), (33, 9)) if small else ((1, 6), (65, 8), (321, 10), (1345, 12))
    bits.choose(*options)
    if not bits.take(3):
        bits.choose(*options)


def read_header(stream: bytes) -> Header:
    """Size (before orientation), animation, sample depth and extra channels. Raises `EOFError` or `ValueError`."""
    if not stream.startswith(SIGNATURE):
        raise ValueError("the JPEG XL file holds no codestream")
    bits = _Bits(stream[2:66])
    width, height = _size(bits)
    if bits.take(1):
        return Header(width=width, height=height)
    if bits.take(1):
        bits.take(3)
        if bits.take(1):
            _size(bits)
        if bits.take(1):
            _skip_preview(bits)
        if bits.take(1):
            return Header(width=width, height=height, animated=True)
    if bits.take(1):
        depth = bits.choose((32, 0), (16, 0), (24, 0), (1, 6))
        bits.take(4)
    else:
        depth = bits.choose((8, 0), (10, 0), (12, 0), (1, 6))
    bits.take(1)
    extra = bits.choose((0, 0), (1, 0), (2, 4), (1, 12))
    return Header(width=width, height=height, bits=depth, extra_channels=extra)


def decode_codestream(stream: bytes) -> Image.Image:
    """Decode a codestream whose header was checked; libjxl applies its orientation. Raises `ValueError`."""
    # Imported here because the import registers a Pillow plugin, and only JPEG XL files need it.
    from pillow_jxl import Decoder

    try:
        _, info, samples, icc, _ = Decoder(num_threads=0)(stream)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic inside the decoder is no Exception
        raise ValueError("the JPEG XL codestream is truncated or damaged") from error
    image = Image.frombytes(info.mode, (info.width, info.height), samples)
    if icc:
        image.info["icc_profile"] = icc
    return image
