"""Measurements become curves: means over the images that have every point, with intervals."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from miscomp.codecs.catalog import CODECS
from miscomp.codecs.spec import CodecSpec
from miscomp.evaluate.measure import GenerationRow, MeasuredRow
from miscomp.evaluate.memory import MemoryRow
from miscomp.report.summary import Mean, mean_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting of a codec; every mean is over the same images, each counting once whatever its size."""

    setting: str
    quality: float
    """Mean; it differs between images where a rate was asked for."""
    bpp: Mean
    """Real."""
    estimated_bpp: Mean | None
    psnr_db: Mean
    """Of per-image values; infinite, and then without interval, where a picture came back without loss."""
    psnr_pooled_db: float
    """Of the mean over the images of the mean squared error."""
    ssim: Mean
    ms_ssim: Mean | None
    """None where a picture is too small for it."""
    encode_s: float
    """Mean."""
    decode_s: float
    memory: MemoryRow | None = None
    """Of one picture; none where it was not measured."""

    @property
    def ms_ssim_db(self) -> float | None:
        """-10 log10(1 - mean MS-SSIM); infinite without loss."""
        if self.ms_ssim is None:
            return None
        return math.inf if self.ms_ssim.value >= 1 else -10 * math.log10(1 - self.ms_ssim.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One codec at all its settings, by rising mean rate."""

    codec: str
    images: int
    points: tuple[Point, ...]
    encode_megapixels_per_s: float
    """Median over images and settings."""
    decode_megapixels_per_s: float

    @property
    def line(self) -> tuple[Point, ...]:
        """The points that one line may join: those at fixed qualities or those at target rates, whichever are more.

        A mean over images at one quality and one at one rate weigh the images differently, so a line through both
        goes up and down.
        """
        rates = tuple(point for point in self.points if point.setting.partition("+seed")[0].endswith("bpp"))
        return rates if 2 * len(rates) > len(self.points) else tuple(p for p in self.points if p not in rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftPoint:
    """One generation of one setting: means over the images."""

    codec: str
    setting: str
    generation: int
    bpp: Mean
    psnr_db: Mean
    psnr_previous_db: Mean | None
    """Over the images that changed; none where none did."""
    unchanged: int
    """Images that came back as they went in."""


def make_curves(
    rows: Sequence[MeasuredRow], specs: Sequence[CodecSpec], memory: Sequence[MemoryRow] = ()
) -> tuple[Curve, ...]:
    """One curve per codec, in the order of the request; `rows` hold every image at every setting, or are empty."""
    by_setting: dict[tuple[str, str], list[MeasuredRow]] = {}
    for row in rows:
        by_setting.setdefault((row.codec, row.setting), []).append(row)
    held = {(row.codec, row.setting): row for row in memory}
    curves = []
    for name in dict.fromkeys(spec.name for spec in specs):
        groups = [group for (codec, _), group in by_setting.items() if codec == name]
        if groups:
            curves.append(_curve(name, groups, held))
    return tuple(curves)


def _curve(name: str, groups: Sequence[Sequence[MeasuredRow]], held: Mapping[tuple[str, str], MemoryRow]) -> Curve:
    points = [_point(group, held.get((name, group[0].setting))) for group in groups]
    speeds = [row.megapixels_per_s for group in groups for row in group]
    return Curve(
        codec=name,
        images=len(groups[0]),
        points=tuple(sorted(points, key=lambda point: (point.bpp.value, point.psnr_db.value))),
        encode_megapixels_per_s=statistics.median(encode for encode, _ in speeds),
        decode_megapixels_per_s=statistics.median(decode for _, decode in speeds),
    )


def _point(rows: Sequence[MeasuredRow], memory: MemoryRow | None) -> Point:
    estimated = [row.estimated_bpp for row in rows if row.estimated_bpp is not None]
    ms_ssims = [row.ms_ssim for row in rows if row.ms_ssim is not None]
    return Point(
        setting=rows[0].setting,
        quality=statistics.mean(row.quality for row in rows),  # exact: one quality is its own mean
        bpp=mean_interval([row.bpp for row in rows], low=0.0),
        estimated_bpp=mean_interval(estimated, low=0.0) if len(estimated) == len(rows) else None,
        psnr_db=_mean_db([row.psnr_db for row in rows]),
        psnr_pooled_db=pooled_psnr([row.psnr_db for row in rows]),
        ssim=_mean_similarity([row.ssim for row in rows]),
        ms_ssim=_mean_similarity(ms_ssims) if len(ms_ssims) == len(rows) else None,
        encode_s=statistics.fmean(row.encode_s for row in rows),
        decode_s=statistics.fmean(row.decode_s for row in rows),
        memory=memory,
    )


def _mean_db(values: Sequence[float]) -> Mean:
    if any(map(math.isinf, values)):
        return Mean(value=math.inf, n=len(values), interval=None)
    return mean_interval(values)


def _mean_similarity(values: Sequence[float]) -> Mean:
    """The interval is cut at 1, above which there is no similarity."""
    mean = mean_interval(values)
    return mean if mean.interval is None else replace(mean, interval=(mean.interval[0], min(mean.interval[1], 1.0)))


def pooled_psnr(values_db: Sequence[float]) -> float:
    """PSNR of the mean of the squared errors behind per-image PSNRs; infinite if all are."""
    mean = statistics.fmean(10 ** (-value / 10) for value in values_db)
    return math.inf if mean == 0 else -10 * math.log10(mean)


def make_drift(rows: Sequence[GenerationRow]) -> tuple[DriftPoint, ...]:
    """Means over the images for each setting and generation, in the order of the rows."""
    groups: dict[tuple[str, str, int], list[GenerationRow]] = {}
    for row in rows:
        groups.setdefault((row.codec, row.setting, row.generation), []).append(row)
    return tuple(_drift_point(group) for group in groups.values())


def _drift_point(rows: Sequence[GenerationRow]) -> DriftPoint:
    changed = [row.psnr_previous_db for row in rows if math.isfinite(row.psnr_previous_db)]
    return DriftPoint(
        codec=rows[0].codec,
        setting=rows[0].setting,
        generation=rows[0].generation,
        bpp=mean_interval([row.bpp for row in rows], low=0.0),
        psnr_db=_mean_db([row.psnr_db for row in rows]),
        psnr_previous_db=mean_interval(changed) if changed else None,
        unchanged=len(rows) - len(changed),
    )


def compressai_record(curve: Curve) -> dict[str, Any]:
    """A curve in the layout of CompressAI's result files, and what it has no place for under names of its own.

    Every list has one value per setting of the curve's line, a mean over the images; null stands for infinite or
    unknown.
    """
    memory = [point.memory for point in curve.line]
    columns: dict[str, list[float | None]] = {
        "psnr-rgb": [point.psnr_db.value for point in curve.line],
        "psnr-rgb-pooled": [point.psnr_pooled_db for point in curve.line],
        "ssim-rgb": [point.ssim.value for point in curve.line],
        "ms-ssim-rgb": [value_of(point.ms_ssim) for point in curve.line],
        "bpp": [point.bpp.value for point in curve.line],
        "bpp-estimated": [value_of(point.estimated_bpp) for point in curve.line],
        "quality": [point.quality for point in curve.line],
        "encoding_time": [point.encode_s for point in curve.line],
        "decoding_time": [point.decode_s for point in curve.line],
        "encoding_peak_memory_mb": [None if one is None else one.encode_peak_mb for one in memory],
        "decoding_peak_memory_mb": [None if one is None else one.decode_peak_mb for one in memory],
    }
    return {
        "name": curve.codec,
        "description": CODECS[curve.codec].description,
        "images": curve.images,
        "settings": [point.setting for point in curve.line],
        "results": {
            name: [finite(value) for value in values]
            for name, values in columns.items()
            if any(value is not None for value in values)
        },
    }


def value_of(mean: Mean | None) -> float | None:
    """The mean alone."""
    return None if mean is None else mean.value


def mean_record(mean: Mean | None) -> Mapping[str, Any] | None:
    """A mean with its number of images and its 95 % interval, for a JSON file."""
    if mean is None:
        return None
    return {"mean": finite(mean.value), "n": mean.n, "interval_95": None if mean.interval is None else [*mean.interval]}


def finite(value: float | None) -> float | None:
    """The number, or none for what JSON cannot say."""
    return value if value is not None and math.isfinite(value) else None
