"""An evaluation as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from miscomp.evaluate.expect import Deviation
from miscomp.evaluate.memory import MemoryRow
from miscomp.evaluate.results import DriftPoint
from miscomp.evaluate.summary import Evaluation
from miscomp.metrics.bd_rate import CurveDifference
from miscomp.report.summary import Mean
from miscomp.report.wording import one_line


def summary_text(evaluation: Evaluation) -> str:
    """Every point, BD-rates, speed, drift, memory, distances to what was published. Brackets hold 95 % intervals."""
    parts = [_points_text(evaluation)]
    if evaluation.comparisons:
        parts.append(_comparisons_text(evaluation))
    if evaluation.drift:
        parts.append(_drift_text(evaluation.drift))
    if evaluation.memory:
        parts.append(_memory_text(evaluation.memory))
    if evaluation.deviations:
        parts.append(_deviations_text(evaluation.deviations))
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


def _memory_text(rows: Sequence[MemoryRow]) -> str:
    first = rows[0]
    lines = [("codec", "setting", "encode MB", "before", "decode MB", "before")]
    for row in rows:
        encode = (_whole(row.encode_peak_mb), _whole(row.encode_before_mb))
        lines.append((row.codec, row.setting, *encode, _whole(row.decode_peak_mb), _whole(row.decode_before_mb)))
    picture = f"{one_line(first.filename)} ({first.width} x {first.height})"
    head = (
        f"Peak memory of a fresh process that encodes, or decodes, {picture}: interpreter, libraries, weights and\n"
        "pixels included; before: what it held of these just before. MB are 10^6 bytes."
    )
    return "\n".join([head, *_table(lines)])


def _whole(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _deviations_text(deviations: Sequence[Deviation]) -> str:
    figures = ("bpp", "published", "differs", "PSNR dB", "expected", "differs", "MS-SSIM dB", "expected", "differs")
    rows: list[tuple[str, ...]] = [("codec", "setting", *figures, "beyond")]
    for one in deviations:
        rate = (f"{one.bpp:.4f}", f"{one.expected_bpp:.4f}", f"{one.bpp_percent:+.2f} %")
        psnr = (f"{one.psnr_db:.3f}", f"{one.expected_psnr_db:.3f}", f"{one.psnr_difference_db:+.3f}")
        similar = (one.ms_ssim_db, one.expected_ms_ssim_db, one.ms_ssim_difference_db)
        forms = ("{:.3f}", "{:.3f}", "{:+.3f}")
        ms_ssim = ("-" if value is None else form.format(value) for value, form in zip(similar, forms, strict=True))
        rows.append((one.codec, one.setting, *rate, *psnr, *ms_ssim, ", ".join(one.beyond) or "-"))
    limits = deviations[0].tolerances
    outside = sum(bool(one.beyond) for one in deviations)
    head = (
        "Beside what was published for the same weights, means over the 24 Kodak images; expected is after rounding\n"
        "to 8 bits. The published rate has no container, ours is of whole files."
    )
    end = (
        f"{outside} of {len(deviations)} points differ by more than {limits.bpp_percent:g} % of rate, "
        f"{limits.psnr_db:g} dB of PSNR or {limits.ms_ssim_db:g} dB of MS-SSIM"
    )
    return "\n".join([head, *_table(rows), end])


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
