"""Baselines. Oracles: where the pictures were changed, published colour differences, and other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from planted import around, lawn, with_disc
from scripted import ScriptedReader, line

from miscomp.detect import baselines
from miscomp.detect.base import Detections, DetectSettings
from miscomp.detect.catalog import DETECTORS, open_detector
from miscomp.detect.peaks import LEAST_SIDE, MOST_SIDE, peaks
from miscomp.detect.remember import RememberingReader
from miscomp.errors import SizeMismatch, UsageError
from miscomp.images import Pixels
from miscomp.metrics.ciede2000 import ciede2000, lab
from miscomp.metrics.gmsd import gms_map
from miscomp.metrics.ssim import ssim, ssim_map
from miscomp.records import Box, is_hit

MAPS = ("difference", "ssim", "gmsd", "ciede2000")
ALL = DetectSettings(minimum_score=0.0, per_megapixel=60, at_least=20)

# Sharma, Wu and Dalal 2005, table 1: two colours in CIELAB and their difference; the pairs that implementations
# get wrong (hues on both sides of 0, opposite hues, greys) and some others.
SHARMA = (
    (50.0, 2.6772, -79.7751, 50.0, 0.0, -82.7485, 2.0425),
    (50.0, -1.3802, -84.2814, 50.0, 0.0, -82.7485, 1.0000),
    (50.0, 0.0, 0.0, 50.0, -1.0, 2.0, 2.3669),
    (50.0, -1.0, 2.0, 50.0, 0.0, 0.0, 2.3669),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0009, 7.1792),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0010, 7.1792),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0011, 7.2195),
    (50.0, 2.4900, -0.0010, 50.0, -2.4900, 0.0012, 7.2195),
    (50.0, -0.0010, 2.4900, 50.0, 0.0009, -2.4900, 4.8045),
    (50.0, -0.0010, 2.4900, 50.0, 0.0011, -2.4900, 4.7461),
    (50.0, 2.5, 0.0, 50.0, 0.0, -2.5, 4.3065),
    (50.0, 2.5, 0.0, 73.0, 25.0, -18.0, 27.1492),
    (50.0, 2.5, 0.0, 61.0, -5.0, 29.0, 22.8977),
    (50.0, 2.5, 0.0, 56.0, -27.0, -3.0, 31.9030),
    (50.0, 2.5, 0.0, 58.0, 24.0, 15.0, 19.4535),
    (60.2574, -34.0099, 36.2677, 60.4626, -34.1751, 39.4387, 1.2644),
    (63.0109, -31.0961, -5.8663, 62.8187, -29.7946, -4.0864, 1.2630),
    (22.7233, 20.0904, -46.6940, 23.0331, 14.9730, -42.5619, 2.0373),
    (90.8027, -2.0831, 1.4410, 91.1528, -1.6435, 0.0447, 1.4441),
    (6.7747, -0.2908, -2.4247, 5.8714, -0.0985, -2.2286, 0.6377),
    (2.0776, 0.0795, -1.1350, 0.9033, -0.0636, -0.5514, 0.9082),
)


def noisy(pixels: Pixels, seed: int = 1, sigma: float = 2) -> Pixels:
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(np.round(pixels + noise), 0, 255).astype(np.uint8)


def look(name: str, original: Pixels, reconstruction: Pixels, settings: DetectSettings = ALL) -> Detections:
    return open_detector(name)(original, reconstruction, settings)


@pytest.mark.parametrize("name", MAPS)
def test_a_disc_that_vanished_is_found_first(name: str) -> None:
    plain = lawn()
    found = look(name, with_disc(plain, (120, 70), 24), noisy(plain))
    best = found.found[0]
    assert is_hit(best.box, around((120, 70), 24)) and best.source == name
    assert [one.score for one in found.found] == sorted((one.score for one in found.found), reverse=True)
    assert all(0 <= one.score <= 1 and min(one.box.w, one.box.h) >= LEAST_SIDE for one in found.found)
    assert found.heat.shape == (50, 50) and 0 <= found.heat.min() <= found.heat.max() <= 1
    row, column = np.unravel_index(found.heat.argmax(), found.heat.shape)
    assert abs(4 * column + 2 - 120) <= 14 and abs(4 * row + 2 - 70) <= 14


@pytest.mark.parametrize("name", [*MAPS, "random"])
def test_every_size_works_and_unequal_ones_are_refused(name: str) -> None:
    for height, width in ((1, 1), (3, 7), (17, 5), (300, 13)):
        pixels = lawn(height, width)
        found = look(name, pixels, 255 - pixels)
        assert found.heat.shape == (-(-height // 4), -(-width // 4))
        for one in found.found:
            one.box.check_inside(width, height)
    with pytest.raises(SizeMismatch):
        look(name, lawn(20, 30), lawn(30, 20))


@pytest.mark.parametrize("name", MAPS)
def test_equal_pictures_have_nothing_and_settings_hold(name: str) -> None:
    pixels = lawn()
    same = look(name, pixels, pixels)
    assert same.found == () and not same.heat.any()
    few = DetectSettings(minimum_score=0.0, per_megapixel=1, at_least=3)
    assert len(look(name, pixels, noisy(pixels), few).found) == 3
    strict = DetectSettings(minimum_score=0.999)
    assert look(name, pixels, noisy(pixels), strict).found == ()


def test_a_map_in_strips_is_that_of_the_whole() -> None:
    original = lawn(600, 40)
    reconstruction = noisy(original)
    whole = ((original.astype(int) - reconstruction) ** 2).mean(2).reshape(150, 4, 10, 4).mean((1, 3))
    assert np.allclose(baselines._difference_map(original, reconstruction), whole, atol=1e-4)


def test_peaks_have_boxes_as_far_as_half_their_height() -> None:
    amount = np.zeros((40, 60), np.float32)
    amount[10:15, 20:28] = 1.0
    amount[30, 50] = 0.5
    found = peaks(amount, 240, 160, sigmas=(0.0,), most=20)
    assert found[0] == (Box(80, 40, 32, 20), 1.0)
    assert found[-1] == (Box(196, 116, 12, 12), 0.5)  # one cell, widened about its middle
    assert peaks(np.ones((40, 60), np.float32), 240, 160, sigmas=(1.0,), most=1)[0][0].w <= MOST_SIDE
    assert peaks(np.zeros((4, 4), np.float32), 16, 16, sigmas=(1.0,), most=5) == []


def test_random_boxes_are_those_of_the_pair_and_of_the_sizes_asked_for() -> None:
    a, b = lawn(400, 500), lawn(400, 500, seed=1)
    one, again, other = look("random", a, b), look("random", a, b), look("random", a, a)
    assert one.found == again.found != other.found and np.array_equal(one.heat, again.heat)
    assert len(one.found) == 20
    sides = [side for d in one.found for side in (d.box.w, d.box.h)]
    assert min(sides) >= baselines.SMALLEST and max(sides) <= baselines.LARGEST


def test_text_alone_reports_words_whose_reading_changed() -> None:
    a, b = np.zeros((60, 200, 3), np.uint8), np.zeros((60, 200, 3), np.uint8)
    a[20:40, 40:120], b[20:40, 40:120] = 100, 200
    box = Box(40, 20, 80, 20)
    reader = ScriptedReader({100: [line("MUSEUM", box)], 200: [line("HARBOR", box)]})
    found = baselines.text(reader=reader)(a, b, ALL)
    assert is_hit(found.found[0].box, box) and found.found[0].symbol and "MUSEUM" in found.found[0].note
    assert found.heat.max() == np.float32(found.found[0].score)
    silent = DetectSettings(text=False, minimum_score=0.0)
    assert baselines.text(reader=reader)(a, b, silent).found == ()
    with pytest.raises(UsageError, match="does nothing but read"):
        baselines.text()


def test_every_baseline_of_the_registry_opens() -> None:
    reader = ScriptedReader({0: []})
    for row in DETECTORS:
        if row.baseline:
            assert open_detector(row.name, reader=reader).version


def test_a_remembering_reader_reads_pixels_once_and_says_what_that_saved() -> None:
    asked = []

    class Slow(ScriptedReader):
        def lines(self, pixels: Pixels):  # type: ignore[no-untyped-def]
            asked.append(1)
            return super().lines(pixels)

    reader = RememberingReader(Slow({0: [line("A", Box(0, 0, 5, 5))]}))
    pixels = np.zeros((20, 20, 3), np.uint8)
    first = reader.lines(pixels)
    assert reader.saved_seconds == 0 and reader.lines(pixels.copy()) == first and len(asked) == 1
    assert reader.saved_seconds > 0


@pytest.mark.parametrize("row", SHARMA)
def test_ciede2000_is_as_published(row: tuple[float, ...]) -> None:
    one, other, expected = np.array(row[:3]), np.array(row[3:6]), row[6]
    assert float(ciede2000(one, other)) == pytest.approx(expected, abs=5e-5)
    assert float(ciede2000(other, one)) == pytest.approx(expected, abs=5e-5)


def test_ciede2000_and_cielab_are_scikit_image_s() -> None:
    colour = pytest.importorskip("skimage.color", reason="the extra 'demo' is not installed")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 60, 80, 3), dtype=np.uint8)
    b[:10], b[10:20] = a[:10], 255 - a[10:20]
    assert np.abs(lab(a) - colour.rgb2lab(a)).max() < 1e-3
    one, other = lab(a).astype(np.float64), lab(b).astype(np.float64)
    assert np.allclose(ciede2000(one, other), colour.deltaE_ciede2000(one, other), atol=1e-6)
    assert not ciede2000(one[:10], other[:10]).any()


def test_the_ssim_map_s_inside_has_the_mean_that_ssim_says() -> None:
    original = lawn(90, 70)
    reconstruction = noisy(original, sigma=12)
    values = ssim_map(original, reconstruction)
    assert values.shape == (90, 70)
    assert float(values[5:-5, 5:-5].mean(dtype=np.float64)) == pytest.approx(ssim(original, reconstruction), abs=1e-5)
    assert np.allclose(ssim_map(original, original), 1)


def test_gradient_similarity_is_the_paper_s_formula() -> None:
    """Oracle: Prewitt sums and the formula written out for one pixel."""
    rng = np.random.default_rng(0)
    a, b = (np.repeat(np.repeat(rng.integers(0, 256, (5, 5)), 2, 0), 2, 1).astype(np.uint8) for _ in range(2))
    gradients = []
    for grey in (a, b):
        around = grey[2:8:2, 2:8:2].astype(float)
        across = (around[:, 2] - around[:, 0]).sum() / 3
        down = (around[2] - around[0]).sum() / 3
        gradients.append(np.hypot(across, down))
    g, h = gradients
    expected = (2 * g * h + 170) / (g**2 + h**2 + 170)
    found = gms_map(*(np.stack([grey] * 3, axis=-1) for grey in (a, b)))
    assert found.shape == (5, 5) and found[2, 2] == pytest.approx(expected, rel=1e-5)
