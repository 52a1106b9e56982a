from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from miscomp.codecs.spec import CodecSpec
from miscomp.evaluate.compare import compare
from miscomp.evaluate.measure import GenerationRow, MeasuredRow
from miscomp.evaluate.published import published_curves
from miscomp.evaluate.results import compressai_record, make_curves, make_drift, pooled_psnr

ROW = MeasuredRow(
    filename="a.png", width=1000, height=500, codec="jpeg", setting="q5", quality=5.0, bpp=0.5, estimated_bpp=None,
    psnr_db=30.0, ssim=0.9, ms_ssim=0.95, encode_s=0.1, decode_s=0.05,
)  # fmt: skip
SPECS = [CodecSpec("jpeg", quality=5), CodecSpec("jpeg", quality=10), CodecSpec("webp", quality=5)]


def test_means_are_over_images_and_pooling_is_of_the_squared_error() -> None:
    rows = [ROW, replace(ROW, filename="b.png", bpp=0.7, psnr_db=40.0, ms_ssim=0.99)]
    (curve,) = make_curves(rows, SPECS[:1])
    (point,) = curve.points
    assert (point.bpp.n, point.psnr_db.value) == (2, 35.0) and point.bpp.value == pytest.approx(0.6)
    # Oracle: by hand. Errors of 1e-3 and 1e-4 have the mean 5.5e-4.
    assert point.psnr_pooled_db == pytest.approx(-10 * math.log10(5.5e-4))
    assert point.ms_ssim_db == pytest.approx(-10 * math.log10(0.03))
    # Oracle: Student's t with one degree of freedom at 0.975 is 12.706; the standard error of 0.5 and 0.7 is 0.1.
    assert point.bpp.interval is not None and point.bpp.interval[0] == 0.0
    assert point.bpp.interval[1] == pytest.approx(0.6 + 1.2706, abs=1e-4)
    assert point.ms_ssim is not None and point.ms_ssim.interval is not None and point.ms_ssim.interval[1] == 1.0
    assert (curve.encode_megapixels_per_s, curve.decode_megapixels_per_s) == pytest.approx((5.0, 10.0))


def test_a_picture_without_loss_makes_the_mean_infinite_and_the_pooled_one_not() -> None:
    (curve,) = make_curves([ROW, replace(ROW, psnr_db=math.inf)], SPECS[:1])
    (point,) = curve.points
    assert (point.psnr_db.value, point.psnr_db.interval) == (math.inf, None)
    assert point.psnr_pooled_db == pytest.approx(30 + 10 * math.log10(2))
    assert pooled_psnr([math.inf]) == math.inf
    assert compressai_record(curve)["results"]["psnr-rgb"] == [None]


def test_what_one_image_lacks_is_no_mean_over_the_others() -> None:
    rows = [replace(ROW, estimated_bpp=0.4), replace(ROW, ms_ssim=None)]
    (curve,) = make_curves(rows, SPECS[:1])
    assert curve.points[0].estimated_bpp is None and curve.points[0].ms_ssim is None
    assert "ms-ssim-rgb" not in compressai_record(curve)["results"]


def test_curves_follow_the_request_and_points_their_rate() -> None:
    rows = [replace(ROW, codec="webp"), replace(ROW, setting="q10", bpp=0.8, psnr_db=33.0), ROW]
    curves = make_curves(rows, SPECS)
    assert [curve.codec for curve in curves] == ["jpeg", "webp"]
    assert [point.setting for point in curves[0].points] == ["q5", "q10"]
    assert make_curves([], SPECS) == ()


def test_a_record_has_compressai_s_layout_and_one_value_per_setting() -> None:
    rows = [replace(ROW, estimated_bpp=0.4), replace(ROW, setting="q10", bpp=0.8, psnr_db=33.0, estimated_bpp=0.7)]
    record = json.loads(json.dumps(compressai_record(make_curves(rows, SPECS)[0]), allow_nan=False))
    assert record["name"] == "jpeg" and record["images"] == 1 and record["settings"] == ["q5", "q10"]
    results = record["results"]
    assert {"psnr-rgb", "ms-ssim-rgb", "bpp", "encoding_time", "decoding_time"} <= set(results)
    assert {len(values) for values in results.values()} == {2}
    assert results["bpp"] == [0.5, 0.8] and results["bpp-estimated"] == [0.4, 0.7]
    assert results["encoding_time"] == pytest.approx([0.1, 0.1])


