"""A whole evaluation with codecs of known answers. Oracles: numpy's arithmetic, counts of files and of calls."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted import ScriptedReader, line
from self_destroying import Honest, Inverting, honest, inverting
from tiny_lucid import tiny_weights

from miscomp.codecs.lucid import Lucid
from miscomp.errors import UnknownName, UsageError
from miscomp.images import Pixels, read, write_png
from miscomp.metrics.psnr import psnr_pixels
from miscomp.records import Box
from miscomp.secure import evaluate as module
from miscomp.secure.codec import SecureCodec
from miscomp.secure.edits import edit
from miscomp.secure.evaluate import EvaluateOptions, SecureEvaluation, evaluate
from miscomp.secure.evaluation_text import evaluation_text
from miscomp.secure.evaluation_work import Request, measure_picture
from miscomp.secure.trials import TrialRow
from miscomp.tables import columns


def picture(seed: int, height: int = 48, width: int = 64) -> Pixels:
    rng = np.random.default_rng(seed)
    ramp = np.linspace(20, 200, width)[:, None] + rng.normal(0, 9, (height, width, 3))
    return np.clip(ramp, 0, 250).astype(np.uint8)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b<i>&.png")):
        write_png(folder / name, picture(seed))
    return folder


def quick(**changes: Any) -> EvaluateOptions:
    return EvaluateOptions(**{"edits": ("median", "noise"), "text": False, "plots": False, **changes})


def run(photos: Path, out: Path, codec: SecureCodec | None = None, **changes: Any) -> SecureEvaluation:
    return evaluate([photos], codec or inverting(), out, quick(**changes), base=honest())


def marked(pixels: Pixels) -> Pixels:
    pixels = pixels.copy()
    pixels[0, 0] = (1, 2, 3)
    return pixels


def test_every_figure_is_that_of_the_picture_and_its_re_compression(photos: Path, tmp_path: Path) -> None:
    evaluation = run(photos, tmp_path / "out")
    x = [picture(seed) for seed in (0, 1)]
    x1 = [marked(one) for one in x]
    coding = evaluation.coding
    assert coding is not None
    raw = 48 * 64 * 3
    assert coding.bpp.value == 8 * (4 + raw + 300 * 40) / (48 * 64) and coding.ms_ssim is None
    firsts = [psnr_pixels(one, other) for one, other in zip(x, x1, strict=True)]
    assert coding.psnr_db.value == pytest.approx(sum(firsts) / 2)
    assert coding.base_psnr_db is not None and coding.base_psnr_db.value == pytest.approx(20 * math.log10(255))
    assert coding.rate_percent is not None
    assert coding.rate_percent.value == pytest.approx(100 * ((4 + raw + 300 * 40) / (4 + raw + 300 * 70) - 1))
    rates = [(result.coded.base_rate_bpp, result.coded.bpp) for result in evaluation.results]
    assert all(base is not None and abs(base / mine - 1) <= 0.01 for base, mine in rates)
    assert coding.same_rate_psnr_db is not None
    assert coding.same_rate_psnr_db.value == pytest.approx(sum(firsts) / 2 - 20 * math.log10(255))

    again = evaluation.find("coded")
    assert again is not None and again.pictures == 2 and again.means["psnr_db"] is not None
    seconds = [psnr_pixels(one, 255 - one) for one in x1]
    assert again.means["psnr_db"].value == pytest.approx(sum(seconds) / 2)
    assert again.highest_psnr == (max(seconds), ("a.png", "b<i>&.png")[seconds.index(max(seconds))])
    assert again.words is None
    control = evaluation.find("uncoded")
    assert control is not None and control.means["lost"] is not None and control.means["lost"].value == 0
    # The median takes the mark away: what was edited survives, as the control does.
    washed, untouched = evaluation.find("coded", "median"), evaluation.find("uncoded", "median")
    assert washed is not None and untouched is not None
    p = edit("median", x1[0]).pixels
    rows = [row for row in evaluation.results[0].trials if row.edit == "median"]
    assert [row.picture for row in rows] == ["coded", "uncoded"]
    assert rows[0].psnr_db == pytest.approx(psnr_pixels(p, marked(p))) and rows[0].lost == 0


def test_the_first_picture_is_compressed_again_at_the_ends_of_the_scale_too(photos: Path, tmp_path: Path) -> None:
    evaluation = run(photos, tmp_path / "out")
    found = [(one.picture, one.edit, one.quality, one.again_quality) for one in evaluation.groups]
    assert found[:4] == [
        ("coded", "none", 40, 40), ("uncoded", "none", None, 40), ("coded", "none", 40, 1), ("coded", "none", 40, 100)
    ]  # fmt: skip
    assert found[4:] == [(kind, name, quality, 40) for name in ("median", "noise")
                         for kind, quality in (("coded", 40), ("uncoded", None))]  # fmt: skip
    assert [one.title for one in evaluation.groups][2:5] == [
        "As it is, again at quality 1", "As it is, again at quality 100", "Median 5 x 5"
    ]  # fmt: skip


def test_the_folder_holds_tables_page_sheets_and_figures(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluation = run(photos, out)
    header, *rows = (out / "edits.csv").read_text().splitlines()
    assert tuple(header.split(",")) == columns(TrialRow) and len(rows) == 2 * (4 + 2 * 2)
    assert len((out / "images.csv").read_text().splitlines()) == 3 and not (out / "curve.csv").exists()
    record = json.loads((out / "evaluation.json").read_text())
    assert record["images"] == 2 and record["failures"] == [] and record["published_source"] is None
    first = record["compressed_again"][0]
    assert first["psnr_db"]["n"] == 2 and len(first["psnr_db"]["interval_95"]) == 2
    assert first["fitted_psnr_db"]["mean"] is None, "JSON has no infinity"
    page = (out / "evaluation.html").read_text()
    assert "b&lt;i&gt;&amp;.png" in page and "b<i>" not in page and "<script" not in page
    assert page.count('src="data:image/webp;base64,') == 2 * (3 + 2 * 2) and "Not drawn: --no-plots" in page
    assert "Median 5 x 5" in page and "Beside what the paper reports" not in page
    sheet = read(out / "sheets" / "again.png")
    assert sheet.width >= 3 * 64 and sheet.height >= 2 * 48
    assert sorted(file.name for file in (out / "sheets").iterdir()) == ["again.png", "edits-1.png", "edits-2.png"]
    text = evaluation_text(evaluation)
    assert re.search(r"^As it is +2 +\d+\.\d\d \[", text, re.MULTILINE) and "inverting@q40" in text


def test_a_second_run_measures_only_what_is_new(photos: Path, tmp_path: Path) -> None:
    out, codec = tmp_path / "out", inverting()
    run(photos, out, codec)
    files = {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    fake = codec.codec
    assert isinstance(fake, Inverting)
    fake.calls.clear()
    run(photos, out, codec)
    assert fake.calls == [] and files == {file: file.read_bytes() for file in out.rglob("*") if file.is_file()}
    journal = (out / "journal.jsonl").read_text()
    (out / "journal.jsonl").write_text(journal[:-9])  # as a killed run leaves it
    run(photos, out, codec)
    once = len(fake.calls)
    assert once == 1 + 1 + 2 + 2 * 2 and (out / "journal.jsonl").read_text() == journal
    next((out / "pictures").glob("*/median.again.png")).unlink()
    run(photos, out, codec)
    assert len(fake.calls) == 2 * once
    with pytest.raises(UsageError, match=r"other settings \(seed: 0, now 3\)"):
        run(photos, out, codec, seed=3)
    theirs = out / "pictures" / "holiday.png"
    theirs.write_bytes(b"of the user")
    run(photos, out, codec, seed=3, force=True, pictures=1)
    assert len(fake.calls) == 4 * once and theirs.is_file()
    assert len(list((out / "pictures").iterdir())) == 2, "one picture's copies, and the user's file"


def test_what_fails_is_listed_and_the_rest_goes_on(photos: Path, tmp_path: Path) -> None:
    (photos / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    write_png(photos / "long.png", picture(5, 20, 200))  # its crop would be empty
    evaluation = run(photos, tmp_path / "out", edits=("crop", "median"))
    assert [one.name for one in evaluation.failures] == ["broken.png", "long.png"]
    assert evaluation.failures[1].reason.startswith("crop: ") and len(evaluation.results) == 3
    crop, median = evaluation.find("coded", "crop"), evaluation.find("coded", "median")
    assert crop is not None and crop.pictures == 2 and median is not None and median.pictures == 3
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "broken.png" in page and "What is missing" in page and "<small>2 pictures</small>" in page


def test_a_folder_without_a_readable_picture_has_a_page_that_says_so(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (tmp_path / "a.png").write_bytes(b"nothing")
    evaluation = run(tmp_path, tmp_path / "out", plots=True)
    assert evaluation.coding is None and evaluation.groups == () and evaluation_text(evaluation) == "\n"
    page = (tmp_path / "out" / "evaluation.html").read_text()
    assert "a.png" in page and "There is nothing to draw." in page
    assert json.loads((tmp_path / "out" / "evaluation.json").read_text())["first_compression"] is None


def test_words_are_looked_for_only_where_the_first_reconstruction_has_some(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", np.full((40, 60, 3), 90, np.uint8))
    box = Box(5, 5, 20, 10)
    codec, image = inverting(), read(tmp_path / "a.png")

    def words(script: dict[int, list[Any]]) -> list[tuple[int | None, int | None]]:
        request = Request(codec=codec, base=None, edits=("jpeg",), seed=0, reader=ScriptedReader(script))
        trials = measure_picture(image, request).trials
        assert [row.picture for row in trials] == ["coded", "uncoded", "coded", "uncoded"]
        return [(row.words, row.words_read_again) for row in trials]

    # Brightest values: 90 in x1, 254 in its negative.
    destroyed = words({90: [line("STOP", box)], 254: []})
    assert destroyed[0][0] == 1 and destroyed[1] == (None, None)
    assert words({90: [], 254: [line("STOP", box)]})[0] == (0, 0)
    assert words({90: [line("STOP", box)], 254: [line("STOP", box)]})[0] == (1, 1)


def test_a_curve_measures_both_codecs_and_the_destruction_at_each_quality(photos: Path, tmp_path: Path) -> None:
    evaluation = run(photos, tmp_path / "out", curve=4, edits=("median",))
    assert [curve.codec for curve in evaluation.curves] == ["jpeg", "webp"]
    assert [point.quality for point in evaluation.curves[0].points] == [1, 34, 67, 100]
    along = [one for one in evaluation.groups if one.along_curve]
    assert [(one.quality, one.again_quality) for one in along] == [(1, 1), (34, 34), (67, 67), (100, 100)]
    assert all(one.means["lost"] is not None and one.means["lost"].value > 0.5 for one in along)
    assert [(one.test, one.anchor) for one in evaluation.comparisons] == [("jpeg", "webp")]
    assert len((tmp_path / "out" / "curve.csv").read_text().splitlines()) == 1 + 2 * 2 * 4


def test_wrong_requests_are_refused_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    twice = SecureCodec(Honest(name="jpeg"), 70, "honest")
    with pytest.raises(UsageError, match="both are jpeg"):
        evaluate([photos], inverting(), out, quick(curve=4), base=twice)
    with pytest.raises(UsageError, match="other weights for each quality"):
        evaluate([photos], SecureCodec(Inverting(name="mbt2018"), 8, "m"), out, quick(curve=4))
    with pytest.raises(UnknownName, match="unknown edit 'blurr'"):
        run(photos, out, edits=("blurr",))
    with pytest.raises(UsageError, match="2 to 100 points"):
        quick(curve=1)
    assert not out.exists()


def test_a_base_without_the_rate_is_named_and_has_no_figure(photos: Path, tmp_path: Path) -> None:
    evaluation = evaluate([photos], inverting(), tmp_path / "out", quick(), base=honest(more=50_000))
    assert evaluation.coding is not None and evaluation.coding.same_rate_psnr_db is None
    assert "base codec: " in evaluation.results[0].coded.note
    alone = evaluate([photos], inverting(), tmp_path / "alone", quick(pictures=0))
    assert not (tmp_path / "alone" / "sheets").exists() and not (tmp_path / "alone" / "pictures").exists()
    assert alone.coding is not None and alone.coding.base is None and alone.coding.rate_percent is None
    assert "No base codec" in (tmp_path / "alone" / "evaluation.html").read_text()


def test_the_paper_stands_beside_kodak_only(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_kodak", lambda images: True)
    lacking = run(photos, tmp_path / "lacking")
    assert lacking.published == () and "24 Kodak images" in lacking.notes[0]
    for seed in range(2, 24):
        write_png(photos / f"{seed}.png", picture(seed, 16, 24))
    evaluation = run(photos, tmp_path / "out", edits=("jpeg",))
    text, page = evaluation_text(evaluation), (tmp_path / "out" / "evaluation.html").read_text()
    for shown in (text, page):
        assert "Minnen2018 + LPIPS" in shown and "11.55" in shown and "Which of the two its tables hold" in shown


def test_plots_are_drawn_the_same_each_time(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from miscomp.secure.evaluation_plots import draw_edits

    out = tmp_path / "out"
    evaluation = run(photos, out, curve=2, edits=("median",), plots=True)
    plots = sorted(file.name for file in (out / "plots").iterdir())
    assert plots == ["edits.png", "edits.svg", "psnr.png", "psnr.svg"]
    draw_edits(evaluation, tmp_path / "again")
    for suffix in ("svg", "png"):
        assert (tmp_path / f"again.{suffix}").read_bytes() == (out / "plots" / f"edits.{suffix}").read_bytes()
    assert (out / "evaluation.html").read_text().count("data:image/svg+xml;base64,") == 2


def test_the_neural_codec_runs_through_with_real_streams(tmp_path: Path) -> None:
    write_png(tmp_path / "a.png", picture(1, 40, 56))
    codec = SecureCodec(Lucid(tiny_weights(), name="slic"), 0.65, "tiny@q0.65")
    base = SecureCodec(Lucid(tiny_weights()), 0.65, "tiny lucid@q0.65")
    evaluation = evaluate([tmp_path / "a.png"], codec, tmp_path / "out", quick(edits=("blur",)), base=base)
    coding, again = evaluation.coding, evaluation.find("coded")
    x = picture(1, 40, 56)
    x1 = codec.again(x)
    assert coding is not None and coding.psnr_db.value == psnr_pixels(x, x1)
    assert coding.bpp.value == 8 * len(codec.compress(x)) / (40 * 56)
    assert again is not None and again.highest_psnr[0] == psnr_pixels(x1, codec.again(x1))
    assert coding.base_psnr_db is not None and coding.base_psnr_db.value == coding.psnr_db.value
    assert evaluation.settings["weights"] == tiny_weights().sha256
