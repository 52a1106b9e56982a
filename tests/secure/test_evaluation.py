"""Means and published figures. Oracles: arithmetic by hand; rows copied from the paper's tables."""

from __future__ import annotations

import json
import math

import pytest

from miscomp.report.summary import Mean
from miscomp.secure.evaluation import Group, make_coding, mean_of, published_of
from miscomp.secure.evaluation_store import EvaluationFolder
from miscomp.secure.published import PUBLISHED
from miscomp.secure.trials import CodedRow


def test_a_mean_leaves_out_what_is_undefined_and_keeps_infinity() -> None:
    assert mean_of([]) is None and mean_of([None, math.nan]) is None
    assert mean_of([3.0, None, math.nan]) == Mean(value=3.0, n=1, interval=None)
    assert mean_of([1.0, math.inf]) == Mean(value=math.inf, n=2, interval=None)


def test_the_interval_is_of_a_bootstrap_over_pictures() -> None:
    same = mean_of([2.0] * 5)
    assert same == Mean(value=2.0, n=5, interval=(2.0, 2.0))
    two = mean_of([0.0, 1.0])  # both drawn alike with chance 1/4 each side
    assert two == Mean(value=0.5, n=2, interval=(0.0, 1.0))
    many = mean_of([float(value) for value in range(100)])
    assert many is not None and many.interval is not None and many.value == 49.5
    half = 1.96 * math.sqrt((100**2 - 1) / 12 / 100)  # the normal approximation
    assert many.interval == pytest.approx((49.5 - half, 49.5 + half), abs=0.5)


def test_costs_are_taken_picture_by_picture() -> None:
    def row(bpp: float, psnr: float, base_bpp: float, same_rate: float | None) -> CodedRow:
        return CodedRow(filename="a", width=1, height=1, codec="c", bpp=bpp, psnr_db=psnr, ms_ssim=None, base="b",
                        base_bpp=base_bpp, base_psnr_db=35.0, base_rate_psnr_db=same_rate)  # fmt: skip

    coding = make_coding([row(1.1, 30, 1.0, 31), row(4.0, 40, 5.0, None)])
    assert coding is not None and coding.rate_percent is not None and coding.same_rate_psnr_db is not None
    assert coding.rate_percent.value == pytest.approx((10 - 20) / 2) and coding.rate_percent.n == 2
    assert coding.same_rate_psnr_db == Mean(value=-1.0, n=1, interval=None)
    assert coding.ms_ssim is None and make_coding([]) is None


def test_published_figures_belong_to_the_codec_s_own_quality_and_its_edits() -> None:
    def group(edit: str, *, picture: str = "coded", again: float = 8, along_curve: bool = False) -> Group:
        return Group(picture=picture, edit=edit, quality=8 if picture == "coded" else None, again_quality=again,
                     along_curve=along_curve, pictures=24, means={}, highest_psnr=(1.0, "a"), least_lost=None,
                     words=None, words_read_again=None)  # fmt: skip

    jpeg = dict(published_of(group("jpeg"), PUBLISHED))
    assert jpeg == {
        "Balle2018 + LPIPS": 8.69, "Balle2018 + DISTS": 7.29, "Minnen2018 + LPIPS": 11.55, "Cheng2020 + LPIPS": 8.19
    }  # fmt: skip
    again = dict(published_of(group("none"), PUBLISHED))
    assert again["Balle2018 + MSE"] == 47.87 and again["Balle2018 + NLPD"] == 30.64 and len(again) == 9
    assert dict(published_of(group("affine"), PUBLISHED))["Balle2018 + DISTS"] == 9.68
    for other in (
        group("webp"),
        group("none", picture="uncoded"),
        group("none", again=1),
        group("none", along_curve=True),
    ):
        assert published_of(other, PUBLISHED) == []


def test_a_damaged_line_of_the_journal_is_dropped(tmp_path_factory: pytest.TempPathFactory) -> None:
    store = EvaluationFolder(tmp_path_factory.mktemp("out"))
    coded = {"filename": "a", "width": 1, "height": 1, "codec": "c", "bpp": 1, "psnr_db": math.inf, "ms_ssim": None}
    whole: dict[str, object] = {
        "key": "k",
        "coded": coded,
        "trials": [],
        "curve": [],
        "failures": [{"name": "a", "reason": "b"}],
    }
    wrong = [{**whole, "key": "w", "coded": {**coded, "bpp": "1"}}, {**whole, "coded": {"filename": "a"}}, [1], "x"]
    lines = [json.dumps(one) + "\n" for one in (whole, *wrong)]
    (store.path / "journal.jsonl").write_text("".join(lines) + json.dumps(whole))
    loaded = store.load()
    assert list(loaded) == ["k"] and loaded["k"].coded.psnr_db == math.inf and loaded["k"].failures[0].reason == "b"
    assert (store.path / "journal.jsonl").read_text() == lines[0]
