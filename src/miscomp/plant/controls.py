"""Controls: changes without a change of meaning, in which whatever a detector finds is a false alarm."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from miscomp.codecs.spec import CodecSpec
from miscomp.images import Pixels

HIGH_BPPS = (0.75, 1.125)
"""Rates at which codecs are taken to keep the meaning: 0.75 bpp, and half as much again."""

CLASSICAL = ("jpeg", "webp")
"""Codecs that every set of controls has, beside those asked for."""

PREFIX = "control:"
"""What a control's model begins with."""

_SIGMA = 4.0
_GAIN = 1.12
_CONTRAST = 0.85
_SHARPENING, _RADIUS = 0.8, 1.5
_SCALE = 0.75


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRow:
    """A control that no codec makes."""

    name: str
    setting: str
    """In words and numbers, for the table of models."""
    make: Callable[[Pixels, np.random.Generator], Pixels]


def control_specs(specs: Sequence[CodecSpec]) -> list[CodecSpec]:
    """Each codec that was asked for and has such rates, and JPEG and WebP, at each of `HIGH_BPPS`."""
    names = dict.fromkeys([*(spec.name for spec in specs if spec.any_rate), *CLASSICAL])
    return [CodecSpec(name, bpp=bpp) for name in names for bpp in HIGH_BPPS]


def _noise(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _to_pixels(pixels + rng.normal(0, _SIGMA, pixels.shape))


def _brightness(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _to_pixels(pixels * _GAIN)


def _contrast(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return _to_pixels((pixels - 128.0) * _CONTRAST + 128.0)


def _sharpened(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    values = pixels.astype(np.float32)
    return _to_pixels(values + _SHARPENING * (values - cv2.GaussianBlur(values, (0, 0), _RADIUS)))


def _shifted(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    return np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1)


def _resized(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    height, width = pixels.shape[:2]
    small = cv2.resize(
        pixels, (max(round(width * _SCALE), 1), max(round(height * _SCALE), 1)), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def _to_pixels(values: npt.NDArray[np.floating]) -> Pixels:
    rounded: Pixels = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded


CONTROLS: Mapping[str, ControlRow] = {
    row.name: row
    for row in (
        ControlRow(name="noise", setting=f"Gaussian, sigma {_SIGMA:g} of 255", make=_noise),
        ControlRow(name="brightness", setting=f"times {_GAIN:g}", make=_brightness),
        ControlRow(name="contrast", setting=f"times {_CONTRAST:g} about 128", make=_contrast),
        ControlRow(
            name="sharpened", setting=f"unsharp mask, sigma {_RADIUS:g}, amount {_SHARPENING:g}", make=_sharpened
        ),
        ControlRow(name="shifted", setting="one pixel to the right", make=_shifted),
        ControlRow(name="resized", setting=f"to {_SCALE:.0%} and back", make=_resized),
    )
}
