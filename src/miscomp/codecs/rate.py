"""Encode at a quality, or at the quality whose real rate comes closest to a target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

from miscomp.codecs.base import MAX_MEGAPIXELS, Codec
from miscomp.codecs.catalog import CODECS
from miscomp.codecs.rows import CodecRow, Qualities
from miscomp.codecs.spec import CodecSpec, open_spec
from miscomp.errors import UsageError

if TYPE_CHECKING:
    from miscomp.codecs.quality_map import FloatArray
    from miscomp.images import Pixels

MAX_TRIES = 16
TOLERANCE = 0.02
"""Share of the target within which a rate counts as reached."""
_LOG_RANGE = 4.0
"""Logarithm of highest over lowest rate, before anything is known; 2.7 to 6.6 for the codecs at hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A coded picture and how its rate came about."""

    content: bytes
    """The whole file."""
    quality: float
    """On the codec's scale; encoding at it again gives the same bytes. With a map, what its offsets are added to."""
    bpp: float
    """Real: 8 * bytes / pixels of the original."""
    target_bpp: float | None = None
    reached: bool = True
    """Whether `bpp` is within the tolerance of the target; true without one."""
    note: str = ""
    """Why the target was not reached; empty when it was."""
    tries: int = 1
    """Encodings made."""


class MapCodec(Codec, Protocol):
    """A codec whose row says that it takes quality maps."""

    def compress(self, pixels: Pixels, quality: float, *, quality_map: FloatArray | None = None) -> bytes:
        """As `Codec.compress`, with offsets in [-1, 1] to the quality, one per 16 x 16 block."""
        ...


@dataclass(frozen=True, slots=True)
class WithMap:
    """A codec that uses one quality map for whatever it encodes, so that a search for a rate counts its bytes."""

    codec: MapCodec
    quality_map: FloatArray

    @property
    def name(self) -> str:
        """The codec's."""
        return self.codec.name

    def compress(self, pixels: Pixels, quality: float) -> bytes:
        """Encode around `quality`."""
        return self.codec.compress(pixels, quality, quality_map=self.quality_map)

    def decompress(self, content: bytes, *, max_megapixels: float = MAX_MEGAPIXELS) -> Pixels:
        """Decode; the map is in the stream."""
        return self.codec.decompress(content, max_megapixels=max_megapixels)


def check_map(row: CodecRow) -> None:
    """Raise `UsageError` for a codec that takes no quality map."""
    if not row.quality_map:
        able = ", ".join(one.name for one in CODECS if one.quality_map)
        raise UsageError(f"{row.name} takes no quality map; use {able}, or leave the map out")


def encode(
    spec: CodecSpec, pixels: Pixels, *, like_bpp: float | None = None, quality_map: FloatArray | None = None
) -> Encoded:
    """Encode as `spec` says; `like_bpp` is the rate that the codec named by `like:` reached on this picture.

    `quality_map` holds offsets to the quality, see `miscomp.codecs.quality_map`; its bytes count in the rate.
    """
    row = CODECS[spec.name]
    if quality_map is not None:
        check_map(row)
    codec = open_spec(spec)
    if quality_map is not None:
        codec = WithMap(cast(MapCodec, codec), quality_map)
    if spec.fixed_quality is not None:
        return encode_at_quality(codec, row, pixels, spec.fixed_quality)
    bpp = spec.bpp if spec.bpp is not None else like_bpp
    if bpp is None:
        raise UsageError(f"{spec} needs the rate that {spec.like} reached; name a rate such as {spec.name}@0.25bpp")
    return encode_at_bpp(codec, row, pixels, bpp)


def encode_at_quality(codec: Codec, row: CodecRow, pixels: Pixels, quality: float) -> Encoded:
    """Encode once. Raises `UsageError` for a quality or size that the codec does not have."""
    height, width = pixels.shape[:2]
    row.qualities.check(row.name, quality)
    row.check_size(width, height)
    content = codec.compress(pixels, quality)
    return Encoded(content=content, quality=quality, bpp=8 * len(content) / (width * height))


