from __future__ import annotations

import numpy as np
import pytest
import pytorch_msssim
import torch
from skimage.metrics import structural_similarity

from miscomp.errors import SizeMismatch
from miscomp.images import Pixels
from miscomp.metrics import ssim as module
from miscomp.metrics.ssim import MS_MIN_SIDE, ms_ssim, ssim


def pair(height: int, width: int) -> tuple[Pixels, Pixels]:
    """Smooth waves, and the same with noise and a blur-like offset."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:height, :width]
    waves = 128 + 70 * np.sin(x / 11)[..., None] * np.cos(y / 7)[..., None] + 20 * rng.normal(size=(height, width, 3))
    other = waves * 0.9 + 8 * rng.normal(size=waves.shape)
    return np.clip(waves, 0, 255).astype(np.uint8), np.clip(other, 0, 255).astype(np.uint8)


def tensors(pixels: tuple[Pixels, Pixels]) -> list[torch.Tensor]:
    return [torch.from_numpy(p).permute(2, 0, 1)[None].double() for p in pixels]


@pytest.mark.parametrize("size", [(11, 11), (64, 50), (300, 211)])
def test_ssim_equals_pytorch_msssim(size: tuple[int, int]) -> None:
    pixels = pair(*size)
    expected = float(pytorch_msssim.ssim(*tensors(pixels), data_range=255))
    assert ssim(*pixels) == pytest.approx(expected, abs=2e-6)


def test_ssim_is_close_to_scikit_image_which_treats_the_border_and_the_window_alike() -> None:
    pixels = pair(240, 200)
    expected = structural_similarity(
        *pixels, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    assert ssim(*pixels) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("size", [(161, 161), (192, 320), (203, 165), (177, 350)])
def test_ms_ssim_equals_pytorch_msssim_for_even_and_odd_sides(size: tuple[int, int]) -> None:
    pixels = pair(*size)
    expected = float(pytorch_msssim.ms_ssim(*tensors(pixels), data_range=255))
    assert ms_ssim(*pixels) == pytest.approx(expected, abs=5e-6)


def test_strips_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = pair(257, 190)
    # Oracle: the same picture in one strip (the default holds it whole).
    whole, multi = ssim(*pixels), ms_ssim(*pixels)
    monkeypatch.setattr(module, "_STRIP_VALUES", 1)
    assert ssim(*pixels) == pytest.approx(whole, abs=1e-7)
    assert ms_ssim(*pixels) == pytest.approx(multi, abs=1e-7)


def test_identical_pictures_give_one_at_any_size() -> None:
    for size in [(1, 1), (1, 40), (3, 200), (10, 12), (161, 170)]:
        x, _ = pair(*size)
        assert ssim(x, x) == pytest.approx(1.0, abs=1e-6)
    x, _ = pair(161, 170)
    assert ms_ssim(x, x) == pytest.approx(1.0, abs=1e-6)


def test_a_picture_thinner_than_the_window_is_measured_with_the_largest_that_fits() -> None:
    x, x_hat = pair(6, 30)
    expected = float(pytorch_msssim.ssim(*tensors((x, x_hat)), data_range=255, win_size=5))
    assert ssim(x, x_hat) == pytest.approx(expected, abs=2e-6)


def test_ms_ssim_is_none_where_a_window_does_not_fit_the_coarsest_scale() -> None:
    assert MS_MIN_SIDE == 161
    assert ms_ssim(*pair(160, 400)) is None
    assert ms_ssim(*pair(400, 160)) is None


def test_two_sizes_are_an_error_that_names_both() -> None:
    for function in (ssim, ms_ssim):
        with pytest.raises(SizeMismatch, match=r"40 x 30 .* 41 x 30"):
            function(pair(30, 40)[0], pair(30, 41)[0])
