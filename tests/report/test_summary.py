"""Summary figures against numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from report_sample import MODELS, MakeRun
from scipy import stats

from miscomp.report.run import Run
from miscomp.report.summary import mean_interval, summarise, summary_text, wilson


def test_the_summary_of_the_sample_has_the_figures_counted_by_hand(make_run: MakeRun, tmp_path: Path) -> None:
    summary = summarise(make_run(tmp_path))
    assert (summary.images, summary.reconstructions, summary.findings) == (5, 10, 24)
    assert (summary.failures, summary.unmatched) == (1, 1)
    lucid = summary.codecs[0]
    assert tuple(codec.model for codec in summary.codecs) == MODELS
    # Five images of 128 x 96; four of them changed, three findings each: one per main category, one with text.
    assert lucid.megapixels == pytest.approx(5 * 128 * 96 / 1e6)
    assert (lucid.images, lucid.findings, lucid.symbols, lucid.identical) == (5, 12, 4, 1)
    assert lucid.categories == {"AMPLITUDE": 4, "GEOMETRY": 4, "SHAPE": 4, "none": 0}
    assert lucid.found_by == {"change": 4, "object": 4, "text": 4}
    assert (lucid.images_with_findings.count, lucid.images_with_findings.total) == (4, 5)
    assert lucid.findings_per_megapixel == pytest.approx(12 / (5 * 128 * 96 / 1e6))
    # Scores are 0.9, 0.7, 0.5 less 0, 0.01, 0.02, 0.03: the median lies between 0.68 and 0.69.
    assert lucid.median_score == pytest.approx(0.685)
    # bpp 0.25, 0.26, 0.27, 0.28, 0.29: mean 0.27, s = 0.0158114, t(4) = 2.776445, half width 0.0196324.
    assert lucid.bpp is not None and lucid.bpp.interval is not None
    assert lucid.bpp.value == pytest.approx(0.27)
    assert lucid.bpp.interval == pytest.approx((0.2503676, 0.2896324), abs=1e-6)
    # PSNR 30, 31, 32, 33 dB and one identical image, which has none.
    assert lucid.psnr is not None and (lucid.psnr.value, lucid.psnr.n) == (31.5, 4)


def test_a_mean_of_one_image_has_no_interval() -> None:
    assert mean_interval([3.0]).interval is None


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = [0.11, 0.52, 0.31, 0.27]
    expected = stats.t.interval(0.95, 3, loc=sum(values) / 4, scale=stats.sem(values))
    assert mean_interval(values).interval == pytest.approx(expected)
    low = mean_interval([0.01, 0.5], low=0.0).interval
    assert low is not None and low[0] == 0.0


@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 10), (10, 10), (3, 7), (81, 263)])
def test_the_interval_of_a_share_is_scipys_wilson(count: int, total: int) -> None:
    expected = stats.binomtest(count, total).proportion_ci(0.95, method="wilson")
    assert wilson(count, total).interval == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_nothing_is_unknown_and_an_impossible_one_is_refused() -> None:
    assert wilson(0, 0).interval == (0.0, 1.0)
    with pytest.raises(ValueError, match="3 of 2"):
        wilson(3, 2)


def test_an_empty_run_has_a_summary() -> None:
    summary = summarise(Run(version="1", settings={}, results=(), failures=(), unmatched=(), detector="d"))
    assert (summary.images, summary.findings, summary.codecs) == (0, 0, ())
    assert "0 image(s)" in summary_text(summary)


def test_the_text_says_what_its_numbers_are_and_claims_no_change(make_run: MakeRun, tmp_path: Path) -> None:
    text = summary_text(summarise(make_run(tmp_path)))
    lines = text.splitlines()
    assert "mean real bpp" in lines[0] and "mean PSNR dB" in lines[0]
    assert lines[1].startswith("lucid@0.25bpp") and "0.270 [0.250, 0.290]" in lines[1] and "4 of 5" in lines[1]
    assert "may have changed" in lines[-1] and "1 failure(s), 1 unmatched" in lines[-1]
    assert "inf" not in text
