"""A whole audit with a fake detector and classical codecs. Oracles: the files on disk, the documented contract."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from miscomp.audit.run import AuditOptions, Progress, default_jobs, run_audit
from miscomp.audit.store import AuditFolder
from miscomp.codecs.catalog import open_codec
from miscomp.codecs.spec import parse_spec
from miscomp.errors import UnknownName, UsageError
from miscomp.images import Pixels, read, write_png
from miscomp.records import Annotation, ImageRow, ModelRow
from miscomp.report.run import Run, read_json
from miscomp.tables import read as read_table

FAKES = Path(__file__).parents[1] / "fakes"
CODECS = ("webp@q20", "jpeg@like:webp")
TABLES = ("annotations.csv", "images.csv", "models.csv", "report.json", "report.html", "settings.json")


@pytest.fixture(autouse=True)
def _fake_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(FAKES))  # also searched by processes started from here


def scene(seed: int = 0, width: int = 64, height: int = 48) -> Pixels:
    y, x = np.mgrid[:height, :width]
    noise = np.random.default_rng(seed).normal(0, 12, (height, width, 3))
    pixels: Pixels = np.clip(2 * x[..., None] + y[..., None] + noise, 0, 255).astype(np.uint8)
    return pixels


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        write_png(folder / name, scene(seed))
    return folder


def audit(photos: Path, folder: Path, *codecs: str, given: Path | None = None, **options: object) -> Run:
    settings = AuditOptions(**{"jobs": 1, "detector": "fake_detector", **options})  # type: ignore[arg-type]
    specs = tuple(map(parse_spec, codecs))
    return run_audit([photos], None if given is None else [given], specs, folder, settings)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder but the timings."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "timings.json")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def seen(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the detector was asked."""
    path = tmp_path / "log.txt"
    monkeypatch.setenv("FAKE_DETECTOR_LOG", str(path))
    return path


