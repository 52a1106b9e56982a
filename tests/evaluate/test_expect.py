"""Measured points beside published ones. Oracles: the shipped file's own figures, and sums done by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from ramps import noisy_ramps
from typer.testing import CliRunner

from miscomp.cli.app import app
from miscomp.codecs.catalog import CODECS, open_codec
from miscomp.codecs.spec import parse_spec
from miscomp.errors import UsageError
from miscomp.evaluate.expect import (
    EXPECTED,
    Tolerances,
    check_expected,
    deviations,
    rounded_ms_ssim_db,
    rounded_psnr_db,
)
from miscomp.evaluate.measure import MeasuredRow
from miscomp.evaluate.published import published_curves
from miscomp.evaluate.results import Curve, make_curves
from miscomp.evaluate.run import EvaluateOptions, run_evaluation
from miscomp.evaluate.summary import summary_record
from miscomp.evaluate.summary_text import summary_text

LIMITS = Tolerances()


def measured(codec: str, quality: int, *, bpp: float, psnr_db: float, ms_ssim: float) -> Curve:
    """Two images that lie around a mean."""
    row = MeasuredRow(
        filename="a.png", width=768, height=512, codec=codec, setting=f"q{quality}", quality=quality, bpp=bpp - 0.01,
        estimated_bpp=None, psnr_db=psnr_db - 1, ssim=0.9, ms_ssim=ms_ssim - 0.001, encode_s=1.0, decode_s=1.0,
    )  # fmt: skip
    other = replace(row, filename="b.png", bpp=bpp + 0.01, psnr_db=psnr_db + 1, ms_ssim=ms_ssim + 0.001)
    return make_curves([row, other], [parse_spec(f"{codec}@q{quality}")])[0]


def test_the_published_curves_have_one_point_for_each_quality_of_the_codec() -> None:
    for name in EXPECTED:
        curve = published_curves()[name]
        assert len(curve.bpp) == CODECS[name].qualities.high and CODECS[name].qualities.low == 1
        assert CODECS[name].qualities.integer and curve.psnr_db and curve.ms_ssim_db
        # Oracle: what the defaults of the tolerances are argued from.
        assert min(b / a for a, b in pairwise(curve.bpp)) > 1.3
        assert min(b - a for a, b in pairwise(curve.psnr_db)) > 0.6
        assert 320 / (768 * 512) / curve.bpp[0] < 0.01


def test_what_rounding_takes_from_psnr_gives_the_published_8_bit_figures() -> None:
    compared = 0
    for name in EXPECTED:
        if name + "-8bit" in published_curves():
            floats, rounded = published_curves()[name].psnr_db, published_curves()[name + "-8bit"].psnr_db
            assert floats is not None and rounded is not None
            assert [rounded_psnr_db(value) for value in floats] == pytest.approx(list(rounded), abs=0.002)
            compared += len(rounded)
    assert compared == 36


def test_what_rounding_takes_from_ms_ssim_is_a_constant_share_of_it() -> None:
    # By hand: 0.99 loses 8e-5.
    assert rounded_ms_ssim_db(20.0) == pytest.approx(-10 * math.log10(0.01 + 8e-5))


def test_a_point_as_published_lies_within_and_says_where_its_target_is_from() -> None:
    # Oracle: the file's fourth point, from which 8e-5 is taken.
    (one,) = deviations([measured("mbt2018-mean", 4, bpp=0.46061, psnr_db=32.939, ms_ssim=0.9752 - 8e-5)], LIMITS)
    assert (one.expected_bpp, one.expected_psnr_db, one.psnr_of) == (0.46061, 32.939, "mbt2018-mean-8bit")
    assert one.bpp_percent == pytest.approx(0, abs=1e-9) and one.psnr_difference_db == pytest.approx(0, abs=1e-9)
    assert one.ms_ssim_difference_db == pytest.approx(0, abs=1e-3) and one.beyond == ()


def test_where_no_8_bit_curve_is_published_rounding_is_taken_off() -> None:
    curve = published_curves()["bmshj2018-factorized"]
    assert curve.psnr_db is not None
    (one,) = deviations([measured("bmshj2018-factorized", 8, bpp=1.8, psnr_db=39.58, ms_ssim=0.995)], LIMITS)
    # By hand: 39.62131 dB is a mean squared error of 7.0948, to which 1/12 is added.
    assert one.expected_psnr_db == pytest.approx(39.5706, abs=1e-3) and one.psnr_of == "bmshj2018-factorized"
    assert one.bpp_percent == pytest.approx(100 * (1.8 / 1.83327 - 1))


@pytest.mark.parametrize(
    ("change", "beyond"),
    [
        ({"bpp": 1.0098}, ()),
        ({"bpp": 1.0102}, ("bpp",)),
        ({"bpp": 0.9898}, ("bpp",)),
        ({"psnr_db": 0.049}, ()),
        ({"psnr_db": 0.051}, ("PSNR",)),
        ({"psnr_db": -0.051}, ("PSNR",)),
        ({"ms_ssim_db": -0.06}, ("MS-SSIM",)),
        ({"bpp": 2.0, "psnr_db": 3.0, "ms_ssim_db": 1.0}, ("bpp", "PSNR", "MS-SSIM")),
    ],
)
def test_a_point_differs_either_way_by_more_than_each_tolerance(
    change: dict[str, float], beyond: tuple[str, ...]
) -> None:
    ms_ssim_db = rounded_ms_ssim_db(-10 * math.log10(1 - 0.9752)) + change.get("ms_ssim_db", 0.0)
    curve = measured(
        "mbt2018-mean", 4, bpp=0.46061 * change.get("bpp", 1.0), psnr_db=32.939 + change.get("psnr_db", 0.0),
        ms_ssim=1 - 10 ** (-ms_ssim_db / 10),
    )  # fmt: skip
    (one,) = deviations([curve], LIMITS)
    assert one.beyond == beyond
    (one,) = deviations([curve], Tolerances(bpp_percent=200, psnr_db=5, ms_ssim_db=5))
    assert one.beyond == ()


def test_only_codecs_at_qualities_with_a_published_point_can_be_asked_for(tmp_path: Path) -> None:
    for text in ("jpeg@q75", "lucid@q0.5", "mbt2018@0.25bpp", "stf@q1"):
        with pytest.raises(UsageError, match=rf"no published point for {text}.*mbt2018 \(8\).*cheng2020-attn \(6\)"):
            check_expected([parse_spec("mbt2018@q8"), parse_spec(text)], [])
    noisy_ramps(tmp_path / "photos")
    with pytest.raises(UsageError, match="these 2 are not those"):
        check_expected([parse_spec("mbt2018@q8")], sorted((tmp_path / "photos").iterdir()))
    with pytest.raises(UsageError, match="tolerance must be a number of 0 or more, got -1"):
        Tolerances(bpp_percent=-1)
    with pytest.raises(UsageError, match="got nan for psnr_db"):
        Tolerances(psnr_db=math.nan)


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Photos that pass for Kodak's, and JPEG behind the name of a codec whose weights are not here."""
    row = replace(CODECS["jpeg"], name="mbt2018")
    monkeypatch.setitem(CODECS._rows, "mbt2018", row)
    monkeypatch.setattr("miscomp.evaluate.expect.is_kodak", lambda images: True)
    open_codec.cache_clear()
    photos = noisy_ramps(tmp_path / "photos")
    yield photos
    open_codec.cache_clear()


