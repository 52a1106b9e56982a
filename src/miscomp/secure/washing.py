"""Washing: attempts to take the perturbation out of a self-destructing picture and to keep the picture.

Who succeeds can edit the picture and save it anew as often as they like. Blind attacks are filters and codecs that
anyone has at hand; informed ones (`miscomp.secure.informed`) use that the codec is public. Another neural codec,
`lucid`, stands for a re-render by a generative model, of which none is at hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from PIL import Image

from miscomp.errors import UsageError
from miscomp.images import Pixels
from miscomp.metrics.psnr import check_pair
from miscomp.registry import Registry
from miscomp.secure.codec import through
from miscomp.secure.informed import Known, notch, subtract, white_box

_NLM_WINDOW, _NLM_SEARCH = 7, 21
_BILATERAL_SIGMA = 3.0
"""Pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """What a wash may use beside the picture."""

    seed: int
    known: Known | None


Apply: TypeAlias = Callable[[Pixels, float, Given], Pixels]


@dataclass(frozen=True, slots=True, kw_only=True)
class WashRow:
    """An attack by its name."""

    name: str
    title: str
    """For tables and plots."""
    unit: str
    """What a strength is."""
    strengths: tuple[float, ...]
    """From the gentlest to the strongest."""
    informed: bool = False
    """Whether it is made for this codec."""
    needs_codec: bool = False
    """Whether `wash` needs `known`."""
    gradients: bool = False
    """Whether it needs minutes for a photograph on a CPU, and memory for the networks' gradients."""
    apply: Apply
    """Called by `wash`, which checks both sides."""


def wash(name: str, strength: float, x1: Pixels, *, seed: int = 0, known: Known | None = None) -> Pixels:
    """Apply an attack of `WASHES` to pixels (h, w, 3); the same arguments give the same pixels, of the same size.

    `strength` is one of the row's. `seed` decides about noise alone. `known` is what the attacker learned from the
    codec, for the rows that need it. Raises `UnknownName`, and `UsageError` for another strength, without `known`
    where it is needed, and for a picture too large for a file format.
    """
    check_pair(x1, x1)
    row = WASHES[name]
    if strength not in row.strengths:
        allowed = ", ".join(f"{one:g}" for one in row.strengths)
        raise UsageError(f"the wash {name} has the strengths {allowed} ({row.unit}), got {strength:g}")
    if row.needs_codec and known is None:
        raise UsageError(f"the wash {name} needs to know the codec; give known=, from miscomp.secure.informed.known")
    washed = row.apply(np.ascontiguousarray(x1), strength, Given(seed, known))
    check_pair(x1, washed)
    return washed


def _plain(change: Callable[[Pixels, float], Pixels]) -> Apply:
    return lambda x1, strength, given: change(x1, strength)


def _informed(change: Callable[[Pixels, float, Known, int], Pixels]) -> Apply:
    def apply(x1: Pixels, strength: float, given: Given) -> Pixels:
        if given.known is None:
            raise ValueError("this attack needs to know the codec")
        return change(x1, strength, given.known, given.seed)

    return apply


def _coded(codec: str) -> Apply:
    return _plain(lambda x1, quality: through(codec, x1, quality))


def _pixels(values: object) -> Pixels:
    """What OpenCV returns, whose types say less."""
    return np.ascontiguousarray(values, dtype=np.uint8)


def _blur(x1: Pixels, sigma: float) -> Pixels:
    return _pixels(cv2.GaussianBlur(x1, (0, 0), sigma))


def _median(x1: Pixels, side: float) -> Pixels:
    return _pixels(cv2.medianBlur(x1, int(side)))


def _rescale(x1: Pixels, percent: float) -> Pixels:
    image, lanczos = Image.fromarray(x1), Image.Resampling.LANCZOS
    width, height = (max(round(side * percent / 100), 1) for side in image.size)
    return np.array(image.resize((width, height), lanczos).resize(image.size, lanczos))


