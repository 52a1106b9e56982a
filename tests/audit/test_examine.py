"""Pairs from end to end: planted changes are found, named and measured, and nothing is found where nothing is.

The oracle is what was planted, or an invariant: equal input gives equal findings, a mirrored pair mirrored ones.
"""

from __future__ import annotations

import json
import math
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from planted import BLUE, RED, WHITE, around, arrow, jpeg, lawn, moved, photograph, polygon, with_disc, with_polygon
from scripted import ScriptedReader, line

from miscomp.audit import LABELER, PairFindings, audit_pair, detector_version
from miscomp.detect import cells
from miscomp.detect.base import DetectSettings
from miscomp.detect.catalog import open_detector
from miscomp.detect.reader import TextReader
from miscomp.detect.text import TextChanges
from miscomp.errors import SizeMismatch, UnknownName, UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.records import Box, Finding, display_id, is_hit
from miscomp.taxonomy import Category

SHA1 = "0123456789" * 4
CENTER = (100, 90)
PLACE = around(CENTER, 24)
RULES = partial(DetectSettings, detector="rules", minimum_score=0.25)
"""The other detectors have tests of their own."""

NO_TEXT = RULES(text=False)
EVERYTHING = RULES(text=False, minimum_score=0, per_megapixel=1e6)


def run(
    original: Pixels, reconstruction: Pixels, settings: DetectSettings = NO_TEXT, reader: TextReader | None = None
) -> PairFindings:
    return audit_pair(
        original, reconstruction, filename="a.png", image_sha1=SHA1, model="given", settings=settings, reader=reader
    )


def found_in(original: Pixels, reconstruction: Pixels, settings: DetectSettings = NO_TEXT) -> tuple[Finding, ...]:
    return run(original, reconstruction, settings).findings


def mixture() -> tuple[Pixels, Pixels]:
    """Several things lost, changed and moved in a picture that was compressed hard, so that much is found."""
    before = lawn(320, 320, seed=7, contrast=25)
    after = before
    for number, (x, y) in enumerate((x, y) for x in (50, 130, 210, 280) for y in (45, 150, 260)):
        before = with_disc(before, (x, y), 16 + 2 * number, RED if number % 2 else WHITE)
        after = with_disc(after, (x + number % 3, y), 16 + 2 * number, BLUE) if number % 3 else after
    return before, jpeg(after, 12)


def test_equal_pictures_have_no_findings_and_no_change() -> None:
    full = with_disc(lawn(), CENTER, 24)
    result = run(full, full.copy(), EVERYTHING)
    assert result.findings == () and result.warnings == ()
    assert result.change_map.shape == (50, 50) and not result.change_map.any()


def test_equal_pictures_are_not_read() -> None:
    run(lawn(), lawn(), RULES(text=True), reader=None)


