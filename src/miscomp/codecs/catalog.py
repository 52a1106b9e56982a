"""The one registry of codecs: each row says everything about a name; its code is imported on first use."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from miscomp.codecs import container
from miscomp.codecs.base import Codec
from miscomp.errors import StreamError, UsageError
from miscomp.registry import Registry, load

MAX_BPP = 100.0
"""Highest target rate that can be written in a codec's spec; raw RGB has 24."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualities:
    """A codec's scale of settings, `low` to `high` inclusive; a higher one gives more bits and a better picture."""

    low: float
    high: float
    default: float
    """What a search for a rate tries first, and the codec's setting where `CodecRow.default_bpp` is none."""
    integer: bool = False
    unit: str = ""

    @property
    def step(self) -> float:
        """The finest difference that a search tries: 1, or a power of ten about a thousandth of the range."""
        return 1.0 if self.integer else 10.0 ** math.floor(math.log10((self.high - self.low) / 900))

    def check(self, codec: str, quality: float) -> float:
        """Return `quality` if it is on the scale; raises `UsageError` otherwise."""
        if not self.low <= quality <= self.high or (self.integer and quality != int(quality)):
            kind = "a whole number" if self.integer else "a number"
            allowed = f"{kind} from {_plain(self.low)} to {_plain(self.high)}"
            raise UsageError(f"{codec} has no quality {_plain(quality)}; it needs {allowed}")
        return quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where a codec's trained numbers come from."""

    source: str
    licence: str
    sha256: str = ""
    """Of the file, 64 hex digits; empty while none are released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRow:
    """Everything about a codec."""

    name: str
    build: str
    """`module:Class`, called without arguments."""
    qualities: Qualities
    suffix: str
    media: str
    description: str
    licence: str
    """Of the coder's program."""
    format_id: int | None = None
    """Number in `.misc` files, never given twice; none for a codec with a file format of its own."""
    default_bpp: float | None = None
    """Rate that a name without a setting stands for; none: the default quality."""
    max_side: int | None = None
    """Most pixels a side that the format, or the library that reads it, can hold."""
    weights: Weights | None = None
    quality_map: bool = False
    """Whether its `compress` takes `quality_map`: offsets to the quality, one per 16 x 16 block."""
    extra: str = ""
    """Optional part of the package that it needs."""

    @property
    def default(self) -> CodecSpec:
        """What the name alone stands for."""
        if self.default_bpp is not None:
            return CodecSpec(self.name, bpp=self.default_bpp)
        return CodecSpec(self.name, quality=self.qualities.default)

    def check_size(self, width: int, height: int) -> None:
        """Raise `UsageError` for a picture that the format cannot hold."""
        if self.max_side is not None and max(width, height) > self.max_side:
            raise UsageError(
                f"{self.name} holds at most {self.max_side} pixels a side, the image has {width} x {height}; "
                "use another codec or a smaller image"
            )


_CLASSICAL = "miscomp.codecs.classical"

CODECS: Registry[CodecRow] = Registry(
    "codec",
    [
        CodecRow(
            name="jpeg",
            build=f"{_CLASSICAL}:jpeg",
            qualities=Qualities(low=1, high=100, default=75, integer=True),
            suffix=".jpg",
            media="image/jpeg",
            description="JPEG by libjpeg-turbo: baseline, optimised Huffman tables, 4:2:0",
            licence="libjpeg-turbo: IJG, BSD-3-Clause",
            max_side=65500,
        ),
        CodecRow(
            name="webp",
            build=f"{_CLASSICAL}:webp",
            qualities=Qualities(low=0, high=100, default=75),
            suffix=".webp",
            media="image/webp",
            description="WebP by libwebp: lossy, method 6 (slowest, smallest)",
            licence="libwebp: BSD-3-Clause",
            max_side=16383,
        ),
        CodecRow(
            name="avif",
            build=f"{_CLASSICAL}:avif",
            qualities=Qualities(low=0, high=100, default=60, integer=True),
            suffix=".avif",
            media="image/avif",
            description="AVIF by libavif's default encoder (libaom in Pillow's wheels): 4:2:0, speed 6, one thread",
            licence="libavif and libaom: BSD-2-Clause",
            max_side=32768,
        ),
        CodecRow(
            name="jpeg-xl",
            build=f"{_CLASSICAL}:jpeg_xl",
            qualities=Qualities(low=0, high=99, default=75),
            suffix=".jxl",
            media="image/jxl",
            description="JPEG XL by libjxl: lossy VarDCT, effort 7, one thread; libjxl's JPEG-like scale",
            licence="libjxl: BSD-3-Clause; pillow-jxl-plugin: GPL-3.0-or-later",
            extra="jxl",
        ),
        CodecRow(
            name="jpeg2000",
            build=f"{_CLASSICAL}:jpeg2000",
            qualities=Qualities(low=15, high=60, default=35, unit="dB"),
            suffix=".jp2",
            media="image/jp2",
            description="JPEG 2000 by OpenJPEG: irreversible 9/7, colour transform, one layer; quality: aimed PSNR",
            licence="OpenJPEG: BSD-2-Clause",
        ),
        CodecRow(
            name="lucid",
            build="miscomp.codecs.lucid:Lucid",
            qualities=Qualities(low=0, high=1, default=0.4),
            suffix=".misc",
            media="application/octet-stream",
            description="the built-in neural codec: one small network for all rates",
            licence="Apache-2.0",
            format_id=1,
            default_bpp=0.25,
            max_side=65536,
            weights=Weights(
                source="shipped with the package, trained by this project",
                licence="Apache-2.0",
                sha256="95cf074daa7454d461ee4387b99c3e74d62405d9d45215ee9cf53775169bfcfd",
            ),
            quality_map=True,
        ),
    ],
)


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """A codec at a setting, exactly one of three: a quality, a rate, or the rate that another codec reached.

    Written `jpeg@q75`, `lucid@0.25bpp`, `jpeg@like:lucid`; `parse_spec(str(spec)) == spec`.
    """

    name: str
    quality: float | None = None
    bpp: float | None = None
    """Target in bits per pixel of the original."""
    like: str | None = None
    """The other codec as it was written: a name, or a name with its setting."""

    def __post_init__(self) -> None:
        row = CODECS[self.name]
        if sum(value is not None for value in (self.quality, self.bpp, self.like)) != 1:
            raise UsageError(f"{self.name} needs exactly one of quality, rate and like, got {self!r}")
        if self.quality is not None:
            row.qualities.check(self.name, self.quality)
        if self.bpp is not None and not 0 < self.bpp <= MAX_BPP:
            raise UsageError(f"{self.name} cannot aim at {self.bpp} bpp; allowed: above 0 to {MAX_BPP:g}")
        if self.like is not None:
            _check_like(self.name, self.like)

    @property
    def setting(self) -> str:
        """What stands behind the `@`."""
        if self.quality is not None:
            return f"q{_plain(self.quality)}"
        return f"{_plain(self.bpp)}bpp" if self.bpp is not None else f"like:{self.like}"

    def __str__(self) -> str:
        return f"{self.name}@{self.setting}"


