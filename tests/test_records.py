"""Boxes, the hit rule, ids, and the checks of the records."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from miscomp.records import Annotation, Box, Evidence, ImageRow, ModelRow, View, display_id, is_hit
from miscomp.taxonomy import Category

SHA1 = "01f0f60f" + "0" * 32
BOXES = st.builds(Box, st.integers(0, 30), st.integers(0, 30), st.integers(1, 20), st.integers(1, 20))


def annotation(**changes: Any) -> Annotation:
    values: dict[str, Any] = {
        "id": "i", "filename": "f.png", "image_sha1": SHA1, "model": "given", "x": 1, "y": 2, "w": 3, "h": 4,
        "labeler": "anna", "origin": "person",
    }  # fmt: skip
    return Annotation(**(values | changes))


def image_row(**changes: Any) -> ImageRow:
    values: dict[str, Any] = {"filename": "f", "image_sha1": SHA1, "model": "given", "width": 8, "height": 9}
    return ImageRow(**(values | changes))


def pixels(box: Box) -> set[tuple[int, int]]:
    return {(x, y) for x in range(box.x, box.right) for y in range(box.y, box.bottom)}


@given(BOXES, BOXES)
def test_areas_and_overlaps_count_pixels(a: Box, b: Box) -> None:
    """Oracle: sets of pixels."""
    assert a.area == len(pixels(a))
    assert a.intersection(b) == b.intersection(a) == len(pixels(a) & pixels(b))
    assert a.iou(b) == len(pixels(a) & pixels(b)) / len(pixels(a) | pixels(b))
    both = pixels(a) | pixels(b)
    union = a.union_box(b)
    assert both <= pixels(union)
    assert (union.x, union.y) == (min(x for x, _ in both), min(y for _, y in both))
    assert (union.right, union.bottom) == (max(x for x, _ in both) + 1, max(y for _, y in both) + 1)


@given(BOXES, st.integers(0, 60), st.integers(0, 60))
def test_a_box_contains_its_pixels_and_no_others(box: Box, x: int, y: int) -> None:
    assert box.contains(x, y) == ((x, y) in pixels(box))


@given(BOXES, st.integers(0, 9))
def test_a_grown_box_stays_inside_the_image(box: Box, margin: int) -> None:
    grown = box.grown(margin, 50, 50)
    grown.check_inside(50, 50)
    assert pixels(grown) == {
        (x, y)
        for x in range(max(0, box.x - margin), min(50, box.right + margin))
        for y in range(max(0, box.y - margin), min(50, box.bottom + margin))
    }


@pytest.mark.parametrize("values", [(-1, 0, 1, 1), (0, -1, 1, 1), (0, 0, 0, 1), (0, 0, 1, 0)])
def test_a_box_is_never_empty_or_negative(values: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="needs x, y >= 0 and w, h >= 1"):
        Box(*values)


@pytest.mark.parametrize("value", [1.0, "1", True, None])
def test_a_box_takes_whole_numbers_only(value: Any) -> None:
    with pytest.raises(ValueError, match="needs whole numbers"):
        Box(0, 0, value, 1)


def test_a_box_outside_its_image_is_refused() -> None:
    Box(2, 3, 8, 7).check_inside(10, 10)
    for width, height in ((9, 10), (10, 9)):
        with pytest.raises(ValueError, match="reaches outside the image"):
            Box(2, 3, 8, 7).check_inside(width, height)


def test_a_box_hash_is_the_sha1_of_its_text_and_ids_have_the_published_form() -> None:
    box = Box(10, 20, 30, 40)
    assert box.hash8 == hashlib.sha1(b"10,20,30,40").hexdigest()[:8] == "4554712a"
    assert display_id(SHA1, "03L", box) == "01f0f60f-03L-4554712a"  # the form of SCLIC's 01f0f60f-03L-38b9cdda


LABEL = Box(10, 10, 10, 10)


@pytest.mark.parametrize(
    ("finding", "hit"),
    [
        (LABEL, True),
        (Box(15, 15, 1, 1), True),  # holds the centre (15, 15), though its IoU is 0.01
        (Box(14, 14, 1, 1), False),  # ends at the centre: half-open
        (Box(16, 10, 10, 10), True),  # misses the centre; IoU 40 / 160
        (Box(18, 10, 10, 10), True),  # IoU 20 / 180 = 0.11
        (Box(19, 10, 10, 10), False),  # IoU 10 / 190 = 0.05
        (Box(0, 0, 40, 40), True),  # exactly 16 times as large
        (Box(0, 0, 40, 41), False),
    ],
)
def test_hit_rule(finding: Box, hit: bool) -> None:
    assert is_hit(finding, LABEL) is hit


def test_an_iou_of_exactly_one_tenth_hits() -> None:
    label, finding = Box(0, 0, 11, 1), Box(9, 0, 11, 1)
    assert label.iou(finding) == 0.1
    assert not finding.contains(*label.center)
    assert is_hit(finding, label)


def test_an_annotation_gives_its_box_and_categories() -> None:
    found = annotation(category="SHAPE+AMPLITUDE")
    assert found.box == Box(1, 2, 3, 4)
    assert found.categories == (Category.SHAPE, Category.AMPLITUDE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_sha1": "01F0" * 10}, "40 lower-case hex digits"),
        ({"image_sha1": SHA1 + "\n"}, "40 lower-case hex digits"),
        ({"id": ""}, "id must not be empty"),
        ({"filename": ""}, "filename must not be empty"),
        ({"model": ""}, "model must not be empty"),
        ({"labeler": ""}, "labeler must not be empty"),
        ({"w": 0}, "w, h >= 1"),
        ({"origin": "robot"}, "origin must be one of person, detector, truth, simulated, got 'robot'"),
        ({"multi_kind": "odd"}, "multi_kind must be empty or one of"),
        ({"category": "shape"}, "unknown category 'shape'"),
        ({"score": 1.01}, "score must lie in"),
        ({"changed": -0.01}, "changed must lie in"),
        ({"relevant": float("nan")}, "relevant must lie in"),
        ({"suspicion": float("inf")}, "suspicion must lie in"),
        ({"expected": 2}, "expected must lie in"),
        ({"time": "2025-10-27 09:30:00"}, "ISO-8601 in UTC"),
        ({"time": "2025-10-27T09:30:00+01:00"}, "ISO-8601 in UTC"),
        ({"time": "\u0662025-10-27T09:30:00Z"}, "ISO-8601 in UTC"),
    ],
)
def test_an_annotation_is_checked_when_it_is_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        annotation(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width, height >= 1"),
        ({"bpp": 0.0}, "bpp must be positive"),
        ({"bpp": float("inf")}, "bpp must be positive"),
        ({"psnr": -1.0}, "psnr must be >= 0"),
        ({"psnr": float("nan")}, "psnr must be >= 0"),
        ({"ssim": 1.1}, r"ssim must lie in \[-1, 1\]"),
        ({"ms_ssim": float("nan")}, r"ms_ssim must lie in \[-1, 1\]"),
        ({"annotations": -1}, "annotations must be >= 0"),
        ({"filename": ""}, "filename must not be empty"),
    ],
)
def test_an_image_row_is_checked_when_it_is_made(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_row(**changes)


def test_identical_images_have_infinite_psnr() -> None:
    assert image_row(psnr=float("inf")).psnr == float("inf")


def test_views_models_and_evidence_are_checked() -> None:
    with pytest.raises(ValueError, match="opened must be ISO-8601"):
        View(filename="f", image_sha1=SHA1, model="given", labeler="anna", opened="yesterday")
    with pytest.raises(ValueError, match="codec must not be empty"):
        ModelRow(model="03L", codec="")
    with pytest.raises(ValueError, match="target_bpp must be positive"):
        ModelRow(model="03L", codec="hific", target_bpp=float("nan"))
    with pytest.raises(ValueError, match="value must lie in"):
        Evidence(value=1.5, words="impossible")


def test_records_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        annotation().score = 0.5  # type: ignore[misc]