def test_pictures_of_unequal_size_are_refused_with_both_sizes() -> None:
    with pytest.raises(SizeMismatch, match=r"200 x 160 .* 160 x 200"):
        run(lawn(160, 200), lawn(200, 160))


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 2), (1, 300), (300, 1), (3, 5), (7, 9), (32, 32), (33, 700), (700, 33), (2, 900)]
)
@pytest.mark.parametrize("kind", ["noise", "flat", "black and white"])
def test_every_size_and_flat_pictures_are_examined(size: tuple[int, int], kind: str) -> None:
    a, b = np.full((2, *size, 3), 120, np.uint8)
    if kind == "noise":
        a, b = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    elif kind == "black and white":
        a, b = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    else:
        b = b + np.uint8(20)
    result = run(a, b, EVERYTHING)
    assert result.change_map.shape == (-(-size[0] // 4), -(-size[1] // 4)) and result.change_map.min() > 0
    for finding in result.findings:
        finding.annotation.box.check_inside(size[1], size[0])


@pytest.mark.parametrize("quality", [None, 90])
@pytest.mark.parametrize("seed", range(3))
def test_a_lost_thing_is_the_best_finding_with_a_tight_box(seed: int, quality: int | None) -> None:
    bare = lawn(seed=seed)
    best = found_in(with_disc(bare, CENTER, 24), jpeg(bare, quality) if quality else bare)[0]
    assert best.annotation.box.iou(PLACE) > 0.8
    assert best.annotation.categories[0] is Category.AMPLITUDE
    assert best.found_by == "object" and "only in the original" in best.relevant.words


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_a_thing_lost_from_a_photograph_is_among_the_best_three(name: str) -> None:
    bare = photograph(name)
    best = found_in(with_disc(bare, CENTER, 24, WHITE), jpeg(bare, 90))[:3]
    assert any(is_hit(f.annotation.box, PLACE) and f.annotation.box.iou(PLACE) > 0.5 for f in best)


def test_a_thing_that_appeared_is_the_best_finding() -> None:
    bare = lawn()
    best = found_in(bare, jpeg(with_disc(bare, CENTER, 24), 90))[0]
    assert best.annotation.box.iou(PLACE) > 0.8
    assert best.annotation.categories[0] is Category.AMPLITUDE
    assert "only in the reconstruction" in best.relevant.words


def test_a_thing_of_another_colour_is_amplitude_and_says_so() -> None:
    bare = lawn()
    best = found_in(with_disc(bare, CENTER, 24), jpeg(with_disc(bare, CENTER, 24, BLUE), 90))[0]
    assert best.annotation.box.iou(PLACE) > 0.8
    assert best.annotation.categories[0] is Category.AMPLITUDE
    assert "colour" in best.changed.words and "colour" in best.category.words


@pytest.mark.parametrize("shift", [(3, 0), (0, -3), (2, 2)])
def test_a_thing_that_moved_is_geometry(shift: tuple[int, int]) -> None:
    bare, shape = lawn(), arrow(CENTER, 48)
    best = found_in(with_polygon(bare, shape, WHITE), jpeg(with_polygon(bare, moved(shape, *shift), WHITE), 90))[0]
    assert is_hit(best.annotation.box, around(CENTER, 48, 24))
    assert best.annotation.categories[0] is Category.GEOMETRY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (polygon(CENTER, 60, 14), polygon(CENTER, 3, 14 * math.sqrt(4 * math.pi / 27**0.5))),
        (arrow(CENTER, 40), arrow(CENTER, 40, mirrored=True)),
    ],
    ids=["disc becomes triangle", "arrow is mirrored"],
)
def test_a_thing_of_another_form_is_shape(before: list[tuple[float, float]], after: list[tuple[float, float]]) -> None:
    bare = lawn()
    best = found_in(with_polygon(bare, before, WHITE), jpeg(with_polygon(bare, after, WHITE), 90))[0]
    assert is_hit(best.annotation.box, around(CENTER, 36))
    assert best.annotation.categories[0] is Category.SHAPE


@pytest.mark.parametrize("name", ["lawn", "astronaut", "coffee", "rocket"])
def test_uniform_degradation_scores_below_a_loss_in_a_clean_picture(name: str) -> None:
    bare = lawn(256, 256) if name == "lawn" else photograph(name)
    uniform = max((f.annotation.score or 0 for f in found_in(bare, jpeg(bare, 10))), default=0)
    lost = found_in(with_disc(bare, CENTER, 24, WHITE), bare)[0].annotation.score or 0
    assert uniform < lost


def test_the_answers_tell_a_clean_loss_from_a_visible_one() -> None:
    bare = lawn()
    full = with_disc(bare, CENTER, 24)
    clean, poor = found_in(full, jpeg(bare, 95), EVERYTHING)[0], found_in(full, jpeg(bare, 8), EVERYTHING)[0]
    assert clean.suspicion.value < 0.2 and clean.expected.value < 0.05
    assert poor.suspicion.value > clean.suspicion.value + 0.2
    assert (clean.annotation.score or 0) > (poor.annotation.score or 0)


