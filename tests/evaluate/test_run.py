"""A whole evaluation. Oracles: the measurements of one image at one setting, and runs that are not interrupted."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ramps import noisy_ramps

from miscomp.audit.run import Progress
from miscomp.codecs.catalog import open_codec
from miscomp.codecs.spec import CodecSpec, parse_spec
from miscomp.errors import ImageError, MissingExtra, UsageError
from miscomp.evaluate import work
from miscomp.evaluate.measure import Measurement, measure
from miscomp.evaluate.points import make_points
from miscomp.evaluate.published import published_curves
from miscomp.evaluate.run import EvaluateOptions, Evaluation, run_evaluation
from miscomp.evaluate.store import EvaluationFolder
from miscomp.evaluate.summary_text import summary_text
from miscomp.images import read, write_png

SPECS = make_points(["jpeg", "webp"], points=4)
QUICK = EvaluateOptions(plots=False, memory=False)
TIMES = {"encode_s", "decode_s"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return noisy_ramps(tmp_path / "photos")


def rows(folder: Path, name: str = "images.csv") -> list[dict[str, str]]:
    """A table without its times."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return [{key: cell for key, cell in row.items() if key not in TIMES} for row in csv.DictReader(file)]


def run(
    photos: Path, folder: Path, options: EvaluateOptions = QUICK, specs: list[CodecSpec] = SPECS
) -> tuple[Evaluation, list[Progress]]:
    told: list[Progress] = []
    return run_evaluation([photos], specs, folder, options, progress=told.append), told


