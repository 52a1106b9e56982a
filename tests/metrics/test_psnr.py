from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio

from miscomp.errors import SizeMismatch
from miscomp.images import Pixels
from miscomp.metrics.psnr import psnr, psnr_pixels


def noise(height: int, width: int, *, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_an_error_of_one_level_everywhere_is_the_textbook_value() -> None:
    x = np.full((5, 7, 3), 100, np.uint8)
    # Oracle: 20 * log10(255), by hand.
    assert psnr_pixels(x, x + 1) == pytest.approx(48.1308036, abs=1e-6)


def test_the_sum_of_squares_is_exact_for_the_largest_error() -> None:
    x = np.zeros((1500, 1600, 3), np.uint8)
    # Oracle: black against white is 0 dB; any overflow or rounding would show.
    assert psnr_pixels(x, x + 255) == 0.0


def test_identical_pictures_give_infinity_not_a_cap() -> None:
    x = noise(9, 9)
    assert psnr_pixels(x, x) == math.inf
    same = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    assert psnr(same, same).tolist() == [math.inf, math.inf]


def test_pixels_agree_with_scikit_image_over_many_strips() -> None:
    x, x_hat = noise(1300, 900), noise(1300, 900, seed=1)
    assert psnr_pixels(x, x_hat) == pytest.approx(peak_signal_noise_ratio(x, x_hat), abs=1e-9)


def test_a_batch_gives_one_value_per_image_and_pools_nothing() -> None:
    x = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    x_hat = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.01)]).double()
    # Oracle: -20 * log10(error), by hand.
    assert psnr(x, x_hat).tolist() == pytest.approx([20.0, 40.0], abs=1e-5)


def test_tensors_and_pixels_agree() -> None:
    x, x_hat = noise(30, 40), noise(30, 40, seed=1)
    tensors = [torch.from_numpy(p / 255.0).permute(2, 0, 1)[None] for p in (x, x_hat)]
    assert psnr_pixels(x, x_hat) == pytest.approx(float(psnr(*tensors)), abs=1e-9)


def test_two_sizes_are_an_error_that_names_both() -> None:
    with pytest.raises(SizeMismatch, match=r"40 x 30 .* 30 x 40"):
        psnr_pixels(noise(30, 40), noise(40, 30))
    with pytest.raises(ValueError, match="uint8"):
        psnr_pixels(noise(3, 3) / 255, noise(3, 3))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one shape"):
        psnr(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
