"""A run in figures: per codec its rate, quality and findings, with intervals because the images are a sample."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from miscomp.records import Finding, PairResult
from miscomp.report.run import Run
from miscomp.taxonomy import Category

UNCLASSIFIED = "none"
"""Stands in the counts for findings without a category."""

_Z95 = statistics.NormalDist().inv_cdf(0.975)


@dataclass(frozen=True, kw_only=True)
class Mean:
    """Mean over images with a 95 % t interval; the interval is `None` for fewer than two images."""

    value: float
    n: int
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class Share:
    """`count` of `total` with a 95 % Wilson interval of the share (both ends in 0 to 1)."""

    count: int
    total: int
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class CodecSummary:
    """One codec (model) over all its images."""

    model: str
    images: int
    megapixels: float
    bpp: Mean | None
    """Real bits per pixel, `None` when no file size is known."""
    psnr: Mean | None
    """dB, mean over the images of per-image values; identical images (infinite) are left out and counted."""
    identical: int
    """Images whose reconstruction is identical to the original."""
    findings: int
    images_with_findings: Share
    categories: Mapping[str, int]
    """Findings by main category; every category and `none` is a key."""
    symbols: int
    found_by: Mapping[str, int]
    """Findings by the source that proposed them, most first."""
    median_score: float | None

    @property
    def findings_per_megapixel(self) -> float:
        """Findings by audited area."""
        return self.findings / self.megapixels


@dataclass(frozen=True, kw_only=True)
class Summary:
    """A whole run."""

    images: int
    """Distinct originals."""
    reconstructions: int
    findings: int
    codecs: tuple[CodecSummary, ...]
    """In order of first appearance."""
    failures: int
    unmatched: int


def mean_interval(values: Sequence[float], *, low: float = -math.inf) -> Mean:
    """Mean of finite values and its 95 % t interval, cut at `low` where nothing below is possible."""
    n = len(values)
    value = math.fsum(values) / n
    if n < 2:
        return Mean(value=value, n=n, interval=None)
    half = float(stdtrit(n - 1, 0.975)) * statistics.stdev(values) / math.sqrt(n)
    return Mean(value=value, n=n, interval=(max(value - half, low), value + half))


def wilson(count: int, total: int) -> Share:
    """95 % interval of a share (Wilson 1927); with a total of 0 it is the whole range."""
    if not 0 <= count <= total:
        raise ValueError(f"a share needs 0 <= count <= total, got {count} of {total}")
    if total == 0:
        return Share(count=0, total=0, interval=(0.0, 1.0))
    return Share(count=count, total=total, interval=wilson_interval(count / total, total))


def wilson_interval(share: float, total: float) -> tuple[float, float]:
    """95 % interval of a share (0 to 1) seen in `total` (above 0, fractions allowed) independent cases."""
    z2 = _Z95 * _Z95
    center = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = _Z95 / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total))
    # Exact ends: rounding would otherwise leave 1e-17 where the formula gives 0 or 1.
    return 0.0 if share == 0 else center - half, 1.0 if share == 1 else center + half


def main_category(finding: Finding) -> str:
    """The first category of a finding, or `none`."""
    categories = finding.annotation.categories
    return categories[0].value if categories else UNCLASSIFIED


def summarise(run: Run) -> Summary:
    """Count and average a run."""
    by_model: dict[str, list[PairResult]] = {}
    for result in run.results:
        by_model.setdefault(result.row.model, []).append(result)
    return Summary(
        images=len({(r.row.image_sha1, r.row.filename) for r in run.results}),
        reconstructions=len(run.results),
        findings=sum(len(r.findings) for r in run.results),
        codecs=tuple(_codec(model, results) for model, results in by_model.items()),
        failures=len(run.failures),
        unmatched=len(run.unmatched),
    )


def _codec(model: str, results: Sequence[PairResult]) -> CodecSummary:
    findings = [finding for result in results for finding in result.findings]
    bpp = [r.row.bpp for r in results if r.row.bpp is not None]
    psnr = [r.row.psnr for r in results if r.row.psnr is not None]
    finite = [value for value in psnr if math.isfinite(value)]
    scores = [f.annotation.score for f in findings if f.annotation.score is not None]
    counted = Counter(main_category(f) for f in findings)
    sources = Counter(f.found_by for f in findings)
    return CodecSummary(
        model=model,
        images=len(results),
        megapixels=sum(r.row.width * r.row.height for r in results) / 1e6,
        bpp=mean_interval(bpp, low=0.0) if bpp else None,
        psnr=mean_interval(finite, low=0.0) if finite else None,
        identical=len(psnr) - len(finite),
        findings=len(findings),
        images_with_findings=wilson(sum(1 for r in results if r.findings), len(results)),
        categories={name: counted[name] for name in [*(c.value for c in Category), UNCLASSIFIED]},
        symbols=sum(1 for f in findings if f.annotation.symbol),
        found_by=dict(sorted(sources.items(), key=lambda item: (-item[1], item[0]))),
        median_score=statistics.median(scores) if scores else None,
    )


def summary_text(summary: Summary) -> str:
    """A plain table for a terminal, one line per codec, and what was not audited."""
    header = (
        "codec",
        "images",
        "Mpx",
        "mean real bpp",
        "mean PSNR dB",
        "findings",
        "per Mpx",
        "images with any",
        "symbols",
    )
    rows = [header, *(_text_row(codec) for codec in summary.codecs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    lines.append(
        f"{summary.images} image(s), {summary.reconstructions} reconstruction(s): {summary.findings} place(s) that"
        f" may have changed in meaning, {summary.failures} failure(s), {summary.unmatched} unmatched file(s)"
    )
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _text_row(codec: CodecSummary) -> tuple[str, ...]:
    low, high = codec.images_with_findings.interval
    share = f"{codec.images_with_findings.count} of {codec.images_with_findings.total}"
    identical = f", {codec.identical} identical" if codec.identical else ""
    return (
        "".join(c if c.isprintable() else "?" for c in codec.model),
        str(codec.images),
        f"{codec.megapixels:.1f}",
        _text_mean(codec.bpp, 3),
        _text_mean(codec.psnr, 2) + identical,
        str(codec.findings),
        f"{codec.findings_per_megapixel:.2f}",
        f"{share} [{low:.0%}, {high:.0%}]",
        str(codec.symbols),
    )


def _text_mean(mean: Mean | None, digits: int) -> str:
    if mean is None:
        return "-"
    if mean.interval is None:
        return f"{mean.value:.{digits}f}"
    return f"{mean.value:.{digits}f} [{mean.interval[0]:.{digits}f}, {mean.interval[1]:.{digits}f}]"