# 400 decimals hold every float above 0 in full; the bound keeps hostile text short.
_NUMBER = r"(\d{1,40}(?:\.\d{1,400})?|\.\d{1,400})"
_QUALITY = re.compile(f"q{_NUMBER}", re.ASCII)
_RATE = re.compile(f"{_NUMBER}bpp", re.ASCII)


def parse_spec(text: str) -> CodecSpec:
    """Read `NAME`, `NAME@q75`, `NAME@0.25bpp` or `NAME@like:OTHER`; raises `UsageError` for anything else.

    A name alone is resolved to its row's default setting.
    """
    name, at, setting = text.partition("@")
    row = CODECS[name]
    if not at:
        return row.default
    if match := _QUALITY.fullmatch(setting):
        return CodecSpec(name, quality=float(match[1]))
    if match := _RATE.fullmatch(setting):
        return CodecSpec(name, bpp=float(match[1]))
    if setting.startswith("like:"):
        return CodecSpec(name, like=setting.removeprefix("like:"))
    raise UsageError(
        f"{text!r} names no setting of {name}; write {name}@q{_plain(row.qualities.default)} (a quality), "
        f"{name}@0.25bpp (a rate) or {name}@like:lucid (the rate that another codec reached)"
    )


@cache
def open_codec(name: str) -> Codec:
    """Return the codec, ready to run; opened once per process. Raises `UnknownName` or `WeightsError`."""
    codec: Codec = load(CODECS[name].build)()
    return codec


def detect_codec(content: bytes, where: object = "stream") -> str:
    """Return which codec wrote a file, by its first bytes; raises `StreamError` for bytes of none."""
    if container.is_stream(content):
        format_id = container.peek_format_id(content, where)
        for row in CODECS:
            if row.format_id == format_id:
                return row.name
        raise StreamError(where, f"format id {format_id} is unknown to this release; use a newer one")
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content[4:8] == b"ftyp" and _brands(content) & {b"avif", b"avis"}:
        return "avif"
    if content.startswith((b"\xff\x0a", b"\x00\x00\x00\x0cJXL \r\n\x87\n")):
        return "jpeg-xl"
    if content.startswith((b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  \r\n\x87\n")):
        return "jpeg2000"
    begin = f"it begins with {content[:8].hex(' ')}" if content else "it is empty"
    raise StreamError(where, f"not a file of a known codec ({', '.join(CODECS.names)}): {begin}")


def _brands(content: bytes) -> set[bytes]:
    """The brands of an ISO base media file; the second word is a version, no brand."""
    end = min(int.from_bytes(content[:4]), 256)
    return {content[i : i + 4] for i in (8, *range(16, end, 4))}


def _check_like(name: str, like: str) -> None:
    other, at, setting = like.partition("@")
    if setting.startswith("like:"):
        raise UsageError(f"{name}@like:{like} points to a codec that points on; name one with a rate or quality")
    if at:
        parse_spec(like)
    elif CODECS[other].name == name:
        raise UsageError(f"{name}@like:{like} points to itself; name another codec")


def _plain(value: float) -> str:
    """All digits of a number, without exponent: 75, 0.25."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