def encode_at_bpp(codec: Codec, row: CodecRow, pixels: Pixels, bpp: float, *, tolerance: float = TOLERANCE) -> Encoded:
    """Search the quality whose rate is within `tolerance` (a share) of `bpp`, or else the closest one tried.

    The rate is taken to rise with quality on the whole; where it does not, the search still ends and
    returns the best it saw. At most `MAX_TRIES` encodings; the same input takes the same path.
    """
    if not (bpp > 0 and math.isfinite(bpp)):
        raise UsageError(f"a target rate must be a number above 0 bpp, got {bpp}")
    if not tolerance >= 0:
        raise UsageError(f"a tolerance must be 0 or more, got {tolerance}")
    scale = row.qualities

    def error_at(index: int) -> float:
        tried[index] = encode_at_quality(codec, row, pixels, _quality(scale, index))
        ratio = tried[index].bpp / bpp
        return 0.0 if abs(ratio - 1) <= tolerance else math.log(ratio)

    tried: dict[int, Encoded] = {}
    begin = scale.default if scale.per_bpp is None else min(max(bpp * scale.per_bpp, scale.low), scale.high)
    _search(error_at, last=_last(scale), start=round((begin - scale.low) / scale.step))
    best = min(tried.values(), key=lambda one: (abs(math.log(one.bpp / bpp)), one.bpp, one.quality))
    reached = abs(best.bpp / bpp - 1) <= tolerance
    note = "" if reached else _explain(bpp, best, list(tried.values()))
    return replace(best, target_bpp=bpp, reached=reached, note=note, tries=len(tried))


def _last(scale: Qualities) -> int:
    """Index of the highest quality on the search's grid."""
    return round((scale.high - scale.low) / scale.step)


def _quality(scale: Qualities, index: int) -> float:
    """Quality of a grid index, rounded so that its printed form gives the same bytes."""
    return round(scale.low + index * scale.step, 6)


def _search(error_at: Callable[[int], float], *, last: int, start: int) -> None:
    """Try indices from 0 to `last` until the error is 0, or changes its sign between neighbours.

    `low` always has a negative error and `high` a positive one, or they are still the outer bounds.
    Interpolation converges fast where the rate is smooth; halving takes over when it does not narrow the range.
    """
    low, high = -1, last + 1
    widths: list[int] = []
    errors: dict[int, float] = {}
    index = min(max(start, 0), last)
    for _ in range(MAX_TRIES):
        errors[index] = error_at(index)
        if errors[index] == 0:
            return
        if errors[index] < 0:
            low = index
        else:
            high = index
        if high - low <= 1:
            return
        widths.append(high - low)
        if low < 0 or high > last:
            guess = _extrapolate(errors, index, last)
        elif len(widths) > 3 and widths[-1] > widths[-4] / 4:
            guess = (low + high) / 2
        else:
            guess = _interpolate(errors, low, high)
        index = min(max(round(guess), low + 1, 0), high - 1, last)


def _interpolate(errors: dict[int, float], low: int, high: int) -> float:
    """Guess where the error is 0: a parabola (index over error) through the bounds and the best other try."""
    share = errors[low] / (errors[low] - errors[high])
    straight = low + (high - low) * share
    others = [index for index in errors if index not in (low, high)]
    if not others:
        return straight
    third = min(others, key=lambda index: abs(errors[index]))
    rising = sorted((index, errors[index]) for index in (low, high, third))
    if not rising[0][1] < rising[1][1] < rising[2][1]:
        return straight
    guess = 0.0
    for index, error in rising:
        weights = [other / (other - error) for _, other in rising if other != error]
        guess += index * math.prod(weights)
    return guess if low < guess < high else straight


def _extrapolate(errors: dict[int, float], index: int, last: int) -> float:
    """Guess where the error is 0 while all tries lie on one side of it."""
    slope = _LOG_RANGE / max(last, 1)
    if len(errors) > 1:
        before = list(errors)[-2]
        measured = (errors[index] - errors[before]) / (index - before)
        # A flat or falling stretch says nothing: steps at most quadruple.
        slope = max(measured, slope / 4)
    guess = index - errors[index] / slope
    end = 0 if guess < index else last
    # Rates fall ever steeper towards low qualities: the end itself is tried only where the guess is far beyond it.
    if -0.3 * last < guess < 1.3 * last and abs(end - index) > 2:
        reach = abs(end - index) * 2 / 3
        guess = min(max(guess, index - reach), index + reach)
    return guess


def _explain(bpp: float, best: Encoded, tried: list[Encoded]) -> str:
    rates = sorted((one.bpp, one.quality) for one in tried)
    (lowest, at_lowest), (highest, at_highest) = rates[0], rates[-1]
    if lowest > bpp:
        return f"{bpp:.4g} bpp cannot be reached: the lowest found is {lowest:.4g} bpp (quality {at_lowest:g})"
    if highest < bpp:
        return f"{bpp:.4g} bpp cannot be reached: the highest found is {highest:.4g} bpp (quality {at_highest:g})"
    return f"the codec has no finer step: {best.bpp:.4g} bpp is {100 * (best.bpp / bpp - 1):+.1f} % off {bpp:.4g} bpp"
