"""A self-destructing codec at a quality, as everything here runs it: with real streams."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from miscomp.codecs.base import Codec
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.lucid import Lucid
from miscomp.codecs.spec import open_spec, parse_spec
from miscomp.errors import UsageError
from miscomp.images import Pixels

DEFAULT = "slic"

_NO_LIMIT = 1e6
"""Megapixels. The codecs' own limit guards against strange files."""


@dataclass(frozen=True, slots=True, eq=False)
class SecureCodec:
    """A codec and the quality it compresses at."""

    codec: Codec
    quality: float
    label: str
    """What results call it: `slic@q0.65`, or the file of weights."""

    def compress(self, pixels: Pixels) -> bytes:
        """Encode 8-bit RGB (h, w, 3)."""
        return self.codec.compress(pixels, self.quality)

    def decompress(self, content: bytes) -> Pixels:
        """Decode a stream that was just made, of a picture of any size that was let in. Raises `StreamError`."""
        return self.codec.decompress(content, max_megapixels=_NO_LIMIT)

    def again(self, pixels: Pixels) -> Pixels:
        """What pixels (h, w, 3) become when they are compressed and decompressed once."""
        return self.decompress(self.compress(pixels))


def through(name: str, pixels: Pixels, quality: float) -> Pixels:
    """What pixels (h, w, 3) become by a codec of the registry, with real bytes. Raises `UsageError`."""
    return SecureCodec(open_codec(name), quality, name).again(pixels)


def open_secure(weights: Path | None = None, *, codec: str = DEFAULT, quality: float | None = None) -> SecureCodec:
    """The shipped codec, one of the registry as `parse_spec` reads it, or `slic`'s networks with other weights.

    `weights` belong to `slic`'s networks; those of a published codec are written `mbt2018@file:PATH` as `codec`. Raises
    `UsageError` and `WeightsError`.
    """
    name = codec.partition("@")[0]
    if weights is not None:
        if codec != DEFAULT:
            raise UsageError(f"weights of {name} are given as {name}@file:{weights}, not beside a codec")
        level = CODECS[DEFAULT].qualities.default if quality is None else quality
        CODECS[DEFAULT].qualities.check(DEFAULT, level)
        return SecureCodec(Lucid(weights, name=DEFAULT), level, f"{weights.name}@q{level:g}")
    spec = parse_spec(codec)
    level_of_spec = spec.fixed_quality
    if level_of_spec is None:
        raise UsageError(f"{codec} asks for a rate; give a quality, as in {name}@q{CODECS[name].qualities.default:g}")
    level = level_of_spec if quality is None else CODECS[name].qualities.check(name, quality)
    label = str(spec) if quality is None else f"{name}@q{level:g}"
    return SecureCodec(open_spec(spec), level, label)
