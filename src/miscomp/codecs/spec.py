"""How a codec at a setting is written: `jpeg@q75`, `lucid@0.25bpp`, `jpeg@like:lucid`, `cdc@q2+seed3`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from miscomp.codecs.base import Codec, HasCheckpoints, TakesSeed
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.rows import plain
from miscomp.errors import UsageError
from miscomp.registry import load

MAX_BPP = 100.0
"""Highest target rate that can be written in a codec's spec; raw RGB has 24."""

MAX_SEED = 2**64 - 1


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """A codec at a setting, exactly one of four: a quality, a rate, the rate that another codec reached, own weights.

    Written `jpeg@q75`, `lucid@0.25bpp`, `jpeg@like:lucid`, `mbt2018@file:mine.pth`, each with `+seed3` behind it for a
    codec that decodes at random; `parse_spec(str(spec)) == spec`.
    """

    name: str
    quality: float | None = None
    bpp: float | None = None
    """Target in bits per pixel of the original."""
    like: str | None = None
    """The other codec as it was written: a name, or a name with its setting."""
    file: str | None = None
    """A checkpoint of the user's; it has one quality of its own."""
    seed: int | None = None
    """None: the codec's default."""

    def __post_init__(self) -> None:
        row = CODECS[self.name]
        if sum(value is not None for value in (self.quality, self.bpp, self.like, self.file)) != 1:
            raise UsageError(f"{self.name} needs exactly one of quality, rate, like and file, got {self!r}")
        if self.quality is not None:
            row.qualities.check(self.name, self.quality)
        if self.bpp is not None and not 0 < self.bpp <= MAX_BPP:
            raise UsageError(f"{self.name} cannot aim at {self.bpp} bpp; allowed: above 0 to {MAX_BPP:g}")
        if self.like is not None:
            _check_like(self.name, self.like)
        if self.file is not None and (not self.file or _SEED_END.search(self.file)):
            raise UsageError(
                f"{self.name}@file: needs a file's path behind it, one that does not end like a seed, got {self.file!r}"
            )
        if self.file is not None and not row.architecture:
            able = ", ".join(one.name for one in CODECS if one.architecture)
            raise UsageError(f"{self.name} takes no weights from a file; those that do: {able}")
        if self.seed is not None and not (row.seeded and 0 <= self.seed <= MAX_SEED):
            able = ", ".join(one.name for one in CODECS if one.seeded)
            raise UsageError(f"{self.name} takes no seed {self.seed}; seeds go from 0 to 2^64 - 1, for {able}")

    @property
    def fixed_quality(self) -> float | None:
        """The quality that is coded at; none where a rate decides it."""
        # A file holds one quality, whatever it is called.
        return CODECS[self.name].qualities.default if self.file is not None else self.quality

    @property
    def any_rate(self) -> bool:
        """Whether the codec as asked for can also be had at other rates.

        Not so for weights of one's own, nor for one quality of a codec whose other qualities need weights of their own.
        """
        return self.file is None and (not CODECS[self.name].architecture or self.bpp is not None)

    @property
    def setting(self) -> str:
        """What stands behind the `@`."""
        seed = "" if self.seed is None else f"+seed{self.seed}"
        if self.quality is not None:
            return f"q{plain(self.quality)}{seed}"
        if self.bpp is not None:
            return f"{plain(self.bpp)}bpp{seed}"
        return f"{'like' if self.like is not None else 'file'}:{self.like or self.file}{seed}"

    def __str__(self) -> str:
        return f"{self.name}@{self.setting}"


# 400 decimals hold every float above 0 in full; the bound keeps hostile text short.
_NUMBER = r"(\d{1,40}(?:\.\d{1,400})?|\.\d{1,400})"
_QUALITY = re.compile(f"q{_NUMBER}", re.ASCII)
_RATE = re.compile(f"{_NUMBER}bpp", re.ASCII)
_SEED_END = re.compile(r"\+seed(\d{1,20})\Z", re.ASCII)


def parse_spec(text: str) -> CodecSpec:
    """Read `NAME`, `NAME@q75`, `NAME@0.25bpp`, `NAME@like:OTHER` or `NAME@file:PATH`, with or without `+seed3`.

    A name alone is resolved to its row's default setting. Raises `UsageError` for anything else.
    """
    name, _, setting = text.partition("@")
    # Behind `like:` a seed is the other codec's, unless this one takes one too.
    theirs = setting.startswith("like:") and name in CODECS and not CODECS[name].seeded
    match = None if theirs else _SEED_END.search(text)
    seed = int(match[1]) if match else None
    name, at, setting = (text[: match.start()] if match else text).partition("@")
    row = CODECS[name]
    if not at:
        default = default_spec(name)
        return CodecSpec(name, quality=default.quality, bpp=default.bpp, seed=seed)
    if match := _QUALITY.fullmatch(setting):
        return CodecSpec(name, quality=float(match[1]), seed=seed)
    if match := _RATE.fullmatch(setting):
        return CodecSpec(name, bpp=float(match[1]), seed=seed)
    if setting.startswith("like:"):
        return CodecSpec(name, like=setting.removeprefix("like:"), seed=seed)
    if setting.startswith("file:"):
        return CodecSpec(name, file=setting.removeprefix("file:"), seed=seed)
    raise UsageError(
        f"{text!r} names no setting of {name}; write {name}@q{plain(row.qualities.default)} (a quality), "
        f"{name}@0.25bpp (a rate), {name}@like:lucid (the rate that another codec reached)"
        + (f" or {name}@file:PATH (weights of your own)" if row.architecture else "")
        + ("; +seed3 behind it chooses the random numbers" if row.seeded else "")
    )


def default_spec(name: str) -> CodecSpec:
    """What a codec's name alone stands for: its row's rate, or else its default quality."""
    row = CODECS[name]
    if row.default_bpp is not None:
        return CodecSpec(name, bpp=row.default_bpp)
    return CodecSpec(name, quality=row.qualities.default)


def open_spec(spec: CodecSpec) -> Codec:
    """The codec that a spec asks for, ready to run at its quality: with its weights at hand, and its seed.

    Raises `WeightsError` where weights are missing or do not fit, and what `open_codec` raises.
    """
    codec = open_codec(spec.name) if spec.file is None else _open_file(spec.name, Path(spec.file).resolve())
    if isinstance(codec, HasCheckpoints):
        codec.prepare(spec.fixed_quality)
    if spec.seed is not None and isinstance(codec, TakesSeed):
        return codec.with_seed(spec.seed)
    return codec


@cache
def _open_file(name: str, file: Path) -> Codec:
    codec: Codec = load(CODECS[name].build)(CODECS[name], file=file)
    return codec


def _check_like(name: str, like: str) -> None:
    other, at, setting = like.partition("@")
    if setting.startswith("like:"):
        raise UsageError(f"{name}@like:{like} points to a codec that points on; name one with a rate or quality")
    if at:
        parse_spec(like)
    elif CODECS[other].name == name:
        raise UsageError(f"{name}@like:{like} points to itself; name another codec")
