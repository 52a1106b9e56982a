"""Faces in pairs of drawn pictures, found by a stand-in that knows how they are drawn; the oracle is what was drawn.

The detector and the embedding that OpenCV runs are stood in for: their files are not at hand, and neither was run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from planted import jpeg, lawn, with_disc
from scipy import ndimage

from miscomp.detect.base import PairInHand, Proposal
from miscomp.detect.cells import measure
from miscomp.detect.change import change_maps
from miscomp.detect.face_compare import landmark_change, vanished
from miscomp.detect.face_finder import (
    TILE,
    Face,
    Landmarks,
    Rows,
    SearchingFinder,
    distinct,
    match_faces,
    views,
)
from miscomp.detect.face_onnx import SFACE_SAME, SFaceEmbedding, YuNetLook
from miscomp.detect.face_structure import compare_structure
from miscomp.detect.faces import MAX_WEIGHTS_BYTES, FaceSource, note_without, open_faces
from miscomp.errors import UsageError, WeightsError
from miscomp.images import Pixels
from miscomp.records import Box

SKIN = (235, 190, 150)
PLACES = ((-0.2, -0.12), (0.2, -0.12), (0.0, 0.05), (-0.15, 0.22), (0.15, 0.22))
"""The landmarks of a drawn face, from its middle, in diameters."""


def with_face(pixels: Pixels, center: tuple[float, float], side: float) -> Pixels:
    """A disc with eyes under brows, a nose and a mouth; no part is symmetric upside down."""
    drawn = with_disc(pixels, center, side, SKIN)
    points = [(center[0] + x * side, center[1] + y * side) for x, y in PLACES]
    for x, y in points[:2]:
        drawn = with_disc(drawn, (x, y), 0.13 * side, (250, 250, 250))
        drawn = with_disc(drawn, (x, y + 0.02 * side), 0.08 * side, (40, 40, 60))
        left, right = ((round(x + dx * side), round(y - 0.09 * side)) for dx in (-0.08, 0.08))
        thick = max(round(0.03 * side), 1)
        drawn = np.asarray(cv2.line(drawn, left, right, (60, 40, 30), thick, cv2.LINE_AA), np.uint8)
    drawn = with_disc(drawn, points[2], 0.07 * side, (200, 140, 110))
    mouth = np.array([points[3], points[4], (center[0], center[1] + 0.3 * side)]).round().astype(np.int32)
    return np.asarray(cv2.fillPoly(drawn, [mouth], (170, 50, 60), cv2.LINE_AA), np.uint8)


def face_at(center: tuple[float, float], side: float, confidence: float = 0.99) -> Face:
    a, b, c, d, e = ((center[0] + x * side, center[1] + y * side) for x, y in PLACES)
    half = side / 2
    box = Box(round(center[0] - half), round(center[1] - half), round(side), round(side))
    return Face(box, confidence, (a, b, c, d, e))


def look(pixels: Pixels) -> Rows:
    """Every patch of skin of at least 9 pixels a side, as the row of the face that would be drawn there."""
    skin = np.abs(pixels.astype(np.int32) - SKIN).sum(2) < 70
    labels, _ = ndimage.label(ndimage.binary_closing(skin, iterations=2))
    rows = []
    for ys, xs in ndimage.find_objects(labels):
        side = float(xs.stop - xs.start)
        # What reaches a border is cut, and the circle around it would not fit.
        if min(side, ys.stop - ys.start) >= 9 and min(xs.start, ys.start) > 0 and abs(side - ys.stop + ys.start) < 4:
            face = face_at(((xs.start + xs.stop) / 2, (ys.start + ys.stop) / 2), side)
            corners = [xs.start, ys.start, xs.stop, ys.stop]
            rows.append([*corners, *(v for point in face.landmarks for v in point), 0.99])
    return np.array(rows, np.float32).reshape(-1, 15)


class ByLook:
    """The search with the stand-in."""

    identity = "drawn@00000000"

    def faces(self, pixels: Pixels, *, least: float = 0.8) -> list[Face]:
        """As the stand-in sees them."""
        return SearchingFinder(look, self.identity).faces(pixels, least=least)


def proposals(original: Pixels, reconstruction: Pixels, source: FaceSource | None = None) -> list[Proposal]:
    cells = measure(original, reconstruction)
    pair = PairInHand(original=original, reconstruction=reconstruction, cells=cells, change=change_maps(cells))
    return (source or FaceSource(ByLook()))(pair)


CENTER, SIDE = (110.0, 96.0), 70.0
FACE = face_at(CENTER, SIDE)
BARE = lawn()
FULL = with_face(BARE, CENTER, SIDE)


def flipped(pixels: Pixels, places: Sequence[tuple[float, float]], reach: float) -> Pixels:
    """Square patches around places, each turned upside down."""
    turned = pixels.copy()
    for x, y in places:
        ys, xs = slice(round(y - reach), round(y + reach)), slice(round(x - reach), round(x + reach))
        turned[ys, xs] = pixels[ys, xs][::-1]
    return turned


def test_an_equal_face_is_no_proposal() -> None:
    assert proposals(FULL, FULL.copy()) == []


@pytest.mark.parametrize("quality", [75, 90])
def test_a_coded_face_is_proposed_and_left_to_the_maps(quality: int) -> None:
    (found,) = proposals(FULL, jpeg(FULL, quality))
    assert found.box.iou(FACE.box) > 0.8
    assert found.changed is None and found.changed_words == ""
    assert (found.source, found.symbol, found.relevant) == ("face", True, 1)
    assert found.numbers["face_weights"] == "drawn@00000000"


def test_a_face_that_is_gone_is_lost_and_the_other_way_round_it_appeared() -> None:
    (lost,) = proposals(FULL, jpeg(BARE, 85))
    (appeared,) = proposals(jpeg(BARE, 85), FULL)
    for found, where in ((lost, "in the original, not in"), (appeared, "in the reconstruction, not in")):
        assert found.changed is not None and found.changed > 0.9
        assert where in found.changed_words
        assert found.box.iou(FACE.box) > 0.8


def test_eyes_turned_upside_down_are_a_change_at_the_eyes() -> None:
    after = jpeg(flipped(FULL, FACE.landmarks[:2], 0.17 * SIDE), 90)
    (found,) = proposals(FULL, after)
    assert found.changed is not None and found.changed > 0.5
    assert "left eye and right eye" in found.changed_words
    assert "by structure, not by identity" in found.changed_words
    assert found.box.bottom < FACE.landmarks[3][1] and found.box.area < 0.5 * FACE.box.area


def test_a_face_damaged_like_everything_around_it_did_not_change_by_itself() -> None:
    blurred = np.asarray(cv2.GaussianBlur(FULL, (0, 0), 3.0), np.uint8)
    alone = FULL.copy()
    box = FACE.box
    alone[box.y : box.bottom, box.x : box.right] = blurred[box.y : box.bottom, box.x : box.right]
    everywhere, only_face = (compare_structure(FULL, after, FACE) for after in (blurred, alone))
    assert only_face.excess(only_face.worst) > everywhere.excess(everywhere.worst) + 0.2


def test_structure_is_equal_in_equal_pictures_and_the_same_turned_by_a_quarter() -> None:
    """Oracle: turning both pictures and the landmarks changes nothing but the sampling."""
    assert set(compare_structure(FULL, FULL, FACE).parts.values()) == {0.0}
    after = flipped(FULL, FACE.landmarks[:1], 0.17 * SIDE)
    upright = compare_structure(FULL, after, FACE)
    assert upright.worst == "left eye"
    width = FULL.shape[1]
    a, b, c, d, e = ((y, width - x) for x, y in FACE.landmarks)
    turned_face = Face(Box(FACE.box.y, width - FACE.box.right, FACE.box.h, FACE.box.w), 0.99, (a, b, c, d, e))
    turned = compare_structure(np.ascontiguousarray(np.rot90(FULL)), np.ascontiguousarray(np.rot90(after)), turned_face)
    assert turned.parts == pytest.approx(upright.parts, abs=0.1)


def moved(face: Face, which: int, dx: float, dy: float) -> Face:
    points = list(face.landmarks)
    points[which] = (points[which][0] + dx, points[which][1] + dy)
    a, b, c, d, e = points
    return replace(face, landmarks=(a, b, c, d, e))


def test_a_landmark_that_moved_beyond_its_unrest_is_named_with_how_far() -> None:
    """By hand: the eyes are 0.4 * 70 = 28 pixels apart, and 14 pixels are half of that."""
    after = moved(FACE, 3, 0.0, -14.0)
    change = landmark_change(FACE, [FACE] * 3, [after] * 3)
    assert change is not None and change.certainty == 1
    assert change.words == "the left corner of the mouth of a face moved by 0.50 of the eye distance"
    assert change.box.contains(*FACE.landmarks[3])


def test_a_landmark_that_harmless_changes_move_as_far_did_not_move() -> None:
    after = moved(FACE, 3, 0.0, -14.0)
    assert landmark_change(FACE, [FACE, moved(FACE, 3, 0.0, -7.0), FACE], [after] * 3) is None
    assert landmark_change(FACE, [FACE] * 3, [after, FACE, after]) is None


def test_a_face_that_moved_as_a_whole_keeps_its_expression() -> None:
    a, b, c, d, e = ((x + 9, y + 4) for x, y in FACE.landmarks)
    assert landmark_change(FACE, [FACE] * 3, [replace(FACE, landmarks=(a, b, c, d, e))] * 3) is None


def test_a_flicker_of_confidence_is_no_loss() -> None:
    weak = replace(FACE, confidence=0.75)
    assert vanished([FACE, FACE, FACE], [None, None, None]) == 0.99
    assert vanished([FACE, FACE, FACE], [None, weak, None]) == 0
    assert vanished([FACE, None, FACE], [None, None, None]) == 0


class ByColour:
    """Stands in for an embedding: the mean colour of the face."""

    identity = "colour@11111111"
    same = SFACE_SAME

    def vector(self, pixels: Pixels, face: Face) -> NDArray[np.float64]:
        """Its direction from middle grey."""
        box = face.box
        mean = pixels[box.y : box.bottom, box.x : box.right].reshape(-1, 3).mean(0) - 128
        return np.asarray(mean / np.linalg.norm(mean), np.float64)


def test_another_person_is_said_with_the_cosine() -> None:
    """Oracle: the face is turned around middle grey, but for the skin that the stand-in detector needs."""
    source = FaceSource(ByLook(), ByColour())
    assert source.identity == "drawn@00000000+colour@11111111"

    class Other(ByColour):
        def vector(self, pixels: Pixels, face: Face) -> NDArray[np.float64]:
            toward = super().vector(pixels, face)
            return -toward if pixels[0, 0, 0] == 255 else toward

    after = FULL.copy()
    after[0, 0] = 255
    after[100, 110] = 0
    (same,) = proposals(FULL, after, source)
    assert same.changed is None and float(same.numbers["identity_cosine"]) > 0.99
    (other,) = proposals(FULL, after, FaceSource(ByLook(), Other()))
    assert other.changed == 1 and "another person (cosine -1.00" in other.changed_words


@pytest.mark.parametrize("side", [16, 40, 120, 240])
@pytest.mark.parametrize("size", [(330, 400), (1100, 330)])
def test_faces_of_many_sizes_are_found_where_they_were_drawn(size: tuple[int, int], side: int) -> None:
    height, width = size
    center = (0.55 * width, 0.6 * height)
    drawn = with_disc(np.full((height, width, 3), 90, np.uint8), center, side, SKIN)
    (face,) = SearchingFinder(look, "drawn").faces(drawn)
    assert face.box.center == pytest.approx(center, abs=3)
    assert face.box.w == pytest.approx(side, abs=4)
    assert face.landmarks[2] == pytest.approx((center[0], center[1] + 0.05 * side), abs=4)


@pytest.mark.parametrize("size", [(8, 8), (512, 768), (3000, 41), (4000, 6000)])
def test_views_cover_the_picture_and_none_is_larger_than_a_tile(size: tuple[int, int]) -> None:
    height, width = size
    by_scale: dict[float, NDArray[np.bool_]] = {}
    for view in views(width, height):
        view.box.check_inside(width, height)
        assert view.scale * max(view.box.w, view.box.h) <= TILE
        seen = by_scale.setdefault(view.scale, np.zeros((height, width), bool))
        seen[view.box.y : view.box.bottom, view.box.x : view.box.right] = True
    assert all(bool(seen.all()) for seen in by_scale.values())
    assert min(by_scale) * max(width, height) <= 600


def test_a_picture_without_room_for_a_face_has_none() -> None:
    assert SearchingFinder(look, "drawn").faces(np.zeros((7, 300, 3), np.uint8)) == []


def by_force(rows: Rows) -> list[int]:
    """The rule read out: go from the surest on; keep what overlaps nothing kept."""
    kept: list[int] = []
    for i in sorted(range(len(rows)), key=lambda i: (-rows[i, 14], *rows[i, :4])):
        box = [float(v) for v in rows[i, :4]]
        fits = True
        for j in kept:
            other = [float(v) for v in rows[j, :4]]
            both = max(min(box[2], other[2]) - max(box[0], other[0]), 0) * max(
                min(box[3], other[3]) - max(box[1], other[1]), 0
            )
            a, b = ((v[2] - v[0]) * (v[3] - v[1]) for v in (box, other))
            fits &= both <= 0.4 * (a + b - both) and both <= 0.8 * min(a, b)
        kept += [i] if fits else []
    return kept


@pytest.mark.parametrize("seed", range(5))
def test_repetitions_are_dropped_as_the_rule_read_out_does(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corner, size = rng.uniform(0, 60, (150, 2)), rng.uniform(5, 40, (150, 2))
    rows = np.zeros((150, 15), np.float32)
    rows[:, :2], rows[:, 2:4] = corner, corner + size
    rows[:, 14] = rng.integers(3, 10, 150) / 10
    kept = distinct(rows)
    assert kept == by_force(rows) and 5 < len(kept) < 150
    assert distinct(rows[:0]) == []


def test_faces_are_matched_one_to_one_by_overlap() -> None:
    near, far = face_at((112, 96), 70), face_at((400, 90), 70)
    assert match_faces([FACE, far], [far, near, FACE]) == [(0, 2), (1, 0)]
    assert match_faces([FACE], [face_at((180, 96), 70)]) == []


class StandInYuNet:
    """Answers as `cv2.FaceDetectorYN` is documented to: left, top, width, height, points, confidence."""

    def __init__(self, answer: NDArray[np.float32] | None) -> None:
        self.answer = answer
        self.size = (0, 0)

    def setInputSize(self, size: tuple[int, int], /) -> None:
        self.size = size

    def detect(self, image: NDArray[np.uint8], /) -> tuple[int, NDArray[np.float32] | None]:
        assert self.size == (image.shape[1], image.shape[0])
        return 1, self.answer


def test_answers_of_yunet_become_rows() -> None:
    answer = np.array([[10, 20, 30, 40, *range(10), 0.9]], np.float32)
    rows = YuNetLook(StandInYuNet(answer))(np.zeros((90, 120, 3), np.uint8))
    assert rows[0].tolist() == pytest.approx([10, 20, 40, 60, *range(10), 0.9])
    assert YuNetLook(StandInYuNet(None))(np.zeros((90, 120, 3), np.uint8)).shape == (0, 15)


class StandInSFace:
    """Keeps the row that it was given; its feature is not of length 1."""

    def alignCrop(self, image: NDArray[np.uint8], row: NDArray[np.float32], /) -> NDArray[np.float32]:
        assert image[0, 0].tolist() == [3, 2, 1]
        return row

    def feature(self, aligned: NDArray[np.float32], /) -> NDArray[np.float32]:
        return aligned[None, 4:6]


def test_a_feature_of_sface_becomes_a_vector_of_length_1() -> None:
    points: Landmarks = ((3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 1.0), (2.0, 3.0))
    pixels = np.broadcast_to(np.array([1, 2, 3], np.uint8), (20, 20, 3))
    vector = SFaceEmbedding(StandInSFace(), "x").vector(pixels, Face(Box(1, 2, 9, 9), 0.9, points))
    assert vector.tolist() == pytest.approx([0.6, 0.8])


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def test_a_detector_that_is_missing_or_foreign_is_refused_with_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="biubug6/Pytorch_Retinaface, MIT"):
        open_faces("")
    for given, complaint in (
        (str(tmp_path / "none.pth"), "is no file"),
        (str(tmp_path), "is no file"),
        (written(tmp_path / "text.onnx", b"hello"), "neither a PyTorch checkpoint nor an ONNX file"),
        (written(tmp_path / "empty.pth", b""), "neither"),
        (written(tmp_path / "some.pth", b"\x80\x02]q\x00."), "PyTorch checkpoint of weights"),
    ):
        with pytest.raises(WeightsError, match=complaint) as caught:
            open_faces(given)
        assert "RetinaFace with MobileNet 0.25" in str(caught.value)


def test_garbage_that_begins_like_onnx_is_refused(tmp_path: Path) -> None:
    for number in range(4):
        garbage = b"\x08" + np.random.default_rng(number).bytes(300 * number)
        with pytest.raises(WeightsError, match="is not YuNet"):
            open_faces(written(tmp_path / "yunet.onnx", garbage))


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / "large.pth").open("wb") as file:
        file.truncate(MAX_WEIGHTS_BYTES + 1)
    with pytest.raises(WeightsError, match="at most"):
        open_faces(str(tmp_path / "large.pth"))


def test_a_report_without_a_detector_says_that_faces_were_not_looked_for() -> None:
    assert note_without().startswith("Faces were not looked for: no face detector was given.")
