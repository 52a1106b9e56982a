"""An evaluation in figures, and as a record for programs (`summary.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from miscomp.evaluate.compare import Comparison
from miscomp.evaluate.expect import Deviation
from miscomp.evaluate.measure import GenerationRow, MeasuredRow
from miscomp.evaluate.memory import MemoryRow
from miscomp.evaluate.published import PublishedCurve, source
from miscomp.evaluate.results import Curve, DriftPoint, Point, finite, mean_record
from miscomp.records import Failure


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
    memory: tuple[MemoryRow, ...] = ()
    """Of each setting, on one picture."""
    deviations: tuple[Deviation, ...] = ()
    """Every point beside the published one, where that was asked for."""
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
        "published_source": source() if evaluation.published or evaluation.deviations else None,
        "deviations_from_published": [_deviation_record(one) for one in evaluation.deviations],
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
        "memory": None if point.memory is None else _memory_record(point.memory),
    }


def _memory_record(row: MemoryRow) -> dict[str, Any]:
    return {
        "picture": row.filename,
        "width": row.width,
        "height": row.height,
        "encode_process_peak_mb": row.encode_peak_mb,
        "encode_process_before_coding_mb": row.encode_before_mb,
        "decode_process_peak_mb": row.decode_peak_mb,
        "decode_process_before_coding_mb": row.decode_before_mb,
    }


def _deviation_record(one: Deviation) -> dict[str, Any]:
    return {
        "codec": one.codec,
        "setting": one.setting,
        "real_bpp": one.bpp,
        "published_bpp": one.expected_bpp,
        "bpp_difference_percent": one.bpp_percent,
        "psnr_db": finite(one.psnr_db),
        "expected_psnr_db": one.expected_psnr_db,
        "expected_psnr_from": one.psnr_of,
        "psnr_difference_db": finite(one.psnr_difference_db),
        "ms_ssim_db": finite(one.ms_ssim_db),
        "expected_ms_ssim_db": one.expected_ms_ssim_db,
        "ms_ssim_difference_db": finite(one.ms_ssim_difference_db),
        "tolerances": {
            "bpp_percent": one.tolerances.bpp_percent,
            "psnr_db": one.tolerances.psnr_db,
            "ms_ssim_db": one.tolerances.ms_ssim_db,
        },
        "beyond": list(one.beyond),
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