def test_a_run_compares_tells_what_differs_and_leaves_with_1(stand_in: Path, tmp_path: Path) -> None:
    arguments = ["evaluate", str(stand_in), "--codec", "mbt2018@q1", "--expect", "published", "--no-plots"]
    arguments += ["--no-memory", "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1, result.output
    assert "differs from what was published: mbt2018@q1: bpp, PSNR" in result.stderr
    assert "1 of 1 points differ by more than 1 % of rate, 0.05 dB of PSNR or 0.05 dB of MS-SSIM" in result.stdout
    wide = ["--tolerance-bpp", "1e6", "--tolerance-psnr", "100", "--tolerance-ms-ssim", "100"]
    result = CliRunner().invoke(app, [*arguments, *wide])
    assert result.exit_code == 0 and "0 of 1 points differ" in result.stdout and "differs" not in result.stderr


def test_a_record_has_every_difference_and_an_image_that_fails_leaves_no_comparison(
    stand_in: Path, tmp_path: Path
) -> None:
    options = EvaluateOptions(expect=Tolerances(psnr_db=0.1), memory=False, plots=False)
    evaluation = run_evaluation([stand_in], [parse_spec("mbt2018@q1")], tmp_path / "out", options)
    (record,) = summary_record(evaluation)["deviations_from_published"]
    point = evaluation.curves[0].points[0]
    assert record["real_bpp"] == point.bpp.value and record["published_bpp"] == 0.11053
    assert record["psnr_difference_db"] == pytest.approx(point.psnr_db.value - 28.085)
    # These pictures are too small for MS-SSIM, so it is neither known nor beyond.
    assert record["ms_ssim_db"] is None and record["ms_ssim_difference_db"] is None
    assert record["beyond"] == ["bpp", "PSNR"] and record["tolerances"]["psnr_db"] == 0.1
    assert np.isfinite(record["bpp_difference_percent"]) and "mbt2018" in summary_text(evaluation)
    (stand_in / "broken.png").write_bytes(b"no picture")
    evaluation = run_evaluation([stand_in], [parse_spec("mbt2018@q1")], tmp_path / "part", options)
    assert evaluation.deviations == () and evaluation.failures
    assert any("published curves are left out" in note for note in evaluation.notes)
