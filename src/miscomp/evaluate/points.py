"""Which settings of a codec make its curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.spec import CodecSpec, parse_spec
from miscomp.errors import UsageError

DEFAULT_POINTS = 8

_SWEEPS: Mapping[str, tuple[float, ...]] = {
    "jpeg": (5, 10, 20, 40, 70),
    "webp": (0, 4, 20, 50, 78),
    "avif": (10, 26, 42, 56, 70),
    "jpeg-xl": (19, 35, 52, 67.5, 81),  # below 19, libjxl spends more bits on a worse picture
    "jpeg2000": (23, 25.5, 28, 31, 35.5),
}
"""Qualities whose rates rise by about equal factors from 0.1 bpp, or a codec's lowest, to 1.5 bpp on photographs."""


def make_points(names: Sequence[str], *, points: int = DEFAULT_POINTS, bpps: Sequence[float] = ()) -> list[CodecSpec]:
    """Resolve `NAME@setting` to one point and `NAME` to a curve: at `bpps` where given, else over its own qualities.

    Each point is there once, in the order of the request. Raises `UnknownName`, and `UsageError` for what is no
    setting, follows another codec, or asks for rates that no codec takes.
    """
    if bpps and all("@" in name for name in names):
        raise UsageError("rates apply to codecs without a setting, and every codec here has one; leave one out")
    specs: list[CodecSpec] = []
    for name in names:
        if "@" in name:
            spec = parse_spec(name)
            if spec.like is not None:
                raise UsageError(f"{spec} has no rate of its own; name one, as in {spec.name}@0.25bpp")
            specs.append(spec)
        elif bpps:
            specs += [CodecSpec(name, bpp=bpp) for bpp in bpps]
        else:
            specs += [CodecSpec(name, quality=quality) for quality in sweep(name, points)]
    return list(dict.fromkeys(specs))


def sweep(name: str, points: int) -> list[float]:
    """Qualities of a codec, rising, about evenly spaced in log rate; fewer where its scale is too coarse."""
    if points < 2:
        raise UsageError(f"a curve needs at least 2 points, got {points}; for one point write {name}@0.25bpp")
    scale = CODECS[name].qualities
    marks = _SWEEPS.get(name, (scale.low, scale.high))
    places = np.interp(np.linspace(0, len(marks) - 1, points), range(len(marks)), marks)
    steps = np.round((places - scale.low) / scale.step)
    return sorted({round(scale.low + step * scale.step, 6) for step in steps.tolist()})