def _denoise(x1: Pixels, h: float) -> Pixels:
    """Non-local means; OpenCV takes blue first."""
    blue_first = np.ascontiguousarray(x1[:, :, ::-1])
    denoised = cv2.fastNlMeansDenoisingColored(blue_first, None, h, h, _NLM_WINDOW, _NLM_SEARCH)
    return _pixels(np.asarray(denoised)[:, :, ::-1])


def _bilateral(x1: Pixels, levels: float) -> Pixels:
    return _pixels(cv2.bilateralFilter(x1, 0, levels, _BILATERAL_SIGMA))


def _noise(x1: Pixels, sigma: float, given: Given) -> Pixels:
    grain = np.random.default_rng(given.seed).normal(0, sigma, x1.shape)
    return np.clip(np.rint(x1 + grain), 0, 255).astype(np.uint8)


def _noise_denoise(x1: Pixels, sigma: float, given: Given) -> Pixels:
    return _denoise(_noise(x1, sigma, given), sigma)


_GAINS = (0.5, 0.75, *(step / 8 for step in range(8, 19)), 2.5)
"""Close together, because the codec destroys what has too little of its pattern taken off, and what has too much."""

WASHES: Registry[WashRow] = Registry(
    "wash",
    [
        WashRow(
            name="blur",
            title="Gaussian blur",
            unit="sigma in pixels",
            strengths=(0.5, 1, 1.5, 2, 3, 4, 6),
            apply=_plain(_blur),
        ),
        WashRow(
            name="median", title="Median", unit="pixels a side", strengths=(3, 5, 7, 11, 15), apply=_plain(_median)
        ),
        WashRow(name="jpeg", title="JPEG", unit="quality", strengths=(90, 75, 50, 30, 15, 5), apply=_coded("jpeg")),
        WashRow(
            name="rescale",
            title="Rescale and back",
            unit="% of the size",
            strengths=(75, 50, 37.5, 25, 18.75, 12.5),
            apply=_plain(_rescale),
        ),
        WashRow(
            name="denoise",
            title="Non-local means",
            unit="filter strength in levels",
            strengths=(3, 6, 10, 15, 25, 40),
            apply=_plain(_denoise),
        ),
        WashRow(
            name="bilateral",
            title="Bilateral filter",
            unit="sigma in levels",
            strengths=(6, 12, 25, 50, 100),
            apply=_plain(_bilateral),
        ),
        WashRow(
            name="noise", title="Gaussian noise", unit="sigma in levels", strengths=(2, 4, 8, 12, 20, 30), apply=_noise
        ),
        WashRow(
            name="noise+denoise",
            title="Noise, then non-local means",
            unit="sigma of both in levels",
            strengths=(4, 8, 12, 20, 30),
            apply=_noise_denoise,
        ),
        WashRow(name="webp", title="WebP", unit="quality", strengths=(90, 80, 60, 40, 20, 0), apply=_coded("webp")),
        WashRow(name="avif", title="AVIF", unit="quality", strengths=(70, 50, 40, 30, 20, 10), apply=_coded("avif")),
        WashRow(
            name="lucid",
            title="Neural codec (lucid)",
            unit="quality",
            strengths=(1, 0.8, 0.7, 0.6, 0.4, 0.2, 0),
            apply=_coded("lucid"),
        ),
        WashRow(
            name="notch",
            title="Notch: its own pattern",
            unit="gain",
            strengths=_GAINS,
            informed=True,
            apply=_plain(notch),
        ),
        WashRow(
            name="tile",
            title="Pattern of coded grey",
            unit="gain",
            strengths=_GAINS,
            informed=True,
            needs_codec=True,
            apply=_informed(lambda x1, gain, known, seed: subtract(x1, known.tile, gain)),
        ),
        WashRow(
            name="whitebox",
            title="White box: gradients",
            unit="most change in levels",
            strengths=(1, 2, 3, 4, 8, 16),
            informed=True,
            needs_codec=True,
            gradients=True,
            apply=_informed(lambda x1, levels, known, seed: white_box(x1, levels, known, seed=seed)),
        ),
    ],
)
