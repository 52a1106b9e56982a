"""Measured points beside the figures that were published for the same weights: by how much does each differ?

Published are means over the 24 Kodak images. Their rate is that of the entropy coder's bytes alone; ours is that of
whole files, with a container of up to 40 bytes (0.0008 bpp) and another entropy coder. Most of their PSNR and all
of their MS-SSIM is of reconstructions before rounding to 8 bits, so what rounding costs is taken off first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from miscomp.codecs.spec import CodecSpec
from miscomp.errors import UsageError
from miscomp.evaluate.published import PublishedCurve, is_kodak, published_curves
from miscomp.evaluate.results import Curve, Point

_TRAINED = (
    "bmshj2018-factorized",
    "bmshj2018-hyperprior",
    "mbt2018-mean",
    "mbt2018",
    "cheng2020-anchor",
    "cheng2020-attn",
)
EXPECTED = tuple(name + loss for name in _TRAINED for loss in ("", "-ms-ssim"))
"""Codecs whose published curve has one point for each of their qualities: the first is quality 1."""

EIGHT_BIT = "-8bit"

ROUNDING_MSE = 1 / 12
"""Mean squared error that rounding adds: a difference is as likely anywhere in [-1/2, 1/2]. It gives the published
8-bit PSNRs from those before rounding to 0.002 dB."""

ROUNDING_MS_SSIM = 8e-5
"""What rounding takes from the mean MS-SSIM of the Kodak images: 7.7e-5 to 8.5e-5 with lucid from 26 to 39 dB
(studies/rounding_loss.py). Where MS-SSIM is 0.996, the highest published, that is 0.09 dB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerances:
    """How far a point may lie from the published one, either way.

    The defaults leave room for container and entropy coder (at quality 1 the container is 0.6 to 0.9 %), for
    published digits (1e-5 of MS-SSIM is 0.01 dB at 0.996) and for what is not known of rounding. Other weights differ
    by far more: from one quality to the next it is 31 % of rate and 0.6 dB of PSNR or more.
    """

    bpp_percent: float = 1.0
    psnr_db: float = 0.05
    ms_ssim_db: float = 0.05

    def __post_init__(self) -> None:
        for name in self.__slots__:
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"a tolerance must be a number of 0 or more, got {value} for {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deviation:
    """One measured point, what was expected of it, and whether it lies within the tolerances."""

    codec: str
    setting: str
    bpp: float
    """Real, of whole files."""
    expected_bpp: float
    """As published: without container."""
    psnr_db: float
    expected_psnr_db: float
    psnr_of: str
    """Published curve that it comes from; one without `-8bit` is before rounding, and rounding was taken off."""
    ms_ssim_db: float | None
    """-10 log10(1 - mean MS-SSIM)."""
    expected_ms_ssim_db: float | None
    """As published, less what rounding costs."""
    tolerances: Tolerances

    @property
    def bpp_percent(self) -> float:
        """Percent more bits than expected."""
        return 100 * (self.bpp / self.expected_bpp - 1)

    @property
    def psnr_difference_db(self) -> float:
        """Positive: the measured point is better than expected."""
        return self.psnr_db - self.expected_psnr_db

    @property
    def ms_ssim_difference_db(self) -> float | None:
        """Positive: better than expected."""
        if self.ms_ssim_db is None or self.expected_ms_ssim_db is None:
            return None
        return self.ms_ssim_db - self.expected_ms_ssim_db

    @property
    def beyond(self) -> tuple[str, ...]:
        """Which figures differ by more than is tolerated: `bpp`, `PSNR`, `MS-SSIM`."""
        limits = self.tolerances
        differences = (
            ("bpp", self.bpp_percent, limits.bpp_percent),
            ("PSNR", self.psnr_difference_db, limits.psnr_db),
            ("MS-SSIM", self.ms_ssim_difference_db, limits.ms_ssim_db),
        )
        return tuple(name for name, value, limit in differences if value is not None and abs(value) > limit)


def check_expected(specs: Sequence[CodecSpec], images: Sequence[Path]) -> None:
    """Raise `UsageError` unless every codec is at a quality with a published point and the images are Kodak's."""
    for spec in specs:
        allowed = len(published_curves()[spec.name].bpp) if spec.name in EXPECTED else 0
        if spec.quality is None or spec.quality not in range(1, allowed + 1):
            have = ", ".join(f"{name} ({len(published_curves()[name].bpp)})" for name in EXPECTED)
            raise UsageError(
                f"no published point for {spec}; there is one for each whole quality from @q1 of {have}, the number "
                "in brackets being the highest; leave the others out, or leave --expect out"
            )
    if not is_kodak(images):
        raise UsageError(
            f"published figures are means over the 24 Kodak images; these {len(images)} are not those (they are told "
            "by their pixels); measure all 24 and nothing else, or leave --expect out"
        )


def deviations(curves: Sequence[Curve], tolerances: Tolerances) -> tuple[Deviation, ...]:
    """Every measured point beside the published one; the curves are over the 24 Kodak images, as checked before."""
    return tuple(_deviation(curve.codec, point, tolerances) for curve in curves for point in curve.points)


def _deviation(codec: str, point: Point, tolerances: Tolerances) -> Deviation:
    curve, place = published_curves()[codec], round(point.quality) - 1
    psnr_db, psnr_of = _expected_psnr_db(codec, place)
    return Deviation(
        codec=codec,
        setting=point.setting,
        bpp=point.bpp.value,
        expected_bpp=curve.bpp[place],
        psnr_db=point.psnr_db.value,
        expected_psnr_db=psnr_db,
        psnr_of=psnr_of,
        ms_ssim_db=point.ms_ssim_db,
        expected_ms_ssim_db=None if curve.ms_ssim_db is None else rounded_ms_ssim_db(curve.ms_ssim_db[place]),
        tolerances=tolerances,
    )


def _expected_psnr_db(codec: str, place: int) -> tuple[float, str]:
    """PSNR after rounding to 8 bits and the curve that it comes from."""
    name = codec + EIGHT_BIT
    if name in published_curves():
        return _psnr_db(published_curves()[name])[place], name
    return rounded_psnr_db(_psnr_db(published_curves()[codec])[place]), codec


def _psnr_db(curve: PublishedCurve) -> tuple[float, ...]:
    if curve.psnr_db is None:
        raise ValueError(f"{curve.name} has no PSNR")
    return curve.psnr_db


def rounded_psnr_db(psnr_db: float) -> float:
    """PSNR of a reconstruction after rounding to 8 bits, from the one before, for 8-bit pictures."""
    return -10 * math.log10(10 ** (-psnr_db / 10) + ROUNDING_MSE / 255**2)


def rounded_ms_ssim_db(ms_ssim_db: float) -> float:
    """MS-SSIM in dB after rounding to 8 bits, from the one before; for means over the Kodak images."""
    return -10 * math.log10(10 ** (-ms_ssim_db / 10) + ROUNDING_MS_SSIM)
