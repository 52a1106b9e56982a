"""Whole benchmarks of small pairs. Oracles: the squares that the sample wiped out, and what a rerun leaves alone."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmark_sample import write_pairs

from miscomp import tables
from miscomp.benchmark import page, run, work
from miscomp.benchmark.run import BenchmarkOptions, choose_detectors, detect_settings, run_benchmark
from miscomp.benchmark.store import LEVELS, BenchmarkFolder, as_seen
from miscomp.detect.base import DEFAULT_DETECTOR, Detection, Detections, DetectSettings
from miscomp.detect.catalog import DETECTORS, DetectorRow
from miscomp.errors import MissingExtra, UnknownName, UsageError
from miscomp.images import Pixels
from miscomp.records import Annotation, Box
from miscomp.registry import load

OPTIONS = BenchmarkOptions(resamples=50, plots=False, detect=detect_settings(text=False))
ROWS = [DETECTORS["difference"], DETECTORS["random"]]


class Exact:
    """Finds the wiped square; counts how often it is asked."""

    version = "exact-1"
    asked = 0

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        type(self).asked += 1
        gone = np.abs(original.astype(int) - reconstruction).max(2) > 50
        heat = np.zeros((24, 24), np.float32)
        if not gone.any():
            return Detections(found=(), heat=heat, warnings=("saw nothing",))
        rows, columns = np.nonzero(gone.any(1))[0], np.nonzero(gone.any(0))[0]
        box = Box(int(columns[0]), int(rows[0]), int(np.ptp(columns)) + 1, int(np.ptp(rows)) + 1)
        heat[box.y // 4 : box.bottom // 4, box.x // 4 : box.right // 4] = 1
        one = Detection(box=box, score=0.8, source="exact", category="AMPLITUDE", note="</script><b>gone")
        return Detections(found=(one,), heat=heat)


class Failing(Exact):
    """Fails on one picture."""

    version = "failing-1"

    def __call__(self, original: Pixels, reconstruction: Pixels, settings: DetectSettings) -> Detections:
        if original[28, 36].max() == 40 and original[28, 30].max() == 40 and original[28, 26].max() == 40:
            raise ZeroDivisionError("a planted fault")
        return super().__call__(original, reconstruction, settings)


def exact(*, reader: object = None) -> Exact:
    return Exact()


def failing(*, reader: object = None) -> Failing:
    return Failing()


EXACT = DetectorRow(name="exact", build=f"{__name__}:exact", description="finds it")


@pytest.fixture(autouse=True)
def found_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    makers = {EXACT.build: exact, "failing": failing}
    monkeypatch.setattr(work, "load", lambda target: makers.get(target) or load(target))
    Exact.asked = 0


def test_a_perfect_detector_has_perfect_scores_and_files_for_all(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs")
    out = tmp_path / "out"
    benchmark = run_benchmark(pairs, [EXACT, *ROWS], out, OPTIONS)
    scores = benchmark.scores[0]
    assert scores.average_precision.value == 1.0 and scores.average_precision.interval == (1.0, 1.0)
    assert scores.threshold == 0.8 and scores.false_alarms.value == 0.0 and scores.roc_area.value == 1.0
    assert scores.categories.main == 1.0 and scores.warnings == {"saw nothing": 3}
    assert benchmark.counts | {"pairs": 6, "labels": 3, "controls": 3, "sources": 3} == benchmark.counts
    told = json.loads((out / "benchmark.json").read_text())
    assert told["detectors"][0]["name"] == "exact" and told["comparisons"][0]["precision_baseline"] == "difference"
    rows = tables.read(out / "detections" / "exact.csv", Annotation)
    assert [(one.labeler, one.origin, one.version, one.score) for one in rows] == [
        ("exact", "detector", "exact-1", 0.8)
    ] * 3
    assert [one.box for one in rows] == [Box(24 + 8 * k, 20, 16, 16) for k in range(3)]


def test_a_second_run_does_nothing_again_and_gives_the_same_bytes(tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    told: list[str] = []
    run_benchmark(pairs, [EXACT], out, OPTIONS)
    assert Exact.asked == 6
    names = ("benchmark.json", "benchmark.html", "detections/exact.csv")
    before = [(out / name).read_bytes() for name in names]
    run_benchmark(pairs, [EXACT], out, OPTIONS, progress=lambda step: told.append(step.outcome))
    assert Exact.asked == 6 and told.count("kept") == 6
    assert [(out / name).read_bytes() for name in names] == before


def test_a_run_cut_off_in_a_line_does_that_pair_again(tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    run_benchmark(pairs, [EXACT], out, OPTIONS)
    journal = out / "journals" / "exact.jsonl"
    journal.write_text(journal.read_text()[:-40])
    run_benchmark(pairs, [EXACT], out, OPTIONS)
    assert Exact.asked == 7 and len(journal.read_text().splitlines()) == 6


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line.replace('"score": 0.8', '"score": 8'),
        lambda line: line.replace('"score": 0.8', '"score": null'),
        lambda line: line.replace('"source": "exact"', '"source": 3'),
        lambda line: line.replace('"shape": [24, 24]', '"shape": [24, 23]'),
        lambda line: line.replace('"shape": [24, 24]', '"shape": [99999999, 99999999]'),
        lambda line: line.replace('"zlib": "', '"zlib": "AAAA'),
        lambda line: "[" * 100_000 + "\n",
    ],
)
def test_a_damaged_line_is_dropped(tmp_path: Path, damage: object) -> None:
    assert callable(damage)
    heat = np.zeros((24, 24), np.float32)
    one = Detection(box=Box(1, 2, 3, 4), score=0.8, source="exact")
    store = BenchmarkFolder(tmp_path)
    store.add("exact", "good", as_seen(Detections(found=(one,), heat=heat), 0.5))
    journal = tmp_path / "journals" / "exact.jsonl"
    line = journal.read_text()
    broken = damage(line)
    assert broken != line
    journal.write_text(broken + line)
    assert list(store.load("exact")) == ["good"] and journal.read_text() == line


def test_what_was_seen_comes_back_as_it_was(tmp_path: Path) -> None:
    heat = np.linspace(0, 1, 24 * 30, dtype=np.float32).reshape(24, 30)
    one = Detection(box=Box(1, 2, 3, 4), score=1 / 3, source="exact", category="SHAPE", symbol=True, note="é")
    seen = as_seen(Detections(found=(one,), heat=heat, warnings=("w",)), 0.5)
    store = BenchmarkFolder(tmp_path)
    store.add("exact", "k", seen)
    back = store.load("exact")["k"]
    assert back.found == seen.found and back.warnings == ("w",) and back.seconds == 0.5
    assert np.array_equal(back.heat, seen.heat)
    assert np.abs((back.heat / (LEVELS - 1)) ** 2 - heat).max() < 1 / (LEVELS - 1)


def test_other_labels_need_force_and_no_new_look(tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    run_benchmark(pairs, [EXACT], out, OPTIONS)
    labels = tables.read(pairs / "annotations.csv", Annotation)
    tables.write(pairs / "annotations.csv", Annotation, labels[1:])
    with pytest.raises(UsageError, match=r"other settings \(tables_sha256"):
        run_benchmark(pairs, [EXACT], out, OPTIONS)
    again = run_benchmark(pairs, [EXACT, ROWS[1]], out, replace(OPTIONS, force=True))
    assert Exact.asked == 6 and again.counts["labels"] == 2


def test_a_pair_that_fails_is_in_no_figure_of_any_detector(tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    (pairs / "reconstructions" / "jpeg@0.25bpp" / "photo2.png").unlink()
    (pairs / "originals" / "photo1.png").write_bytes((pairs / "originals" / "photo2.png").read_bytes())
    row = DetectorRow(name="failing", build="failing", description="fails")
    benchmark = run_benchmark(pairs, [EXACT, row], out, OPTIONS)
    reasons = {(one.name, one.reason.split(":")[0]): one.reason for one in benchmark.failures}
    assert "ZeroDivisionError: a planted fault; this is a fault in a detector" in reasons["photo0.png", "jpeg@0.25bpp"]
    assert "does not exist" in reasons["photo2.png", "jpeg@0.25bpp"]
    assert "images.csv says" in reasons["photo1.png", "jpeg@0.25bpp"]
    assert [pair.row.filename for pair in benchmark.cases.pairs] == ["photo2.png"]
    assert "There are no labels" in benchmark.notes[0]
    assert "a planted fault" in (out / "benchmark.html").read_text(encoding="utf-8")


def test_annotations_by_people_are_scored_too(tmp_path: Path) -> None:
    pairs = write_pairs(tmp_path / "pairs", annotated=True)
    benchmark = run_benchmark(pairs, [EXACT, ROWS[1]], tmp_path / "out", OPTIONS)
    exact_scores, random_scores = benchmark.scores
    assert exact_scores.average_precision.value == 1.0 and exact_scores.categories.main is None
    assert random_scores.verdicts["unlabelled"] == 0 and random_scores.verdicts["false"] >= 57
    assert any("no controls" in note for note in benchmark.notes)


def test_the_page_stands_alone_and_escapes_what_it_is_given(tmp_path: Path) -> None:
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    run_benchmark(pairs, [EXACT, *ROWS], out, OPTIONS)
    text = (out / "benchmark.html").read_text(encoding="utf-8")
    assert "<script" not in text and "<b>gone" not in text and not re.search(r'(src|href)="(?!data:|#)', text)
    assert "default-src 'none'" in text and page.NOT_DRAWN in text
    assert text.count("data:image/webp") >= 2  # false alarms of the baseline, both sides


def test_plots_are_drawn_where_there_is_matplotlib_and_missed_where_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib", reason="the extra 'plots' is not installed")
    pairs, out = write_pairs(tmp_path / "pairs"), tmp_path / "out"
    run_benchmark(pairs, [EXACT, *ROWS], out, replace(OPTIONS, plots=True))
    drawn = {file.name for file in (out / "plots").iterdir()}
    assert {"precision_recall.svg", "alarms_recall.png", "roc.svg", "kind.svg", "rate.png"} <= drawn
    assert (out / "benchmark.html").read_text(encoding="utf-8").count("data:image/svg+xml") == len(drawn) // 2
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    run_benchmark(pairs, [EXACT, *ROWS], out, replace(OPTIONS, plots=True))
    assert "matplotlib is not installed" in (out / "benchmark.html").read_text(encoding="utf-8")
    assert not (out / "plots").exists()


def test_detectors_are_chosen_by_name() -> None:
    assert next(row.name for row in choose_detectors(())) == DEFAULT_DETECTOR
    everything = {row.name for row in choose_detectors(())}
    assert everything - {row.name for row in choose_detectors((), text=False)} == {"text"}
    with pytest.raises(UnknownName, match="Did you mean 'rules'"):
        choose_detectors(["ruels"])
    with pytest.raises(UsageError, match="named twice"):
        choose_detectors(["ssim", "ssim"])


def test_reading_without_a_reader_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = write_pairs(tmp_path / "pairs")
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="--no-text leaves it out"):
        run_benchmark(pairs, [DETECTORS["text"]], tmp_path / "out", replace(OPTIONS, detect=detect_settings()))
    with pytest.raises(UsageError, match="does nothing but read"):
        run_benchmark(pairs, [DETECTORS["text"]], tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()