def test_a_changed_letter_is_a_symbol_with_both_readings() -> None:
    sign = Box(60, 70, 80, 24)
    before, after = lawn(contrast=5), lawn(contrast=5)
    before[sign.y : sign.bottom, sign.x : sign.right] = 250
    after[sign.y : sign.bottom, sign.x : sign.right] = 190
    reader = ScriptedReader({250: [line("EXIT", sign)], 190: [line("EDIT", sign)]})
    best = run(before, after, RULES(), reader).findings[0]
    assert best.annotation.symbol and best.found_by == "text"
    assert best.annotation.box.iou(sign) > 0.8
    assert '"EXIT" may have become "EDIT"' in best.annotation.note
    assert (best.changed.numbers["before"], best.changed.numbers["after"]) == ("EXIT", "EDIT")
    assert best.relevant.value == 1


def test_a_change_on_text_that_reads_alike_counts_less_and_is_a_symbol_still() -> None:
    before = with_disc(lawn(), CENTER, 24, (250, 250, 250))
    after = with_disc(lawn(), CENTER, 24, (190, 60, 200))
    reader = ScriptedReader({250: [line("STOP", PLACE)], int(after.max()): [line("STOP", PLACE)]})
    read, unread = run(before, after, RULES(), reader).findings[0], found_in(before, after)[0]
    assert read.annotation.symbol and not unread.annotation.symbol
    assert read.annotation.box == unread.annotation.box
    assert read.relevant.value == pytest.approx(0.4 * unread.relevant.value, abs=1e-3)
    assert "reads the same" in read.relevant.words and read.relevant.numbers["text"] == "STOP"


def test_lines_that_were_not_compared_are_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("miscomp.detect.written.text_changes", lambda a, b, reader: TextChanges((), (), (), 31))
    (warning,) = run(lawn(), jpeg(lawn(), 50), RULES(), ScriptedReader({})).warnings
    assert "31 lines" in warning
    assert run(lawn(), jpeg(lawn(), 50)).warnings == ()


def test_text_is_read_only_when_asked_for() -> None:
    class Refusing:
        def lines(self, pixels: Pixels) -> list[object]:
            raise AssertionError("read although the settings say no")

    run(lawn(), jpeg(lawn(), 50), NO_TEXT, Refusing())  # type: ignore[arg-type]


def test_findings_are_ordered_limited_and_above_the_minimum() -> None:
    a, b = mixture()
    every = found_in(a, b, EVERYTHING)
    scores = [f.annotation.score or 0 for f in every]
    assert len(every) > 12 and scores == sorted(scores, reverse=True)
    few = found_in(a, b, RULES(text=False, minimum_score=0, per_megapixel=60, at_least=2))
    assert len(few) == round(60 * 0.32**2)
    high = found_in(a, b, RULES(text=False, minimum_score=0.5, per_megapixel=1e6))
    assert high and min(f.annotation.score or 0 for f in high) >= 0.5 > min(scores)


def test_findings_share_at_most_a_third_of_the_smaller_one() -> None:
    boxes = [f.annotation.box for f in found_in(*mixture(), EVERYTHING)]
    for one, other in combinations(boxes, 2):
        assert one.intersection(other) <= 0.3 * min(one.area, other.area)


def test_every_finding_is_complete_plain_and_consistent() -> None:
    for finding in found_in(*mixture(), EVERYTHING):
        row = finding.annotation
        row.box.check_inside(320, 320)
        assert (row.labeler, row.origin, row.version, row.time) == (LABELER, "detector", detector_version(NO_TEXT), "")
        assert row.id == display_id(SHA1, "given", row.box) and row.categories
        answers = (finding.changed, finding.relevant, finding.suspicion, finding.expected)
        assert (row.changed, row.relevant, row.suspicion, row.expected) == tuple(a.value for a in answers)
        changed, relevant, suspicion, expected = (answer.value for answer in answers)
        assert row.score == pytest.approx(changed * relevant * (1 - suspicion * expected), abs=1e-3)
        assert all(type(value) is int for value in (row.x, row.y, row.w, row.h)) and type(row.symbol) is bool
        for evidence in (*answers, finding.category):
            assert evidence.words and type(evidence.value) is float
            assert all(type(v) is str or (type(v) is float and math.isfinite(v)) for v in evidence.numbers.values())
            assert json.loads(json.dumps(dict(evidence.numbers), allow_nan=False)) == evidence.numbers


