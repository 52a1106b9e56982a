from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_lucid import photograph, values
from torch import Tensor

from miscomp.metrics.log_mse import LogMse, LogMseStructure, lowest_psnr
from miscomp.metrics.psnr import psnr
from miscomp.metrics.structure import correlation_map, fitted_psnr, flat_psnr, local_correlation
from miscomp.tensors import to_tensor


def picture(height: int = 64, width: int = 80) -> Tensor:
    return to_tensor(photograph(height, width))


def noise(like: Tensor) -> Tensor:
    return values("noise", *like.shape) / 2 + 0.5


def test_the_fit_is_that_of_least_squares_in_each_channel() -> None:
    x, x_hat = picture(), noise(picture())
    rest = 0.0
    for channel in range(3):
        # Oracle: numpy's least squares of x on (x_hat, 1).
        design = np.stack([x_hat[0, channel].numpy().ravel(), np.ones(x_hat[0, channel].numel())], 1).astype(float)
        target = x[0, channel].numpy().ravel().astype(float)
        rest += float(np.linalg.lstsq(design, target, rcond=None)[1][0]) / target.size
    assert float(fitted_psnr(x, x_hat)) == pytest.approx(-10 * np.log10(rest / 3), abs=0.01)


def test_colour_changes_cost_nothing_after_the_fit_and_unrelated_pictures_reach_a_flat_colour_s() -> None:
    x = picture()
    gains = torch.tensor([0.5, -0.7, 0.2])[None, :, None, None]
    # A negative of one channel included: it can be read.
    assert float(fitted_psnr(x, x * gains + 0.3)) > 45
    assert float(fitted_psnr(x, noise(x)) - flat_psnr(x)) == pytest.approx(0, abs=0.05)
    # By hand: against the mean colour, a picture of half 0 and half 1 has an error of 0.25.
    halves = torch.zeros(1, 3, 8, 8)
    halves[..., 4:] = 1
    assert float(flat_psnr(halves)) == pytest.approx(10 * np.log10(4), abs=1e-3)


def test_local_correlation_is_1_for_a_picture_and_its_negative_and_small_for_noise() -> None:
    x = noise(picture(96, 96))
    assert float(local_correlation(x, x)) == pytest.approx(1, abs=0.01)
    assert float(local_correlation(x, 1 - 0.5 * x)) == pytest.approx(1, abs=0.01)
    # Oracle: |r| of 256 independent pixels has the mean sqrt(2 / (pi * 256)) = 0.05.
    assert float(local_correlation(x, x.flip(-1))) == pytest.approx(0.05, abs=0.02)


def test_a_flat_window_counts_as_uncorrelated() -> None:
    x = noise(picture(64, 64))
    half = x.clone()
    half[..., :32] = 0.5
    shares = correlation_map(x, half)[0, 0]
    assert shares[:, :3].max() < 0.05 and shares[:, 4:].min() > 0.95
    assert shares.shape == (7, 7)


@pytest.mark.parametrize("size", [(1, 1), (5, 200), (16, 16), (17, 40)])
def test_any_size_has_a_value(size: tuple[int, int]) -> None:
    x = picture(*size)
    for value in (fitted_psnr(x, x), flat_psnr(x), local_correlation(x, x)):
        assert value.shape == (1,) and bool(value.isfinite().all())


def test_the_lowest_psnr_is_that_of_the_picture_farthest_away() -> None:
    x = noise(picture())
    farthest = (x < 0.5).float()
    assert float(lowest_psnr(x)) == pytest.approx(float(psnr(x, farthest)), abs=1e-4)
    # By hand: against mid-grey nothing is farther than 0.5.
    assert float(lowest_psnr(torch.full((1, 3, 4, 4), 0.5))) == pytest.approx(6.0206, abs=1e-3)


def test_a_destroyed_picture_reaches_1_and_a_readable_negative_only_without_the_structure_term() -> None:
    x = picture(128, 128)
    farthest, negative = (x < 0.5).float(), 1 - x
    lattice = torch.zeros_like(x)
    lattice[..., ::2] = 1
    assert float(LogMse()(x, farthest)) >= 1
    assert float(LogMseStructure()(x, negative)) < 0.7
    assert float(LogMseStructure()(x, lattice)) > 0.95
    assert float(LogMse()(x, x)) < -1 and float(LogMseStructure()(x, x)) < -1


def test_the_gradient_does_not_vanish_where_the_pictures_are_almost_equal() -> None:
    x = picture()
    near = (x + 0.002 * (noise(x) - 0.5)).clamp(0, 1).requires_grad_()
    LogMse()(x, near).sum().backward()
    squared = near.detach().clone().requires_grad_()
    (x - squared).square().mean().backward()
    assert near.grad is not None and squared.grad is not None
    assert float(near.grad.norm()) > 1000 * float(squared.grad.norm())


def test_gradients_are_finite_for_equal_and_for_flat_pictures() -> None:
    for x in (picture(), torch.zeros(1, 3, 32, 32)):
        x_hat = x.clone().requires_grad_()
        LogMseStructure()(x, x_hat).sum().backward()
        assert x_hat.grad is not None and bool(x_hat.grad.isfinite().all())


def test_each_picture_of_a_batch_is_judged_alone() -> None:
    a, b = noise(picture()), picture()
    both = LogMseStructure()(torch.cat([a, b]), torch.cat([b, b]))
    apart = [LogMseStructure()(a, b), LogMseStructure()(b, b)]
    assert both.tolist() == pytest.approx([float(one) for one in apart], abs=1e-4)
