"""The records of which the registry of codecs is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

from miscomp.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class Qualities:
    """A codec's scale of settings, `low` to `high` inclusive; a higher one gives more bits and a better picture."""

    low: float
    high: float
    default: float
    """What a search for a rate tries first, and the codec's setting where `CodecRow.default_bpp` is none."""
    integer: bool = False
    unit: str = ""
    per_bpp: float | None = None
    """Quality that 1 bpp is asked for by, where the scale is a target rate: a search starts there."""

    @property
    def step(self) -> float:
        """The finest difference that a search tries: 1, or a power of ten about a thousandth of the range."""
        return 1.0 if self.integer else 10.0 ** math.floor(math.log10((self.high - self.low) / 900))

    def check(self, codec: str, quality: float) -> float:
        """Return `quality` if it is on the scale; raises `UsageError` otherwise."""
        if not self.low <= quality <= self.high or (self.integer and quality != int(quality)):
            kind = "a whole number" if self.integer else "a number"
            allowed = f"{kind} from {plain(self.low)} to {plain(self.high)}"
            raise UsageError(f"{codec} has no quality {plain(quality)}; it needs {allowed}")
        return quality


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Where a codec's trained numbers come from, where one file serves all qualities."""

    source: str
    licence: str
    sha256: str = ""
    """Of the file, 64 hex digits; empty while none are released."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodecRow:
    """Everything about a codec."""

    name: str
    build: str
    """`module:Class`, called without arguments, or with the row where `takes_row`."""
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
    paper: str = ""
    """Authors, venue and year, for a codec that a paper describes."""
    architecture: str = ""
    """Networks of `miscomp.codecs.networks.catalog`, for a codec whose weights are published checkpoints."""
    kmac: int = 0
    """Thousand multiplications a pixel to decode, for a codec of networks; 0 for the others."""
    seeded: bool = False
    """Whether decoding draws random numbers from a seed in the file."""
    recognise: str = ""
    """`module:function` that tells from a file's bytes which codec wrote it, or none; for files that others define."""
    takes_row: bool = False
    """Whether `build` is called with the row: one class serves several rows."""
    typical_bpp: str = ""
    """Rates that its qualities give on photographs, in words; empty where they cover all that is usual."""
    extra: str = ""
    """Optional part of the package that it needs."""

    def check_size(self, width: int, height: int) -> None:
        """Raise `UsageError` for a picture that the format cannot hold."""
        if self.max_side is not None and max(width, height) > self.max_side:
            raise UsageError(
                f"{self.name} holds at most {self.max_side} pixels a side, the image has {width} x {height}; "
                "use another codec or a smaller image"
            )


def plain(value: float) -> str:
    """All digits of a number, without exponent: 75, 0.25."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
