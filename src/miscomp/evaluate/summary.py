"""An evaluation in figures, for programs (`summary.json`) and for people (a table)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from miscomp.evaluate.compare import Comparison
from miscomp.evaluate.measure import GenerationRow, MeasuredRow
from miscomp.evaluate.published import PublishedCurve, source
from miscomp.evaluate.results import Curve, DriftPoint, Point, finite, mean_record
from miscomp.metrics.bd_rate import CurveDifference
from miscomp.records import Failure
from miscomp.report.summary import Mean
from miscomp.report.wording import one_line


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was measured and what follows from it."""

    settings: Mapping[str, Any]
    rows: tuple[MeasuredRow, ...]
    """Everything measured, also of images that the means leave out."""
    generations: tuple[GenerationRow, ...]
    images: int
    """In every mean: those that were measured at every setting of every codec."""
    left_out: tuple[str, ...]
    """File names of the others."""
    curves: tuple[Curve, ...]
    drift: tuple[DriftPoint, ...]
    published: tuple[PublishedCurve, ...]
    comparisons: tuple[Comparison, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()
    """What a reader of the figures should know."""


def summary_record(evaluation: Evaluation) -> dict[str, Any]:
    """The whole summary for a JSON file; null stands for infinite or unknown, every name says what it is."""
    return {
        "settings": dict(evaluation.settings),
        "images": evaluation.images,
        "left_out": list(evaluation.left_out),
        "failures": [{"name": failure.name, "reason": failure.reason} for failure in evaluation.failures],
        "notes": list(evaluation.notes),
        "codecs": [_curve_record(curve) for curve in evaluation.curves],
        "comparisons": [_comparison_record(one) for one in evaluation.comparisons],
        "published": [{"name": curve.name, "description": curve.description} for curve in evaluation.published],
        "published_source": source() if evaluation.published else None,
        "generations": [_drift_record(one) for one in evaluation.drift],
    }


def _curve_record(curve: Curve) -> dict[str, Any]:
    return {
        "codec": curve.codec,
        "file": f"results/{curve.codec}.json",
        "median_encode_megapixels_per_s": curve.encode_megapixels_per_s,
        "median_decode_megapixels_per_s": curve.decode_megapixels_per_s,
        "points": [_point_record(point) for point in curve.points],
    }


def _point_record(point: Point) -> dict[str, Any]:
    return {
        "setting": point.setting,
        "mean_quality": point.quality,
        "real_bpp": mean_record(point.bpp),
        "estimated_bpp": mean_record(point.estimated_bpp),
        "psnr_db_mean_of_images": mean_record(point.psnr_db),
        "psnr_db_pooled": finite(point.psnr_pooled_db),
        "ssim": mean_record(point.ssim),
        "ms_ssim": mean_record(point.ms_ssim),
        "ms_ssim_db_of_mean": finite(point.ms_ssim_db),
        "mean_encode_s": point.encode_s,
        "mean_decode_s": point.decode_s,
    }


def _comparison_record(one: Comparison) -> dict[str, Any]:
    return {
        "test": one.test,
        "anchor": one.anchor,
        "anchor_is": "published" if one.published else "measured",
        "bd_rate_percent": one.rate.value,
        "psnr_overlap_db": None if one.rate.overlap is None else [*one.rate.overlap],
        "bd_psnr_db": one.psnr.value,
        "bpp_overlap": None if one.psnr.overlap is None else [*one.psnr.overlap],
        "reason": one.rate.reason or one.psnr.reason,
    }


def _drift_record(one: DriftPoint) -> dict[str, Any]:
    return {
        "codec": one.codec,
        "setting": one.setting,
        "generation": one.generation,
        "real_bpp": mean_record(one.bpp),
        "psnr_db_to_original": mean_record(one.psnr_db),
        "psnr_db_to_previous_where_changed": mean_record(one.psnr_previous_db),
        "unchanged_images": one.unchanged,
    }


def summary_text(evaluation: Evaluation) -> str:
    """Tables for a terminal: every point, every BD-rate, the speed, the drift. Brackets hold 95 % intervals."""
    parts = [_points_text(evaluation)]
    if evaluation.comparisons:
        parts.append(_comparisons_text(evaluation))
    if evaluation.drift:
        parts.append(_drift_text(evaluation.drift))
    parts += map(one_line, evaluation.notes)  # file names in them must not reach a terminal as they are
    return "\n\n".join(parts) + "\n"


def _points_text(evaluation: Evaluation) -> str:
    header = (
        "codec",
        "setting",
        "real bpp",
        "estimated",
        "PSNR dB",
        "pooled",
        "SSIM",
        "MS-SSIM",
        "encode s",
        "decode s",
    )
    rows = [header]
    for curve in evaluation.curves:
        for point in curve.points:
            figures = (_mean(point.bpp, 3), _mean(point.estimated_bpp, 3, interval=False), _mean(point.psnr_db, 2))
            similar = (f"{point.psnr_pooled_db:.2f}", _mean(point.ssim, 4), _mean(point.ms_ssim, 4))
            times = (f"{point.encode_s:.3f}", f"{point.decode_s:.3f}")
            rows.append((curve.codec, point.setting, *figures, *similar, *times))
    lines = _table(rows)
    lines.append(f"means over {evaluation.images} image(s), in brackets their 95 % intervals; pooled: PSNR of the mean")
    lines[-1] += " squared error"
    lines += [
        f"{curve.codec}: encodes {curve.encode_megapixels_per_s:.3g}, decodes {curve.decode_megapixels_per_s:.3g} "
        "megapixels a second (medians)"
        for curve in evaluation.curves
    ]
    return "\n".join(lines)


def _comparisons_text(evaluation: Evaluation) -> str:
    rows = [("codec", "against", "BD-rate", "over PSNR dB", "BD-PSNR", "over bpp")]
    for one in evaluation.comparisons:
        name = f"{one.anchor} (published)" if one.published else one.anchor
        rate, psnr = _difference(one.rate, "{:+.1f} %", "{:.1f}"), _difference(one.psnr, "{:+.2f} dB", "{:.2f}")
        rows.append((one.test, name, *rate, *psnr))
    reasons = {
        f"no value for {one.test} against {one.anchor}: {one.rate.reason}"
        for one in evaluation.comparisons
        if one.rate.reason
    }
    head = "BD-rate: real bits at equal PSNR (mean of images); negative is fewer. BD-PSNR: at equal rate."
    return "\n".join([head, *_table(rows), *sorted(reasons)])


def _difference(one: CurveDifference, value: str, end: str) -> tuple[str, str]:
    if one.value is None or one.overlap is None:
        return "-", "-"
    return value.format(one.value), " to ".join(map(end.format, one.overlap))


def _drift_text(drift: Sequence[DriftPoint]) -> str:
    rows = [
        ("codec", "setting", "generation", "real bpp", "PSNR dB to original", "to previous where changed", "unchanged")
    ]
    rows += [
        (
            one.codec,
            one.setting,
            str(one.generation),
            _mean(one.bpp, 3, interval=False),
            _mean(one.psnr_db, 2, interval=False),
            _mean(one.psnr_previous_db, 2, interval=False),
            f"{one.unchanged} of {one.bpp.n}",
        )
        for one in drift
    ]
    return "\n".join(
        ["Compressed again and again at the quality of the first time; means over the images:", *_table(rows)]
    )


def _mean(mean: Mean | None, digits: int, *, interval: bool = True) -> str:
    if mean is None:
        return "-"
    text = f"{mean.value:.{digits}f}"
    if mean.interval is None or not interval:
        return text
    return f"{text} [{mean.interval[0]:.{digits}f}, {mean.interval[1]:.{digits}f}]"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
