"""Every curve against every other: BD-rate and BD-PSNR, measured against measured and against published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from miscomp.evaluate.published import PublishedCurve
from miscomp.evaluate.results import Curve
from miscomp.metrics.bd_rate import CurveDifference, RatePoint, bd_psnr, bd_rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How a measured codec stands to another curve."""

    test: str
    anchor: str
    published: bool
    """Whether the anchor is a published curve; a codec of the same name may be measured too."""
    rate: CurveDifference
    """Percent of real rate at equal PSNR; negative: the test needs fewer bits."""
    psnr: CurveDifference
    """dB at equal rate; positive: the test is better."""


def compare(curves: Sequence[Curve], published: Sequence[PublishedCurve]) -> tuple[Comparison, ...]:
    """Every measured codec against every other and against each published curve that has PSNR."""
    anchors = [(curve.codec, False, rate_points(curve)) for curve in curves]
    anchors += [
        (curve.name, True, list(zip(curve.bpp, curve.psnr_db, strict=True)))
        for curve in published
        if curve.psnr_db is not None
    ]
    return tuple(
        Comparison(
            test=test.codec,
            anchor=name,
            published=is_published,
            rate=bd_rate(points, rate_points(test)),
            psnr=bd_psnr(points, rate_points(test)),
        )
        for test in curves
        for name, is_published, points in anchors
        if is_published or name != test.codec
    )


def rate_points(curve: Curve) -> list[RatePoint]:
    """Mean real rate and mean of per-image PSNR, as published curves have them."""
    return [(point.bpp.value, point.psnr_db.value) for point in curve.line]
