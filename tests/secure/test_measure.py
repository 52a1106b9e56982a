from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from scripted import ScriptedReader, line

from miscomp.detect.reader import RapidReader
from miscomp.detect.words import Line
from miscomp.errors import SizeMismatch
from miscomp.images import Pixels, list_images, read
from miscomp.metrics.psnr import psnr_pixels
from miscomp.metrics.structure import fitted_psnr, flat_psnr
from miscomp.records import Box
from miscomp.secure.measure import measure
from miscomp.tensors import to_tensor


def noise(height: int, width: int, *, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(level: int, height: int = 20, width: int = 30) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def by_least_squares(p: Pixels, p2: Pixels) -> float:
    """The fitted PSNR by numpy's solver, one channel after the other."""
    errors = []
    for c in range(3):
        terms = np.stack([p2[..., c].ravel().astype(float), np.ones(p2[..., c].size)], axis=1)
        target = p[..., c].ravel().astype(float)
        best, *_ = np.linalg.lstsq(terms, target, rcond=None)
        errors.append(np.square(terms @ best - target).mean())
    return float(10 * np.log10(255**2 / np.mean(errors)))


def test_the_fit_is_that_of_least_squares_per_channel() -> None:
    p = noise(33, 47)
    mixed = (0.3 * p + 0.7 * noise(33, 47, seed=1)).astype(np.uint8)
    for p2 in (mixed, 255 - mixed, noise(33, 47, seed=2), (p // 3).astype(np.uint8)):
        found = measure(p, p2)
        assert found.fitted_psnr_db == pytest.approx(by_least_squares(p, p2), abs=1e-9)
        assert found.fitted_psnr_db >= max(found.flat_psnr_db, found.psnr_db)
        assert found.psnr_db == psnr_pixels(p, p2)


def test_the_flat_psnr_is_that_of_the_variances_and_the_floor_of_the_fit() -> None:
    p = noise(33, 47)
    expected = 10 * math.log10(255**2 / p.reshape(-1, 3).astype(float).var(axis=0).mean())
    assert measure(p, noise(33, 47, seed=1)).flat_psnr_db == pytest.approx(expected, abs=1e-9)
    # A picture of one colour carries nothing: the fit then reaches the floor exactly.
    found = measure(p, flat(9, 33, 47))
    assert found.fitted_psnr_db == found.flat_psnr_db == pytest.approx(expected, abs=1e-9)


def test_pixels_and_tensors_agree_on_the_fit() -> None:
    p, p2 = noise(40, 40), noise(40, 40, seed=1)
    found = measure(p, p2)
    # The differentiable forms carry an epsilon and single precision.
    assert float(fitted_psnr(to_tensor(p), to_tensor(p2))) == pytest.approx(found.fitted_psnr_db, abs=1e-3)
    assert float(flat_psnr(to_tensor(p))) == pytest.approx(found.flat_psnr_db, abs=1e-3)


def test_the_normalised_psnr_is_that_of_both_pictures_stretched_over_all_channels() -> None:
    p, p2 = (noise(12, 17) // 2 + 30).astype(np.uint8), (noise(12, 17, seed=1) // 3).astype(np.uint8)
    p[0, 0], p2[0, 0] = (40, 30, 157), (0, 85, 3)
    a, b = (torch.from_numpy(one / 255.0) for one in (p, p2))
    a, b = ((one - one.min()) / (one.max() - one.min()) for one in (a, b))
    expected = float(-10 * (a - b).square().mean().log10())
    assert measure(p, p2).normalised_psnr_db == pytest.approx(expected, abs=1e-9)


def test_a_weaker_copy_is_equal_once_it_is_stretched() -> None:
    p = noise(20, 20) // 86 * 100
    p[0, 0, 0], p[0, 0, 1] = 0, 200
    weak = (p // 100 * 7 + 50).astype(np.uint8)
    found = measure(p.astype(np.uint8), weak)
    assert found.normalised_psnr_db == found.fitted_psnr_db == math.inf
    assert found.psnr_db < 20


def test_a_negative_has_a_low_psnr_and_everything_else_shows_that_nothing_is_lost() -> None:
    p = (noise(64, 64) // 2).astype(np.uint8)
    found = measure(p, 255 - p)
    assert found.psnr_db < 7
    assert found.fitted_psnr_db == math.inf
    assert found.local_correlation > 0.95


def test_equal_pictures_are_infinitely_alike() -> None:
    p = noise(64, 64)
    found = measure(p, p.copy())
    assert found.psnr_db == found.normalised_psnr_db == found.fitted_psnr_db == math.inf
    assert 0.95 < found.local_correlation <= 1
    assert (found.words, found.words_read_again) == (None, None)


def test_unrelated_pictures_hardly_correlate() -> None:
    # Of 256 independent values, the mean absolute correlation is sqrt(2 / (pi * 256)) = 0.05.
    assert measure(noise(128, 128), noise(128, 128, seed=1)).local_correlation < 0.08


def test_pictures_of_one_colour_are_defined() -> None:
    same, other = measure(flat(7), flat(7)), measure(flat(7), flat(17))
    assert same.psnr_db == math.inf and other.psnr_db == pytest.approx(20 * math.log10(25.5))
    for found in (same, other):
        assert found.fitted_psnr_db == found.flat_psnr_db == math.inf
        assert math.isnan(found.normalised_psnr_db)
        assert found.local_correlation == 0
    assert math.isnan(measure(noise(20, 30), flat(7)).normalised_psnr_db)


def test_one_pixel_can_be_measured_and_two_sizes_cannot() -> None:
    found = asdict(measure(flat(7, 1, 1), flat(9, 1, 1)))
    assert found["psnr_db"] == pytest.approx(20 * math.log10(255 / 2))
    with pytest.raises(SizeMismatch, match="30 x 20"):
        measure(flat(7), flat(7, 30, 20))


def test_the_sums_are_exact_over_many_strips() -> None:
    p = noise(900, 700)
    assert measure(p, 255 - p).fitted_psnr_db == math.inf


def script(here: list[Line], there: list[Line]) -> ScriptedReader:
    return ScriptedReader({200: here, 100: there})


def words(here: list[Line], there: list[Line]) -> tuple[int | None, int | None]:
    found = measure(flat(200, 80, 300), flat(100, 80, 300), reader=script(here, there))
    return found.words, found.words_read_again


EXIT, GATE = line("EXIT", Box(10, 10, 60, 20)), line("GATE", Box(10, 50, 60, 20))


def test_words_count_as_read_again_at_their_place_only() -> None:
    assert words([EXIT, GATE], [EXIT, GATE]) == (2, 2)
    assert words([EXIT, GATE], [GATE]) == (2, 1)
    assert words([GATE], [line("other", Box(10, 50, 60, 20)), line("GATE", Box(200, 50, 60, 20))]) == (1, 0)
    assert words([EXIT], []) == (1, 0)
    assert words([], [EXIT]) == (0, 0)


def test_a_word_is_the_same_with_look_alikes_and_capitals_and_whatever_its_confidence() -> None:
    assert words([EXIT], [line("Ex1t", Box(12, 9, 60, 20), confidence=0.5)]) == (1, 1)
    assert words([EXIT], [line("EDIT", Box(12, 9, 60, 20))]) == (1, 0)


def test_only_sure_words_of_the_first_picture_count() -> None:
    assert words([line("EXIT", Box(10, 10, 60, 20), confidence=0.6)], [EXIT]) == (0, 0)


def test_a_word_that_the_search_misses_is_read_where_its_line_was() -> None:
    class Searchless(ScriptedReader):
        def lines(self, pixels: Pixels) -> list[Line]:
            return super().lines(pixels) if pixels.max() == 200 else []

    reader = Searchless({200: [EXIT], 100: [EXIT]})
    found = measure(flat(200, 80, 300), flat(100, 80, 300), reader=reader)
    assert (found.words, found.words_read_again) == (1, 1)


def test_a_drawn_word_survives_its_negative_and_not_noise() -> None:
    pytest.importorskip("rapidocr", reason="the extra 'text' is not installed")
    picture = Image.new("RGB", (260, 80), (205, 205, 200))
    ImageDraw.Draw(picture).text((40, 20), "Platform 42", fill=(20, 20, 30), font=ImageFont.load_default(32))
    p, reader = np.asarray(picture), RapidReader(threads=1)
    negative, gone = measure(p, 255 - p, reader=reader), measure(p, noise(80, 260), reader=reader)
    assert (negative.words, negative.words_read_again) == (2, 2)
    assert (gone.words, gone.words_read_again) == (2, 0)


@pytest.mark.slow
def test_the_documented_floor_of_kodak_and_its_negatives_hold(data_folder: Path) -> None:
    floors, negatives = [], []
    for path in list_images(data_folder / "kodak"):
        p = read(path).pixels
        found = measure(p, 255 - p)
        floors.append(found.flat_psnr_db)
        negatives.append(found.psnr_db)
    assert len(floors) == 24
    assert np.mean(floors) == pytest.approx(14.67, abs=0.01)
    assert np.mean(negatives) == pytest.approx(6.8, abs=0.2)