def test_an_audit_leaves_tables_report_pictures_and_streams_that_agree(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run = audit(photos, out, *CODECS)
    assert [(r.row.filename, r.row.model) for r in run.results] == [
        (f, m) for f in ("a.png", "b.png", "c.png") for m in CODECS
    ]
    assert (run.failures, run.unmatched, run.detector) == ((), (), "fake-1")
    assert read_json(out / "report.json") == run
    assert read_table(out / "images.csv", ImageRow) == [result.row for result in run.results]
    findings = [finding.annotation for result in run.results for finding in result.findings]
    assert read_table(out / "annotations.csv", Annotation) == findings and len(findings) == 6
    rows = read_table(out / "models.csv", ModelRow)
    assert [(row.model, row.codec, row.setting) for row in rows] == [
        ("webp@q20", "webp", "q20"),
        ("jpeg@like:webp", "jpeg", "like:webp"),
    ]
    for result in run.results:
        stream = (out / result.stream_file).read_bytes()
        reconstruction = open_codec(result.row.model.split("@")[0]).decompress(stream)
        original = read(photos / result.row.filename).pixels
        assert np.array_equal(read(out / result.original_file).pixels, original)
        assert np.array_equal(read(out / result.reconstruction_file).pixels, reconstruction)
        assert result.row.bpp == 8 * len(stream) / (64 * 48)
        error = float(((original.astype(float) - reconstruction) ** 2).mean())
        assert result.row.psnr == pytest.approx(10 * np.log10(255**2 / error))
        assert result.row.ssim is not None and 0 < result.row.ssim < 1
        assert result.warnings[-1:] == ("seen by a fake",) and result.seconds == 0
        with Image.open(out / result.change_file) as change:
            assert (change.mode, change.size) == ("L", (16, 12))
    assert (out / "report.html").stat().st_size > 1000
    assert not list(out.rglob(".unfinished*")) and not list(out.rglob("*.partial"))


def test_like_follows_the_rate_of_each_image(photos: Path, tmp_path: Path) -> None:
    write_png(photos / "flat.png", np.full((48, 64, 3), 90, np.uint8))
    rows = [result.row for result in audit(photos, tmp_path / "out", "jpeg@like:webp@q60", "webp@q60").results]
    by_image = {row.filename: {} for row in rows}  # type: dict[str, dict[str, float]]
    for row in rows:
        assert row.bpp is not None
        by_image[row.filename][row.model] = row.bpp
    for name in ("a.png", "b.png", "c.png"):
        assert by_image[name]["jpeg@like:webp@q60"] == pytest.approx(by_image[name]["webp@q60"], rel=0.03)
    assert [row.model for row in rows[:2]] == ["jpeg@like:webp@q60", "webp@q60"]  # in the order asked for
    alone = audit(photos, tmp_path / "alone", "jpeg@like:webp@q60")
    assert [result.row for result in alone.results] == [row for row in rows if row.model != "webp@q60"]


def test_results_do_not_depend_on_jobs(photos: Path, tmp_path: Path) -> None:
    (photos / "d.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    one, two = audit(photos, tmp_path / "one", *CODECS), audit(photos, tmp_path / "two", *CODECS, jobs=2)
    assert one == two
    assert content(tmp_path / "one") == content(tmp_path / "two")
    assert json.loads((tmp_path / "two" / "timings.json").read_text())["jobs"] == 2


def test_given_reconstructions_and_codecs_go_together(photos: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    Image.fromarray(scene(0)).save(made / "a.jpg", quality=10)
    shutil.copy(photos / "b.png", made / "b.png")
    write_png(made / "stray.png", scene(9))
    run = audit(photos, tmp_path / "out", "jpeg@q10", given=made)
    assert [(r.row.filename, r.row.model) for r in run.results] == [
        ("a.png", "given"), ("a.png", "jpeg@q10"), ("b.png", "given"), ("b.png", "jpeg@q10"), ("c.png", "jpeg@q10")
    ]  # fmt: skip
    assert run.results[0].row.bpp == 8 * (made / "a.jpg").stat().st_size / (64 * 48)
    identical = run.results[2]
    assert (identical.row.psnr, identical.findings, identical.row.bpp) == (float("inf"), (), None)
    assert run.unmatched == ("photos/c.png", "made/stray.png") and run.failures == ()
    assert [row.model for row in read_table(tmp_path / "out" / "models.csv", ModelRow)] == ["given", "jpeg@q10"]


def test_what_fails_is_listed_once_and_the_rest_goes_on(photos: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    shutil.copytree(photos, made)
    write_png(made / "b.png", scene(1, 63, 48))
    (made / "c.png").write_bytes(b"GIF89a")
    (photos / "broken.png").write_bytes(b"nothing")
    for name in ("bug.png", "memory.png"):
        write_png(photos / name, scene())
    write_png(photos / os.fsdecode(b"\xff.png"), scene())
    run = audit(photos, tmp_path / "out", "jpeg@q10", given=made)
    reasons = {(failure.name, failure.reason[:24]): failure.reason for failure in run.failures}
    assert [key[0] for key in reasons] == [
        "\\udcff.png", "b.png", "broken.png", "bug.png", "c.png", "memory.png"
    ]  # fmt: skip
    told = " | ".join(reasons.values())
    assert "given: the original has 64 x 48 pixels, the reconstruction (given) 63 x 48" in told
    assert "given: made/c.png: is not an image that can be read (a GIF)" in told
    assert "jpeg@q10: ZeroDivisionError: a planted fault" in told
    assert "jpeg@q10: needs more memory" in told
    assert [(r.row.filename, r.row.model) for r in run.results] == [
        ("a.png", "given"), ("a.png", "jpeg@q10"), ("b.png", "jpeg@q10"), ("c.png", "jpeg@q10")
    ]  # fmt: skip
    assert read_json(tmp_path / "out" / "report.json").failures == run.failures


def test_a_codec_that_cannot_hold_the_picture_takes_its_followers_with_it(photos: Path, tmp_path: Path) -> None:
    write_png(photos / "wide.png", scene(0, 16384, 1))
    run = audit(photos, tmp_path / "out", *CODECS)
    assert [failure.name for failure in run.failures] == ["wide.png", "wide.png"]
    assert "webp@q20: webp holds at most 16383 pixels a side" in run.failures[0].reason
    assert run.failures[1].reason == "jpeg@like:webp: the rate that webp@q20 reaches is not known, because that failed"
    assert len(run.results) == 6


def test_a_killed_process_costs_one_pair(photos: Path, tmp_path: Path) -> None:
    for name in ("killed-1.png", "killed-2.png"):
        shutil.copy(photos / "a.png", photos / name)
    run = audit(photos, tmp_path / "out", "jpeg@q10", "webp@q10", "jpeg@like:webp", jobs=2)
    assert [(failure.name, failure.reason.split(":")[0]) for failure in run.failures] == [
        (f"killed-{n}.png", model) for n in (1, 2) for model in ("webp@q10", "jpeg@like")
    ]
    assert "ended by SIGKILL; for lack of memory" in run.failures[0].reason
    assert "webp@q10 reaches is not known" in run.failures[1].reason
    assert len(run.results) == 3 * 3 + 2
    assert not list((tmp_path / "out").rglob(".unfinished*"))


def test_a_second_run_does_only_what_is_new(photos: Path, tmp_path: Path, log: Path) -> None:
    out = tmp_path / "out"
    first = audit(photos, out, *CODECS)
    before = content(out)
    assert len(seen(log)) == 6
    outcomes: list[Progress] = []
    options = AuditOptions(jobs=1, detector="fake_detector")
    again = run_audit([photos], None, tuple(map(parse_spec, CODECS)), out, options, progress=outcomes.append)
    assert again == first and content(out) == before and len(seen(log)) == 6
    assert [p.outcome for p in outcomes] == ["planned", *["kept"] * 6, "writing"]
    assert [p.done for p in outcomes[:-1]] == list(range(7)) and outcomes[0].total == 6

    write_png(photos / "new.png", scene(8))
    write_png(photos / "a.png", scene(7))  # another picture under an old name
    (out / first.results[2].reconstruction_file).unlink()
    (out / first.results[5].change_file).with_name("pair.json").write_text("{")
    audit(photos, out, *CODECS)
    assert sorted(seen(log)[6:]) == sorted(
        ["a.png webp@q20", "a.png jpeg@like:webp", "b.png webp@q20", "c.png jpeg@like:webp",
         "new.png webp@q20", "new.png jpeg@like:webp"]
    )  # fmt: skip
    audit(photos, tmp_path / "fresh", *CODECS)
    fresh = content(tmp_path / "fresh")
    assert {name: made for name, made in content(out).items() if name in fresh} == fresh


def test_a_killed_audit_leaves_whole_pairs_and_goes_on_from_there(photos: Path, tmp_path: Path, log: Path) -> None:
    shutil.copy(photos / "c.png", photos / "b-killed.png")
    program = (
        "import sys; sys.path[:0] = sys.argv[1:3]; from pathlib import Path\n"
        "from miscomp.audit.run import AuditOptions, run_audit; from miscomp.codecs.spec import parse_spec\n"
        "run_audit([Path(sys.argv[3])], None, tuple(map(parse_spec, sys.argv[5:])), Path(sys.argv[4]),"
        " AuditOptions(jobs=1, detector='fake_detector'))"
    )
    out, source = tmp_path / "out", Path(sys.modules["miscomp"].__path__[0]).parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(source), str(FAKES), str(photos), str(out), "jpeg@q20", "webp@q20"],
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(seen(log)) == 4 and not (out / "report.json").exists()
    for pair in (out / "pairs").iterdir():
        assert len(read_json(pair / "pair.json").results) == 1
    (out / "pairs" / ".unfinished-x").mkdir()
    (out / "originals" / ".unfinished-x.png.partial").touch()
    (photos / "b-killed.png").unlink()
    audit(photos, out, "jpeg@q20", "webp@q20")
    assert len(seen(log)) == 4 + 4  # b-killed was audited with jpeg only; a is kept
    audit(photos, tmp_path / "fresh", "jpeg@q20", "webp@q20")
    fresh = content(tmp_path / "fresh")
    extra = {name for name in content(out) if name not in fresh}
    assert {name.split("/")[0] for name in extra} <= {"pairs", "originals"} and ".unfinished" not in str(extra)
    assert {name: made for name, made in content(out).items() if name in fresh} == fresh


def test_an_interrupt_leaves_nothing_unfinished(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from miscomp.audit import store as audit_store

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(audit_store, "write_json", interrupted)
    with pytest.raises(KeyboardInterrupt):
        audit(photos, tmp_path / "out", *CODECS)
    assert list((tmp_path / "out" / "pairs").iterdir()) == []


def test_an_interrupt_ends_the_other_processes(photos: Path, tmp_path: Path) -> None:
    def interrupted(progress: Progress) -> None:
        if progress.outcome == "done":
            raise KeyboardInterrupt

    options = AuditOptions(jobs=2, detector="fake_detector")
    with pytest.raises(KeyboardInterrupt):
        run_audit([photos], None, (parse_spec("jpeg@q10"),), tmp_path / "out", options, progress=interrupted)
    assert multiprocessing.active_children() == []
    assert not list((tmp_path / "out").rglob(".unfinished*"))
    audit(photos, tmp_path / "out", "jpeg@q10")
    audit(photos, tmp_path / "fresh", "jpeg@q10")
    assert content(tmp_path / "out") == content(tmp_path / "fresh")


def test_other_settings_need_another_folder_or_force(photos: Path, tmp_path: Path, log: Path) -> None:
    import fake_detector

    out = tmp_path / "out"
    audit(photos, out, "jpeg@q10")
    before = content(out)
    with pytest.raises(UsageError, match=r'codecs: \["jpeg@q10"\], now \["jpeg@q20"\].*--force'):
        audit(photos, out, "jpeg@q20")
    larger = fake_detector.DetectSettings(size=8)
    with pytest.raises(UsageError, match=r"detect\.size: 4, now 8"):
        audit(photos, out, "jpeg@q10", detect=larger)
    with pytest.raises(UsageError, match=r"max_megapixels: 200\.0, now 100\.0"):
        audit(photos, out, "jpeg@q10", max_megapixels=100)
    assert content(out) == before
    audit(photos, out, "jpeg@q10", detect=larger, force=True)
    audit(photos, tmp_path / "fresh", "jpeg@q10", detect=larger)
    assert content(out) == content(tmp_path / "fresh")
    assert len(seen(log)) == 9


def test_a_folder_with_other_files_is_not_touched_without_force_and_keeps_them_with_it(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    (out / "settings.json").write_text('{"theme": "dark"}')
    with pytest.raises(UsageError, match="holds other files and no audit"):
        audit(photos, out, "jpeg@q10")
    assert content(out) == {"thesis.txt": b"mine", "settings.json": b'{"theme": "dark"}'}
    audit(photos, out, "jpeg@q10", force=True)
    assert (out / "thesis.txt").read_text() == "mine" and (out / "report.html").exists()
    with pytest.raises(UsageError, match="cannot hold the audit"):
        audit(photos, out / "thesis.txt", "jpeg@q10")


def test_hostile_names_reach_every_table_and_no_path(photos: Path, tmp_path: Path) -> None:
    names = ["=cmd|'calc'.png", "two\nlines.png", "</script><b>.png", "-dash.png", "‮gnp.png"]
    names = [name.replace("/", "∕") for name in names]
    for seed, name in enumerate(names):
        write_png(photos / name, scene(seed + 20))
    out = tmp_path / "out"
    audit(photos, out, "jpeg@q10")
    found = {row.filename for row in read_table(out / "images.csv", ImageRow)}
    assert found == {*names, "a.png", "b.png", "c.png"}
    assert {row.filename for row in read_table(out / "annotations.csv", Annotation)} == found
    assert b"</script><b>" not in (out / "report.html").read_bytes()
    assert all(set(path.name) <= set("0123456789abcdef.png") for path in (out / "originals").iterdir())
    assert all(len(path.name) == 32 and path.name.isalnum() for path in (out / "pairs").iterdir())


@pytest.mark.parametrize(
    ("codecs", "complaint"),
    [
        ((), "nothing to audit"),
        (("jpeg@q75", "jpeg"), "jpeg@q75 is asked for twice"),
        (("webp@q10", "webp@q20", "jpeg@like:webp"), r"may follow several \(webp@q10, webp@q20\)"),
        (("avif@q10", "webp@like:avif", "jpeg@like:webp"), r"may follow several \(webp@like:avif\)"),
    ],
)
def test_requests_that_contradict_themselves_write_nothing(
    photos: Path, tmp_path: Path, codecs: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(UsageError, match=complaint):
        audit(photos, tmp_path / "out", *codecs)
    assert not (tmp_path / "out").exists()


def test_options_are_checked() -> None:
    for wrong in ({"jobs": 0}, {"max_megapixels": 0.0}, {"max_megapixels": float("nan")}):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            AuditOptions(**wrong)
    with pytest.raises(UnknownName):
        parse_spec("jepg@q10")


def test_the_default_number_of_jobs_suits_few_images() -> None:
    assert default_jobs(0) == default_jobs(1) == 1
    assert 1 <= default_jobs(1000) <= (os.cpu_count() or 1)


@pytest.mark.parametrize("jobs", [1, 2])
def test_networks_compute_in_one_thread_whatever_the_jobs(photos: Path, tmp_path: Path, jobs: int) -> None:
    for name in ("threads-1.png", "threads-2.png"):
        shutil.copy(photos / "a.png", photos / name)
    before = torch.get_num_threads()
    run = audit(photos, tmp_path / "out", "jpeg@q10", jobs=jobs, detector="fake_torch_detector")
    assert [result.warnings for result in run.results[3:]] == [("torch 1",)] * 2
    assert torch.get_num_threads() == before


def test_two_audits_never_write_to_one_folder_at_a_time(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with AuditFolder(out).owned():
        for force in (False, True):
            with pytest.raises(UsageError, match="another audit is writing to"):
                audit(photos, out, "webp@q20", force=force)
        assert list(out.iterdir()) == []
    assert len(audit(photos, out, "webp@q20").results) == 3