def test_the_same_pair_gives_the_same_findings() -> None:
    a, b = mixture()
    one, other = run(a, b), run(a.copy(), b.copy())
    assert one.findings == other.findings and one.findings
    assert np.array_equal(one.change_map, other.change_map)


def test_the_pictures_are_left_as_they_were() -> None:
    a, b = mixture()
    a.setflags(write=False)
    b.setflags(write=False)
    assert run(a, b).findings


def test_a_mirrored_pair_has_mirrored_findings() -> None:
    """The search for displacement and the sampling of similar places have a direction; scores may differ by 0.05."""
    bare = lawn(240, 240)
    a = with_disc(with_polygon(bare, arrow((60, 60), 40), WHITE), (160, 130), 24)
    b = jpeg(with_disc(bare, (60, 180), 30, BLUE), 70)
    straight = found_in(a, b)
    mirrored = found_in(np.ascontiguousarray(a[:, ::-1]), np.ascontiguousarray(b[:, ::-1]))
    assert len(straight) == len(mirrored) >= 3
    for one in straight:
        box = one.annotation.box
        twin = max(mirrored, key=lambda f: Box(240 - box.right, box.y, box.w, box.h).iou(f.annotation.box))
        assert Box(240 - box.right, box.y, box.w, box.h).iou(twin.annotation.box) > 0.8
        assert twin.annotation.score == pytest.approx(one.annotation.score, abs=0.05)
        assert twin.annotation.categories[0] is one.annotation.categories[0]


def test_strips_and_tiles_keep_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    a = with_disc(lawn(400, 160), (80, 130), 24)
    b = jpeg(lawn(400, 160), 80)
    whole = found_in(a, b)
    monkeypatch.setattr(cells, "_STRIP", 64)
    monkeypatch.setattr(cells, "_TILE", 128)
    cut = found_in(a, b)
    assert [f.annotation.box for f in cut] == [f.annotation.box for f in whole]
    assert [f.annotation.score for f in cut] == [f.annotation.score for f in whole]


def test_a_changed_word_keeps_its_place_against_a_stronger_object_that_it_covers() -> None:
    sign, bare = Box(5, 5, 590, 590), lawn(600, 600, contrast=5)
    before = with_disc(bare, CENTER, 36, (190, 125, 80))
    words = [[line(text, sign, confidence=0.8)] for text in ("EXIT", "EDIT")]
    reader = ScriptedReader({190: words[0], int(bare.max()): words[1]})
    (kept,) = run(before, bare, RULES(), reader).findings
    (alone,) = found_in(before, bare)
    assert kept.found_by == "text" and alone.found_by == "object"
    assert (kept.annotation.score or 0) < (alone.annotation.score or 0)


def test_the_detector_is_the_one_that_the_settings_name() -> None:
    before, after = with_disc(lawn(), (100, 100), 30), lawn()
    rules = run(before, after, DetectSettings(detector="rules", text=False)).findings[0]
    plain = run(before, after, DetectSettings(detector="difference", text=False, minimum_score=0)).findings[0]
    assert rules.annotation.version.startswith("rules-") and plain.annotation.version != rules.annotation.version
    assert plain.annotation.changed is None and "does not ask this" in plain.changed.words
    assert plain.annotation.box.iou(rules.annotation.box) > 0.1


def test_an_unknown_detector_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownName, match="rules"):
        run(lawn(), lawn(), DetectSettings(detector="oracle", text=False))


def test_weights_of_faces_need_a_detector_that_looks_for_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="face_embedding needs faces"):
        DetectSettings(face_embedding="sface.onnx")
    with pytest.raises(WeightsError, match=r"none\.onnx"):
        run(lawn(), lawn(), DetectSettings(detector="rules", text=False, faces=str(tmp_path / "none.onnx")))


def test_sources_are_refused_by_detectors_that_take_none() -> None:
    with pytest.raises(UsageError, match="does not look for faces; those that can: fused, rules"):
        open_detector("difference", sources=[lambda pair: []])