def test_tables_and_records_say_what_was_measured(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    evaluation, _ = run(photos, out, replace(QUICK, generations=2))
    found = rows(out)
    assert [(row["filename"], f"{row['codec']}@{row['setting']}") for row in found] == [
        (name, str(spec)) for name in ("a.png", "b.png") for spec in SPECS
    ]
    row = measure(read(photos / "b.png"), SPECS[-1], open_codec("webp")).row
    assert found[-1]["bpp"] == repr(row.bpp) and found[-1]["psnr_db"] == repr(row.psnr_db)
    assert found[-1]["estimated_bpp"] == "" and found[-1]["ms_ssim"] == ""
    assert [row["generation"] for row in rows(out, "generations.csv")] == ["1", "2"] * 16
    summary = json.loads((out / "summary.json").read_text())
    assert summary["images"] == 2 and summary["settings"]["codecs"] == [str(spec) for spec in SPECS]
    (webp,) = [one for one in summary["comparisons"] if one["test"] == "webp"]
    rate = webp["bd_rate_percent"]
    assert webp["anchor_is"] == "measured" and rate == pytest.approx(evaluation.comparisons[1].rate.value)
    record = json.loads((out / "results" / "jpeg.json").read_text())
    assert record["settings"] == [spec.setting for spec in SPECS if spec.name == "jpeg"]
    point = next(curve for curve in summary["codecs"] if curve["codec"] == "jpeg")["points"][0]
    assert record["results"]["bpp"][0] == point["real_bpp"]["mean"] and point["real_bpp"]["n"] == 2
    assert evaluation.failures == () and len(evaluation.drift) == 16


def test_a_run_that_was_killed_goes_on_and_ends_as_if_it_had_not_been(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(photos, tmp_path / "whole")
    cut = tmp_path / "cut"
    monkeypatch.setattr(work, "measure", killed_after(5))
    with pytest.raises(KeyboardInterrupt):
        run(photos, cut)
    monkeypatch.undo()
    last = json.loads((cut / "journal.jsonl").read_text().splitlines()[-1])
    with (cut / "journal.jsonl").open("a") as journal:
        journal.write(json.dumps({**last, "row": {**last["row"], "bpp": "none"}}) + "\n")
        journal.write('{"key": "torn')  # as a machine that loses its power leaves it
    _, told = run(photos, cut)
    assert [one.outcome for one in told].count("kept") == 5 and [one.outcome for one in told].count("done") == 11
    assert rows(cut) == rows(tmp_path / "whole")
    _, told = run(photos, cut)
    assert {one.outcome for one in told} == {"planned", "kept"} and told[-1].done == told[-1].total == 16


def test_memory_is_of_the_largest_picture_that_has_every_setting_and_measured_once(
    photos: Path, tmp_path: Path
) -> None:
    write_png(photos / "large.png", np.full((60, 64, 3), 9, np.uint8))
    write_png(photos / "long.png", np.zeros((1, 17000, 3), np.uint8))  # too long for WebP
    out, options = tmp_path / "out", replace(QUICK, memory=True)
    specs = [parse_spec("jpeg@q5"), parse_spec("webp@q10")]
    evaluation, told = run(photos, out, options, specs)
    assert [one.model for one in told[-2:]] == ["jpeg@q5, memory", "webp@q10, memory"] and told[-1].done == 2
    found = rows(out, "memory.csv")
    assert [(row["filename"], row["codec"], row["setting"]) for row in found] == [
        ("large.png", "jpeg", "q5"), ("large.png", "webp", "q10")
    ]  # fmt: skip
    summary = json.loads((out / "summary.json").read_text())
    record = summary["codecs"][1]["points"][0]["memory"]
    assert record["picture"] == "large.png" and record["height"] == 60
    assert record["encode_process_peak_mb"] == float(found[1]["encode_peak_mb"]) > 20
    assert json.loads((out / "results" / "webp.json").read_text())["results"]["decoding_peak_memory_mb"] == [
        record["decode_process_peak_mb"]
    ]
    assert "Peak memory of a fresh process that encodes, or decodes, large.png (64 x 60)" in summary_text(evaluation)
    lines = (out / "journal.jsonl").read_text().splitlines(keepends=True)
    (out / "journal.jsonl").write_text("".join(lines[:-1]) + lines[-1].replace('"width": 64', '"width": "64"'))
    again, told = run(photos, out, options, specs)
    assert [one.outcome for one in told[-2:]] == ["kept", "done"] and again.memory[0] == evaluation.memory[0]
    without, told = run(photos, out, QUICK, specs)
    assert without.memory == () and not (out / "memory.csv").exists() and "memory" not in told[-1].model


def test_memory_that_cannot_be_measured_is_a_failure_of_that_alone(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miscomp.evaluate.memory._WORKER", "no_such_module")
    evaluation, told = run(photos, tmp_path / "out", replace(QUICK, memory=True), SPECS[:1])
    (failure,) = evaluation.failures
    assert failure.name == "a.png" and failure.reason.startswith(f"{SPECS[0]}, memory: the process that was to encode")
    assert told[-1].outcome == "failed" and evaluation.images == 2 and evaluation.curves[0].points[0].memory is None


def killed_after(count: int) -> Callable[..., Measurement]:
    calls = iter(range(count))

    def measure_or_die(*arguments: object, **options: object) -> Measurement:
        if next(calls, None) is None:
            raise KeyboardInterrupt
        return measure(*arguments, **options)  # type: ignore[arg-type]

    return measure_or_die


def test_an_image_that_changed_is_measured_again_and_a_new_one_too(photos: Path, tmp_path: Path) -> None:
    run(photos, tmp_path / "out")
    write_png(photos / "a.png", np.full((40, 40, 3), 9, np.uint8))
    write_png(photos / "c.png", np.full((40, 40, 3), 99, np.uint8))
    evaluation, told = run(photos, tmp_path / "out")
    assert [one.name for one in told if one.outcome == "kept"] == ["b.png"] * 8
    assert evaluation.images == 3 and rows(tmp_path / "out")[0]["width"] == "40"


def test_what_fails_is_listed_and_in_no_mean(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "broken.png").write_bytes(b"no picture")
    write_png(photos / "long.png", np.zeros((1, 16384, 3), np.uint8))
    evaluation, told = run(photos, tmp_path / "out")
    assert {failure.name for failure in evaluation.failures} == {"broken.png", "long.png"}
    reasons = [failure.reason for failure in evaluation.failures if failure.name == "long.png"]
    assert len(reasons) == 4 and all("at most 16383 pixels" in reason for reason in reasons)
    assert told[-1].done == told[-1].total == 32
    assert (evaluation.images, evaluation.left_out) == (2, ("broken.png", "long.png"))
    assert "broken.png, long.png" in evaluation.notes[0]
    assert sum(row["filename"] == "long.png" for row in rows(tmp_path / "out")) == 4
    assert {point.bpp.n for curve in evaluation.curves for point in curve.points} == {2}


def test_published_curves_are_left_out_where_an_image_is(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("miscomp.evaluate.run.choose_published", lambda names, images: (published_curves()["vtm"],))
    evaluation, _ = run(photos, tmp_path / "whole")
    assert [one.anchor for one in evaluation.comparisons if one.published] == ["vtm", "vtm"]
    summary = json.loads((tmp_path / "whole" / "summary.json").read_text())
    assert [one["name"] for one in summary["published"]] == ["vtm"] and "CompressAI" in summary["published_source"]
    (photos / "broken.png").write_bytes(b"no picture")
    evaluation, _ = run(photos, tmp_path / "part")
    assert evaluation.published == () and not any(one.published for one in evaluation.comparisons)
    assert any("published curves are left out" in note for note in evaluation.notes)


def test_nothing_that_works_still_gives_a_summary(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no picture")
    evaluation, _ = run(tmp_path / "broken.png", tmp_path / "out", EvaluateOptions())
    assert (evaluation.images, evaluation.curves, len(evaluation.failures)) == (0, (), 1)
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["codecs"] == []


def test_a_folder_is_gone_on_with_only_for_the_same_request(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(photos, out, EvaluateOptions(generations=1, memory=False))
    (out / "mine.txt").write_text("kept")
    with pytest.raises(UsageError, match=r"other settings \(generations: 1, now 0\)"):
        run(photos, out)
    with pytest.raises(UsageError, match=r"\(codecs: .*; generations: 1, now 0\)"):
        run(photos, out, specs=SPECS[:1])
    run(photos, out, replace(QUICK, force=True), specs=[parse_spec("jpeg@2bpp")])
    assert {str(path.relative_to(out)) for path in out.rglob("*")} == {
        "images.csv", "journal.jsonl", "mine.txt", "results", "results/jpeg.json", "settings.json", "summary.json",
    }  # fmt: skip
    assert len(rows(out)) == 2


def test_a_folder_with_other_files_is_left_alone(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds other files and no evaluation"):
        run(photos, photos)
    assert sorted(path.name for path in photos.iterdir()) == ["a.png", "b.png"]
    with pytest.raises(UsageError, match="cannot hold the evaluation"):
        run(photos, photos / "a.png")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_two_evaluations_do_not_share_a_folder(photos: Path, tmp_path: Path) -> None:
    with (
        EvaluationFolder(tmp_path / "out").owned(),
        pytest.raises(UsageError, match="another evaluation is writing"),
    ):
        run(photos, tmp_path / "out")


def test_wrong_requests_are_refused_before_anything_is_written(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UsageError, match="name a codec"):
        run(photos, out, specs=[])
    with pytest.raises(UsageError, match="24 Kodak images"):
        run(photos, out, EvaluateOptions(published=("vtm",)))
    with pytest.raises(ImageError, match="does not exist"):
        run(tmp_path / "none", out)
    with pytest.raises(UsageError, match="generations"):
        EvaluateOptions(generations=-1)
    with pytest.raises(UsageError, match="max_megapixels"):
        EvaluateOptions(max_megapixels=0.0)
    monkeypatch.setattr("miscomp.evaluate.run.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"--no-plots.*miscomp\[plots\]"):
        run(photos, out, EvaluateOptions())
    assert not out.exists()


def test_a_limit_on_megapixels_is_kept(photos: Path, tmp_path: Path) -> None:
    evaluation, _ = run(photos, tmp_path / "out", replace(QUICK, max_megapixels=0.003))
    assert len(evaluation.failures) == 2 and evaluation.rows == ()


def test_plots_are_drawn_and_taken_away_with_the_figures_they_showed(photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `plots` is not installed")
    out = tmp_path / "out"
    run(photos, out, EvaluateOptions(generations=2, memory=False))
    # These pictures are too small for MS-SSIM.
    assert {path.name for path in (out / "plots").iterdir()} == {
        "psnr.png", "psnr.svg", "generations.png", "generations.svg",
    }  # fmt: skip
    run(photos, out, replace(QUICK, generations=2))
    assert not (out / "plots").exists()


def test_a_note_of_a_measurement_is_told_and_no_file_name_breaks_the_text(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 4), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a\n\x1b.png")
    (tmp_path / "b\n.png").touch()
    evaluation, _ = run(tmp_path, tmp_path / "out", specs=[parse_spec("jpeg@q50"), parse_spec("jpeg@0.001bpp")])
    assert [row.note[:23] for row in evaluation.rows] == ["alpha was composited on"] * 2
    assert "2 of 2 measurements have a note in images.csv; the first is a\n\x1b.png, jpeg@" in evaluation.notes[1]
    text = summary_text(evaluation)
    assert "\x1b" not in text and "\nb" not in text and "a\n" not in text