def test_every_codec_is_compared_with_every_other_and_with_published_ones() -> None:
    rows = [
        replace(ROW, codec=codec, setting=f"q{step}", bpp=factor * 0.2 * step, psnr_db=25.0 + 2 * step)
        for codec, factor in (("jpeg", 1.0), ("webp", 0.5))
        for step in (1, 2, 3, 4)
    ]
    specs = [CodecSpec("jpeg", quality=1), CodecSpec("webp", quality=1)]
    published = [published_curves()[name] for name in ("jpeg", "paper-elic2022-ms-ssim")]
    found = compare(make_curves(rows, specs), published)
    # Oracle: half the rate everywhere; the curve without PSNR cannot be an anchor.
    assert [(one.test, one.anchor, one.published) for one in found] == [
        ("jpeg", "webp", False), ("jpeg", "jpeg", True), ("webp", "jpeg", False), ("webp", "jpeg", True)
    ]  # fmt: skip
    assert [found[0].rate.value, found[2].rate.value] == pytest.approx([100, -50])
    assert found[2].psnr.value is not None and found[2].psnr.value > 0


def test_drift_is_a_mean_for_each_generation_with_the_images_that_no_longer_change() -> None:
    first = GenerationRow(
        filename="a", codec="jpeg", setting="q5", quality=5, generation=1, bpp=0.5, psnr_db=30, psnr_previous_db=30
    )
    rows = [
        first,
        replace(first, generation=2, psnr_db=29.0, psnr_previous_db=math.inf),
        replace(first, filename="b", psnr_db=32.0),
        replace(first, filename="b", generation=2, psnr_db=31.0, psnr_previous_db=45.0),
    ]
    one, two = make_drift(rows)
    assert (one.generation, one.psnr_db.value, one.unchanged) == (1, 31.0, 0)
    assert (two.generation, two.psnr_db.value, two.unchanged) == (2, 30.0, 1)
    assert two.psnr_previous_db is not None and (two.psnr_previous_db.value, two.psnr_previous_db.n) == (45.0, 1)
    (still,) = make_drift([replace(first, psnr_previous_db=math.inf)])
    assert still.psnr_previous_db is None and still.unchanged == 1


def test_a_quality_that_all_images_share_is_its_own_mean() -> None:
    # Oracle: the decimal fraction itself; adding it up three times in floating point gives 0.6670000000000001.
    (curve,) = make_curves([replace(ROW, filename=name, quality=0.667) for name in "abc"], SPECS[:1])
    assert curve.points[0].quality == 0.667


def test_a_line_joins_points_of_one_kind_only() -> None:
    measured = [("q1", 0.2, 28.0), ("0.25bpp", 0.25, 29.5), ("q2", 0.3, 29.0), ("q3", 0.4, 31.0)]
    rows = [replace(ROW, setting=setting, bpp=bpp, psnr_db=psnr_db) for setting, bpp, psnr_db in measured]
    (curve,) = make_curves(rows, SPECS[:1])
    assert [point.setting for point in curve.points] == ["q1", "0.25bpp", "q2", "q3"]
    # By hand: three qualities against one rate.
    assert [point.setting for point in curve.line] == ["q1", "q2", "q3"]
    assert compressai_record(curve)["results"]["bpp"] == [0.2, 0.3, 0.4]
    seeded = [replace(row, setting=f"{row.setting}+seed3") for row in rows]
    assert [point.setting for point in make_curves(seeded, SPECS[:1])[0].line] == ["q1+seed3", "q2+seed3", "q3+seed3"]
    (rates,) = make_curves(rows[1:2], SPECS[:1])
    assert [point.setting for point in rates.line] == ["0.25bpp"]
