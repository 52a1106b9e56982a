from __future__ import annotations

import math

import numpy as np
import pytest
from marked_codec import marked, noise

from miscomp.images import Pixels
from miscomp.records import Box
from miscomp.secure.calibration import Calibration, Thresholds
from miscomp.secure.locate import core_of, grown_by, iou, locate, mask_of, mask_pixels, overlay
from miscomp.secure.survival import compare, recompress

LINES = Thresholds(survives_below=-2, destroyed_above=-1, least_share=0.02, least_region=4, reach=4)
MARKED = Calibration(codec="marked@q0.65", quality=0.65, weights_sha256="", thresholds=LINES)


def forged() -> tuple[Pixels, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]:
    pixels = marked().again(noise(192, 256))
    mask = np.zeros((192, 256), np.bool_)
    mask[48:112, 64:160] = True
    pixels[mask] = noise(192, 256, 9)[mask]
    return pixels, mask


def test_a_splice_is_found_with_its_box_and_mask() -> None:
    """Oracle: the known mask. The window takes a rim away, the same on all sides; the reach gives it back."""
    pixels, mask = forged()
    found = locate(pixels, marked(), MARKED)
    assert found.verdict.answer == "partly"
    (place,) = found.places
    assert iou(found.mask, mask) > 0.95
    assert place.box == Box(64, 48, 96, 64)
    assert place.share == pytest.approx(float(found.mask.mean()), rel=1e-9)
    assert place.psnr_db > 40


def test_two_splices_are_two_places_the_largest_first() -> None:
    pixels, _ = forged()
    pixels[128:176, 192:240] = noise(48, 48, 3)
    found = locate(pixels, marked(), MARKED)
    assert len(found.places) == 2
    assert found.places[0].share > found.places[1].share
    assert sum(place.share for place in found.places) == pytest.approx(float(found.mask.mean()))


@pytest.mark.parametrize(("coded", "answer"), [(True, "carries"), (False, "absent")])
def test_nothing_is_located_in_what_is_coded_throughout_or_not_at_all(coded: bool, answer: str) -> None:
    codec, pixels = marked(), noise(128, 128)
    found = locate(codec.again(pixels) if coded else pixels, codec, MARKED)
    assert found.verdict.answer == answer
    assert found.places == () and not found.mask.any()
    assert found.heat.mean() == (0 if coded else 1)


def test_a_black_frame_is_no_place() -> None:
    pixels, mask = forged()
    framed = np.zeros((320, 384, 3), np.uint8)
    framed[64:256, 64:320] = pixels
    found = locate(framed, marked(), MARKED)
    assert len(found.places) == 1
    assert iou(found.mask[64:256, 64:320], mask) > 0.85 and not found.mask[:48].any()


def test_growth_is_measured_in_pixels() -> None:
    core = np.zeros((21, 21), np.bool_)
    core[10, 10] = True
    assert grown_by(core, 0).sum() == 1
    assert grown_by(core, 4).sum() == 5
    assert grown_by(core, 8).sum() == 13  # a disc of radius 2
    assert not grown_by(np.zeros((3, 3), np.bool_), 40).any()


def test_small_regions_are_no_core() -> None:
    """Oracle: 2 x 2 blocks survive, of which the windows leave 20 x 20 pixels: less than four blocks."""
    pixels = marked().again(noise(128, 128))
    pixels[32:64, 32:64] = noise(32, 32, 4)
    survival = compare(pixels, *recompress(pixels, marked().again))
    assert not core_of(survival, LINES).any()
    assert not mask_of(survival, LINES).any()


def test_the_mask_has_the_pictures_size_where_it_ends_within_a_block() -> None:
    pixels = marked().again(noise(139, 147))
    pixels[64:, 64:] = noise(75, 83, 2)
    found = locate(pixels, marked(), MARKED)
    assert found.mask.shape == (139, 147)
    assert found.mask[-1, -1]
    (place,) = found.places
    assert (place.box.right, place.box.bottom) == (147, 139)
    assert place.share == pytest.approx(float(found.mask.mean()))


def test_iou_is_pixels_in_both_by_pixels_in_either() -> None:
    a, b = np.zeros((2, 2, 2), np.bool_)
    assert math.isnan(iou(a, b))
    a[0], b[:, 0] = True, True
    assert iou(a, b) == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="one size"):
        iou(a, b[:1])


def test_the_overlay_marks_the_part_and_leaves_the_rest_as_it_is() -> None:
    pixels, _ = forged()
    found = locate(pixels, marked(), MARKED)
    shown = overlay(pixels, found)
    assert shown.shape == pixels.shape and shown.dtype == np.uint8
    assert np.array_equal(shown[150:], pixels[150:])
    assert not np.array_equal(shown[80, 100], pixels[80, 100])
    box = found.places[0].box
    assert tuple(shown[box.y, box.x + box.w // 2]) == (245, 130, 30)
    assert set(np.unique(mask_pixels(found.mask))) == {0, 255}
