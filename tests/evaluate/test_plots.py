"""Plots. Oracles: the text that an SVG holds when its letters are kept as text, and bytes that do not change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from miscomp.codecs.catalog import CODECS
from miscomp.evaluate import plots as evaluate_plots
from miscomp.evaluate.memory import MemoryRow
from miscomp.evaluate.plots import draw_curves, draw_drift, draw_memory
from miscomp.evaluate.published import published_curves
from miscomp.evaluate.results import Curve, DriftPoint, Point
from miscomp.report import plots
from miscomp.report.summary import Mean

pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")


def mean(value: float) -> Mean:
    return Mean(value=value, n=3, interval=None)


def curve(codec: str, lift_db: float) -> Curve:
    points = tuple(
        Point(
            setting=f"q{step}", quality=step, bpp=mean(0.2 * step), estimated_bpp=None,
            psnr_db=mean(26 + 2.0 * step + lift_db), psnr_pooled_db=25 + 2.0 * step, ssim=mean(0.9),
            ms_ssim=mean(1 - 0.1 / step), encode_s=0.1, decode_s=0.1,
        )
        for step in (1, 2, 3, 4)
    )  # fmt: skip
    return Curve(codec=codec, images=3, points=points, encode_megapixels_per_s=1.0, decode_megapixels_per_s=1.0)


CURVES = (curve("jpeg", 0.0), curve("lucid", 3.0))


@pytest.fixture
def texts_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plots, "_STYLE", {**plots._STYLE, "svg.fonttype": "none"})


def texts(path: Path) -> list[str]:
    return [element.text or "" for element in ElementTree.parse(path).iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.usefixtures("texts_kept")
def test_a_plot_names_axes_curves_images_and_what_is_published(tmp_path: Path) -> None:
    published = [published_curves()[name] for name in ("vtm", "mbt2018-mean-8bit")]
    draw_curves(CURVES, published, "psnr", tmp_path / "plots" / "psnr")
    found = texts(tmp_path / "plots" / "psnr.svg")
    wanted = {"Rate (bits per pixel)", "PSNR (dB, mean of images)", "jpeg", "lucid", "vtm (published)"}
    assert wanted <= set(found) and "3 images; real bits of whole files; dashed: as published" in found
    assert found.index("lucid") < found.index("vtm (published)") < found.index("mbt2018-mean-8bit (published)")
    draw_curves(CURVES[:1], published, "ms-ssim", tmp_path / "ms")
    found = texts(tmp_path / "ms.svg")
    assert "MS-SSIM (dB, of the mean of images)" in found and "mbt2018-mean-8bit (published)" not in found


def test_the_same_figures_give_the_same_bytes_without_date_or_version(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_curves(CURVES, [published_curves()["vtm"]], "psnr", tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    with Image.open(tmp_path / "one.png") as image:
        assert image.size == (1344, 864) and "Software" not in image.info
    assert b"dc:date" not in (tmp_path / "one.svg").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "one.svg", "two.png", "two.svg"]


def test_what_cannot_be_drawn_draws_nothing(tmp_path: Path) -> None:
    lossless = replace(CURVES[0].points[0], psnr_db=mean(float("inf")), ms_ssim=None)
    draw_curves((), (), "psnr", tmp_path / "a")
    draw_curves((replace(CURVES[0], points=(lossless,)),), (), "psnr", tmp_path / "a")
    draw_curves((replace(CURVES[0], points=(lossless,)),), (), "ms-ssim", tmp_path / "a")
    draw_drift((), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("texts_kept")
def test_drift_has_one_line_a_setting_and_one_name_a_codec(tmp_path: Path) -> None:
    drift = [
        DriftPoint(
            codec=codec, setting=setting, generation=generation, bpp=mean(0.5), psnr_db=mean(30.0 - generation),
            psnr_previous_db=mean(40.0), unchanged=0,
        )
        for codec, setting in (("jpeg", "q5"), ("jpeg", "q50"), ("webp", "0.3bpp"))
        for generation in (1, 2, 3)
    ]  # fmt: skip
    draw_drift(drift, tmp_path / "drift")
    found = texts(tmp_path / "drift.svg")
    assert [found.count(name) for name in ("jpeg", "webp", "q5", "q50", "0.3bpp")] == [1] * 5


def test_every_codec_of_the_registry_has_a_look_of_its_own() -> None:
    looks = [evaluate_plots._look(name) for name in CODECS.names]
    assert len(set(looks)) == len(CODECS)
    # Those whose files need no weights of a user's are told apart by colour alone.
    assert len({colour for colour, _ in looks[:6]}) == len({marker for _, marker in looks[:6]}) == 6


@pytest.mark.usefixtures("texts_kept")
def test_the_plot_of_memory_has_both_peaks_of_the_setting_that_takes_most(tmp_path: Path) -> None:
    low = MemoryRow(
        filename="a.png", width=30, height=20, codec="jpeg", setting="q5", quality=5, encode_peak_mb=40.0,
        encode_before_mb=None, decode_peak_mb=52.0, decode_before_mb=41.0,
    )  # fmt: skip
    rows = [low, replace(low, setting="q9", encode_peak_mb=61.0), replace(low, codec="lucid", encode_peak_mb=400.0)]
    draw_memory((), tmp_path / "none")
    draw_memory(rows, tmp_path / "memory")
    found = texts(tmp_path / "memory.svg")
    assert {"jpeg", "lucid", "encode 61", "encode 400", "decode 52"} <= set(found) and "encode 40" not in found
    assert any(text.startswith("30 x 20 pixels; fresh processes, whole; pale: before coding") for text in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["memory.png", "memory.svg"]
